from typing import Any

import pytest
import torch

from vtt_core.kernels.bfloat16 import LOOP_TYPES, loop_array, store, widened
from vtt_core.kernels.numba_loops import compiled


@compiled
def _copy(into: Any, source: Any) -> None:
    for index in range(source.size):
        store(into, index, widened(source[index]))


def copied(source: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    into = torch.empty_like(source, dtype=dtype)
    _copy(loop_array(into), loop_array(source))
    return into


def test_every_bfloat16_is_read_as_what_it_is() -> None:
    every = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(torch.bfloat16)
    every = every[every.isfinite()]
    assert torch.equal(copied(every, torch.float32), every.float())


def test_a_float32_is_rounded_as_torch_does() -> None:
    ties = (
        torch.tensor([0x3F808000, 0x3F818000, 0xBF808000 - 2**32, 0x3F807FFF, 0x3F808001]).to(torch.int32).view(torch.float32)
    )
    numbers = torch.cat(
        [ties, torch.randn(10_000) * 10.0 ** torch.randint(-30, 30, (10_000,)), torch.tensor([0.0, -0.0, torch.inf])]
    )
    assert torch.equal(copied(numbers, torch.bfloat16), numbers.bfloat16())
    assert copied(torch.tensor([torch.nan]), torch.bfloat16).isnan().all()


@pytest.mark.parametrize("dtype", LOOP_TYPES)
def test_the_same_type_stays_as_it_is(dtype: torch.dtype) -> None:
    numbers = torch.randn(100).to(dtype)
    assert torch.equal(copied(numbers, dtype), numbers)


@pytest.mark.parametrize("dtype", LOOP_TYPES)
def test_python_without_the_compiler_does_the_same(dtype: torch.dtype) -> None:
    numbers = torch.randn(100)
    into = torch.empty(100, dtype=dtype)
    _copy.py_func(loop_array(into), loop_array(numbers))  # type: ignore[attr-defined]  # of numba's dispatcher
    assert torch.equal(into, numbers.to(dtype))
    back = torch.empty(100)
    _copy.py_func(loop_array(back), loop_array(into))  # type: ignore[attr-defined]
    assert torch.equal(back, into.float())
