"""Parts of a batch, computed in parallel, give the gradient of the whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from vtt_core.bench.pretraining.side_by_side import SideBySide

INPUTS = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("num_threads", [1, 2, 3, 9])
def test_the_gradient_is_that_of_the_mean_over_the_whole_batch(num_threads: int) -> None:
    weight, unreached = torch.ones(5, requires_grad=True), torch.ones(2, requires_grad=True)
    unreached.grad = torch.ones(2)

    def mean_loss(rows: slice) -> tuple[Tensor, Tensor]:
        loss = (INPUTS[rows] @ weight).square().mean()
        return loss, 2 * loss.detach()

    (expected,) = torch.autograd.grad(mean_loss(slice(0, 7))[0], weight)
    logged = SideBySide(num_threads).gradients(mean_loss, 7, [weight, unreached])
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, expected)
    assert logged == pytest.approx(float(mean_loss(slice(0, 7))[1]))
    assert unreached.grad is None


def test_each_thread_computes_alone_and_the_callers_threads_stay() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []
    SideBySide(2).call([lambda: seen.append(torch.get_num_threads())] * 3)
    assert seen == [1, 1, 1]
    assert torch.get_num_threads() == before


def test_what_fails_in_a_thread_fails_for_the_caller() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        SideBySide(2).call([fail])
