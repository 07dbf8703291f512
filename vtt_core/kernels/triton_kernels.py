"""Say where our own kernels run: on a CUDA device, if Triton is installed, as with torch's CUDA builds on Linux.

Everywhere else, and on a machine without a C compiler, which Triton needs, the plain forms are used.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = tl = None

__all__ = ["blocks", "can_launch_on", "has_kernels", "kernel", "tl"]


def kernel(body: Callable[..., None]) -> Any:
    """Return the kernel of a body in Triton's language; it is compiled when it is first launched."""
    return body if triton is None else triton.jit(body)


def blocks(num_items: int, block: int) -> tuple[int]:
    """Return the grid that covers so many items, a block each."""
    return (-(-num_items // block),)


def has_kernels(tensor: Tensor) -> bool:
    """Whether kernels of our own run on this tensor's device."""
    return can_launch_on(tensor.device.type)


def can_launch_on(device_type: str) -> bool:
    """Whether kernels of our own run on devices of this type."""
    return device_type == "cuda" and triton is not None and _has_compiler()


@cache
def _has_compiler() -> bool:
    return any(shutil.which(name) for name in ("cc", "gcc", "clang"))
