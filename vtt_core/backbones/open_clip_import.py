"""Import open_clip in little time, even if torch and torchvision come from different builds.

The torchvision wheel on PyPI is built for CUDA. With a CPU build of torch its operators do not load, and its import fails
with "operator torchvision::nms does not exist". It is enough to declare the two operators that its Python code refers to;
nothing here calls them. If torchvision's library loads, it has its own operators, and a second declaration would clash.

open_clip also imports what only models of other kinds need: timm for its vision towers (`timm_import.py`), transformers for
text towers that the catalogue does not have, and by torchvision a function of torch's compiler. Together they take three
quarters of the time, so they are left out while open_clip is imported. Whoever imports them later gets them.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

from vtt_core.backbones.torchvision_operators import have_operators

_LIBRARIES: list[torch.library.Library] = []
"""Kept alive: the declarations disappear with their library."""
_COMPILER = "torch._dynamo"


def _declare_missing_operators() -> None:
    if have_operators():
        return
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARIES.append(library)


def _is_compile_supported(device_type: str) -> Any:
    """Ask the compiler, which is imported by the first question."""
    return importlib.import_module(f"{_COMPILER}.utils").is_compile_supported(device_type)


@contextmanager
def _without_slow_imports() -> Iterator[None]:
    """Leave out what is slow, unless it is there already."""
    compiler, utils = ModuleType(_COMPILER), ModuleType(f"{_COMPILER}.utils")
    utils.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]  # all that torchvision asks for
    # With None for a module, its import fails as if the package were missing.
    slow = {"transformers": None, "timm": None, compiler.__name__: compiler, utils.__name__: utils}
    if "timm" in sys.modules:
        yield
        return
    hidden = {name: module for name, module in slow.items() if name not in sys.modules}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


_declare_missing_operators()

with _without_slow_imports():
    import open_clip

# Without a network it logs each of a dozen retries twice. Our own error is enough.
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _is_true(record: logging.LogRecord) -> bool:
    # open_clip says so also where the weights are read from a file right after.
    return not record.getMessage().startswith("No pretrained weights loaded for model")


logging.getLogger().addFilter(_is_true)

__all__ = ["open_clip"]
