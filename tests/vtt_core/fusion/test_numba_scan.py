import pytest
import torch
from torch import Tensor

from vtt_core.fusion.numba_scan import numba_selective_scan
from vtt_core.fusion.scan import selective_scan

SIZES = [(1, 1, 1, 1), (3, 7, 5, 9), (2, 25, 16, 32)]


def inputs(sizes: tuple[int, int, int, int], dtype: torch.dtype) -> list[Tensor]:
    B, S, D, N = sizes
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    step_BSD = torch.nn.functional.softplus(normal(B, S, D) - 2)
    A_DN = -torch.arange(1.0, N + 1, dtype=dtype).repeat(D, 1)
    drawn = [normal(B, S, D), step_BSD, A_DN, normal(B, S, N), normal(B, S, N), normal(D)]
    return [tensor.requires_grad_() for tensor in drawn]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("sizes", SIZES)
def test_it_equals_the_plain_scan_and_its_gradients(
    sizes: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    arguments = inputs(sizes, dtype)
    fast, plain = numba_selective_scan(*arguments), selective_scan(*arguments)
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance)
    cotangent = torch.randn(fast.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    for got, expected in zip(
        torch.autograd.grad(fast, arguments, cotangent), torch.autograd.grad(plain, arguments, cotangent), strict=True
    ):
        assert (got - expected).abs().max().item() <= tolerance * max(expected.abs().max().item(), 1)


def test_gradcheck_agrees() -> None:
    assert torch.autograd.gradcheck(numba_selective_scan, inputs((2, 3, 2, 3), torch.float64))


def test_a_long_step_forgets_everything_and_gives_no_nan() -> None:
    arguments = [tensor.detach() for tensor in inputs((1, 4, 2, 3), torch.float32)]
    arguments[1] = torch.full_like(arguments[1], 1e4)
    fast = numba_selective_scan(*arguments)
    torch.testing.assert_close(fast, selective_scan(*arguments))
