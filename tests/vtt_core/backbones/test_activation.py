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
