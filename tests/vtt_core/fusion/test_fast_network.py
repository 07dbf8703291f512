import pytest
import torch

from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import FusionNetwork


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("num_steps", "convolution_width"), [(25, 4), (7, 4), (9, 1), (3, 5)])
def test_it_equals_the_plain_network_and_its_gradients(
    num_steps: int, convolution_width: int, dtype: torch.dtype, tolerance: float
) -> None:
    network = FusionNetwork(num_steps, 16, state_size=8, step_rank=6, convolution_width=convolution_width).to(dtype)
    sequence_BSD = torch.randn(4, num_steps, 16, dtype=dtype, requires_grad=True)
    cotangent = torch.randn(4, 16, dtype=dtype)
    plain, fast = network(sequence_BSD), fast_fuse(network, sequence_BSD)
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance)
    of = [sequence_BSD, *network.parameters()]
    for got, expected in zip(torch.autograd.grad(fast, of, cotangent), torch.autograd.grad(plain, of, cotangent), strict=True):
        assert (got - expected).abs().max().item() <= tolerance * expected.abs().max().item()
