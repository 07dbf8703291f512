import pytest
import torch

from vtt_core.backbones.activation import QUICK_GELU_SLOPE, activate


def plain(x: torch.Tensor, *, is_quick: bool) -> torch.Tensor:
    return x * torch.sigmoid(QUICK_GELU_SLOPE * x) if is_quick else torch.nn.functional.gelu(x)


@pytest.mark.parametrize("is_quick", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6)])
def test_it_equals_torchs_activation_and_its_derivative(is_quick: bool, dtype: torch.dtype, tolerance: float) -> None:
    x = torch.linspace(-30, 30, 30_001, dtype=dtype).view(1, -1).requires_grad_()
    expected = plain(x, is_quick=is_quick)
    (expected_slope,) = torch.autograd.grad(expected, x, torch.ones_like(x))
    active, slope = activate(x.detach(), is_quick=is_quick)
    torch.testing.assert_close(active, expected.detach(), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(slope, expected_slope, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("is_quick", [False, True])
def test_a_bfloat16_is_rounded_once(is_quick: bool) -> None:
    x = torch.linspace(-30, 30, 30_001).bfloat16()
    exact = x.double().requires_grad_()
    expected = plain(exact, is_quick=is_quick)
    (expected_slope,) = torch.autograd.grad(expected.sum(), exact)
    for found, wanted in zip(activate(x, is_quick=is_quick), (expected.detach(), expected_slope), strict=True):
        assert found.dtype == torch.bfloat16
        torch.testing.assert_close(found.double(), wanted, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("is_quick", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_no_number_stays_none(is_quick: bool, dtype: torch.dtype) -> None:
    active, slope = activate(torch.tensor([torch.nan, 1.0], dtype=dtype), is_quick=is_quick)
    assert active.isnan().tolist() == slope.isnan().tolist() == [True, False]
