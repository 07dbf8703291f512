"""Read and write bfloat16 inside compiled loops, which see its bits as unsigned integers of 16 bits.

Source: Kalamkar et al. 2019, arXiv:1905.12322: a bfloat16 is the upper half of a float32, rounded to the nearest, ties to even.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from torch import Tensor

from vtt_core.kernels.float_bits import bits_of_float32, float32_of_bits

LOOP_TYPES = (torch.float32, torch.bfloat16)
"""Types of tensors that loops of both can read."""


def loop_array(tensor: Tensor) -> Any:
    """Return a contiguous tensor's memory as an array, bfloat16 as its bits."""
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def widened(stored: Any) -> Any:
    """Return what an array's element says as a float32."""
    return (np.uint32(stored) << np.uint32(16)).view(np.float32) if isinstance(stored, np.uint16) else stored


@overload(widened, inline="always")
def _widened(stored: Any) -> Any:
    def of_bits(stored: Any) -> Any:
        return float32_of_bits(np.uint32(stored) << np.uint32(16))  # type: ignore[call-arg]  # numba gives the first argument

    def same(stored: Any) -> Any:
        return stored

    return of_bits if stored == types.uint16 else same


def store(array: Any, index: Any, number: Any) -> None:
    """Write a float32 into an array of either type."""
    if array.dtype == np.uint16:
        bits = int(np.float32(number).view(np.uint32))
        array[index] = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    else:
        array[index] = number


@overload(store, inline="always")
def _store(array: Any, index: Any, number: Any) -> Any:
    def bits(array: Any, index: Any, number: Any) -> None:
        of_number: Any = bits_of_float32(number)  # type: ignore[call-arg]  # numba gives the first argument
        is_odd = (of_number >> np.uint32(16)) & np.uint32(1)
        array[index] = np.uint16((of_number + np.uint32(0x7FFF) + is_odd) >> np.uint32(16))

    def same(array: Any, index: Any, number: Any) -> None:
        array[index] = number

    return bits if array.dtype == types.uint16 else same
