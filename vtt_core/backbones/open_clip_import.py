"""Import open_clip where torch and torchvision come from different builds.

The registry's torchvision wheel is built for CUDA. Beside a CPU build of torch its operators do not
load, and its import fails with "operator torchvision::nms does not exist". Declaring the two operators
that its Python side registers against is enough; nothing here calls them.
"""

from __future__ import annotations

import importlib.util
import logging

import torch

_LIBRARIES: list[torch.library.Library] = []
"""Kept alive: a library's declarations vanish with it."""


def _declare_missing_operators() -> None:
    if importlib.util.find_spec("torchvision") is None or torch.version.cuda is not None:
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARIES.append(library)


_declare_missing_operators()

import open_clip  # noqa: E402 - torchvision, which it imports, needs the declarations above

logging.getLogger("timm").setLevel(logging.ERROR)

__all__ = ["open_clip"]
