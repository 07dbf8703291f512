"""Import open_clip and timm even if torch and torchvision come from different builds.

The torchvision wheel on PyPI is built for CUDA. With a CPU build of torch its operators do not load, and its import fails
with "operator torchvision::nms does not exist". It is enough to declare the two operators that its Python code refers to;
nothing here calls them. If torchvision's library loads, it has its own operators, and a second declaration would clash.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

import torch

_LIBRARIES: list[torch.library.Library] = []
"""Kept alive: the declarations disappear with their library."""


def _has_operators() -> bool:
    """Tell whether the installed torchvision's compiled library loads into this torch."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # open_clip's import then reports what is missing
    for library in Path(spec.origin).parent.glob("_C.*"):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return True
    return False


def _declare_missing_operators() -> None:
    if _has_operators():
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARIES.append(library)


_declare_missing_operators()

import open_clip  # noqa: E402 - torchvision, which both import, needs the declarations above
import timm  # noqa: E402

logging.getLogger("timm").setLevel(logging.ERROR)
# Without a network it logs each of a dozen retries twice. Our own error is enough.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)

__all__ = ["open_clip", "timm"]
