"""The VtT method: no web, no queue, no database, no environment, no clock.

`vtt_core.load(DIR).predict(["image.jpg"])` uses an adapter in a program of one's own.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own would import typing, and this package imports nothing
if TYPE_CHECKING:
    from pathlib import Path

    from vtt_core.adapter.local_model import LocalModel

__all__ = ["load"]


def load(folder: str | Path, *, device: str = "auto") -> LocalModel:
    """Return the adapter of a folder with its backbone, ready to predict.

    Args:
        folder: that `vtt adapt` wrote.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        AdapterFormatError: the folder is no readable adapter.
        BackboneMismatchError: the backbone has other weights than the adapter was made for.
        BackboneUnavailableError: its weights are out of reach.
    """
    # It imports torch, which takes seconds; most of this package does without it.
    from vtt_core.adapter.local_model import LocalModel  # noqa: PLC0415

    return LocalModel(folder, device=device)
