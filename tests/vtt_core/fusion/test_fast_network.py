import pytest
import torch

from vtt_core.fusion.fast_network import fast_fuse
from vtt_core.fusion.network import FusionForm, FusionNetwork
from vtt_core.fusion.scan import selective_scan


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    ("num_steps", "convolution_width", "form"),
    [
        (25, 4, FusionForm()),
        (7, 4, FusionForm()),
        (9, 1, FusionForm()),
        (3, 5, FusionForm()),
        (24, 4, FusionForm(num_layers=2, scan="deep-to-shallow", has_mlp=True, has_adapter=True)),
        (9, 4, FusionForm(num_layers=3)),
        (9, 4, FusionForm(scan="both-ways")),
        (9, 4, FusionForm(aggregator="lstm")),
    ],
)
def test_it_equals_the_plain_network_and_its_gradients(
    num_steps: int, convolution_width: int, form: FusionForm, dtype: torch.dtype, tolerance: float
) -> None:
    network = FusionNetwork(num_steps, 16, 8, 6, convolution_width, form).to(dtype)
    sequence_BSD = torch.randn(4, num_steps, 16, dtype=dtype, requires_grad=True)
    cotangent = torch.randn(4, 16, dtype=dtype)
    plain, fast = network(sequence_BSD), fast_fuse(network, sequence_BSD)
    torch.testing.assert_close(fast, plain, rtol=tolerance, atol=tolerance)
    of = [sequence_BSD, *network.parameters()]
    for got, expected in zip(torch.autograd.grad(fast, of, cotangent), torch.autograd.grad(plain, of, cotangent), strict=True):
        assert (got - expected).abs().max().item() <= tolerance * expected.abs().max().item()


def test_another_scan_can_be_given() -> None:
    network = FusionNetwork(9, 16, 8, 6, 4, FusionForm(num_layers=2)).double()
    sequence_BSD = torch.randn(2, 9, 16, dtype=torch.float64)
    scanned = []

    def scan(*arguments: torch.Tensor) -> torch.Tensor:
        scanned.append(arguments[0].shape)
        return selective_scan(*arguments)

    torch.testing.assert_close(fast_fuse(network, sequence_BSD, scan), network(sequence_BSD), rtol=1e-11, atol=1e-11)
    assert scanned == [(8, 9, 16), (8, 9, 16)]
