"""Compile loops over arrays.

numba does it, because it comes as a wheel for Linux, macOS and Windows and asks for no compiler on the user's machine, which
torch.compile and extensions do. A loop is compiled when it is first called, in about a second, and kept beside its
file, or in the user's cache folder where that cannot be written. Compiled loops hold no interpreter lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

REORDERED = {"reassoc", "contract", "nsz", "arcp"}
"""What may be done to sums so that they become vector operations; infinities and NaN keep their meaning."""


def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Return the function, compiled for the types that it is first called with."""
    dispatch: Callable[..., None] = njit(nogil=True, cache=True, fastmath=REORDERED, error_model="numpy")(loop)
    return dispatch


def inlined(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for use inside compiled loops."""
    dispatch: Callable[..., Any] = njit(inline="always", cache=True, fastmath=REORDERED, error_model="numpy")(loop)
    return dispatch
