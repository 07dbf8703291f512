"""Compile loops over arrays.

numba is used because it is a wheel for Linux, macOS and Windows and needs no compiler on the user's machine, unlike
torch.compile and extensions. A loop is compiled when it is first called, in about a second, and kept beside its
file, or in the user's cache folder where that cannot be written. Compiled loops hold no interpreter lock.

Source: the float32 exponential is that of Cephes (Moshier): x = k ln 2 + r, a polynomial in r, k put into the exponent. Without
    branches and calls it becomes vector operations, which the mathematical library's does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numba import config, njit, types
from numba.extending import overload

from vtt_core.kernels.float_bits import float32_of_bits
from vtt_core.kernels.loop_cache import LOCATORS

REORDERED = {"reassoc", "contract", "nsz", "arcp"}
"""Floating-point freedoms that let sums be vectorised; infinities and NaN keep their meaning."""


def _use_whole_vectors() -> None:
    """Let loops use vectors of 512 bits where the processor has them. LLVM would halve them, for the sake of chips of 2017."""
    features = llvm.get_host_cpu_features()
    if features.get("avx512f") and config.CPU_FEATURES is None:  # type: ignore[attr-defined]  # set from the environment
        config.CPU_NAME = llvm.get_host_cpu_name()  # type: ignore[attr-defined]
        config.CPU_FEATURES = f"{features.flatten()},-prefer-256-bit"  # type: ignore[attr-defined]


_use_whole_vectors()


def compiled(loop: Callable[..., None]) -> Callable[..., None]:
    """Return the function, compiled for the types that it is first called with."""
    compile_it = partial(njit, nogil=True, fastmath=REORDERED, error_model="numpy")
    others, config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES, LOCATORS  # type: ignore[attr-defined]
    try:
        dispatch: Callable[..., None] = compile_it(cache=True)(loop)
    except RuntimeError:  # there is no folder that may be written
        dispatch = compile_it()(loop)
    finally:
        config.CACHE_LOCATOR_CLASSES = others  # type: ignore[attr-defined]
    return dispatch


def inlined(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for use inside compiled loops."""
    dispatch: Callable[..., Any] = njit(inline="always", fastmath=REORDERED, error_model="numpy")(loop)
    return dispatch


@inlined
def _exp32(x: Any) -> Any:
    x = max(x, np.float32(-87.0))
    k = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    r = x - k * np.float32(0.693359375)
    r = r - k * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    bits = np.uint32((np.int32(k) + np.int32(127)) << np.int32(23))
    return p * float32_of_bits(bits)  # type: ignore[call-arg]  # numba gives the first argument


def exp(x: Any) -> Any:
    """Return e to the power of a number that is not positive."""
    return math.exp(x)


@overload(exp, inline="always")
def _exp_of_type(x: Any) -> Any:
    def single(x: Any) -> Any:
        return _exp32(x)

    def double(x: Any) -> Any:
        return math.exp(x)

    return single if x == types.float32 else double
