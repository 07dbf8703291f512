"""Say which device `auto` stands for."""

from __future__ import annotations


def resolve_device(device: str) -> str:
    """Return a torch device: of `auto` the first GPU, or the CPU where there is none; else the one named."""
    if device != "auto":
        return device
    import torch  # noqa: PLC0415  (takes seconds; commands name a device before they need it)

    return "cuda" if torch.cuda.is_available() else "cpu"
