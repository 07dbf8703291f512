import torch
from torch.nn import functional

from vtt_core.bench.speed.rounded_products import RoundedProducts


def test_linear_layers_are_rounded_and_their_gradients_too_and_nothing_else() -> None:
    rows, weight, bias = torch.randn(5, 16, requires_grad=True), torch.randn(8, 16), torch.randn(8)
    plain = functional.linear(rows, weight, bias)
    with RoundedProducts(torch.bfloat16):
        rounded = functional.linear(rows, weight, bias)
        assert torch.equal(rows @ weight.t(), rows.detach() @ weight.t())
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, plain)
    torch.testing.assert_close(rounded, plain, rtol=0.05, atol=0.1)
    (exact,), (got,) = (torch.autograd.grad(output.sum(), rows) for output in (plain, rounded))
    assert not torch.equal(got, exact)
    torch.testing.assert_close(got, exact, rtol=0.05, atol=0.1)
