import pytest
import torch

from vtt_core.lora.dropout import LayerDropout, draw_dropout
from vtt_core.lora.numba_dropout import add_kept, keep


@pytest.fixture(params=[0.0, 0.3])
def dropout(request: pytest.FixtureRequest) -> LayerDropout | None:
    drawn = draw_dropout(request.param, (1, 3, 4, 5, 16), torch.Generator().manual_seed(0))
    return drawn.layer(0) if drawn is not None else None


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_tokens", [5, 1])
def test_it_keeps_what_the_plain_form_keeps(dropout: LayerDropout | None, dtype: torch.dtype, num_tokens: int) -> None:
    x = torch.randn(4, 5, 48, dtype=dtype)[:, :num_tokens, 16:32]  # a part of packed columns
    expected = x if dropout is None else dropout.apply(x, 1)
    torch.testing.assert_close(keep(x, dropout, 1), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_tokens", [5, 1])
def test_the_gradient_goes_where_the_input_was_kept(dropout: LayerDropout | None, dtype: torch.dtype, num_tokens: int) -> None:
    x = torch.randn(4, num_tokens, 16, dtype=dtype, requires_grad=True)
    gradients, totals = torch.randn(2, 3, 4, num_tokens, 16, dtype=dtype)
    kept = x * 1 if dropout is None else dropout.apply(x, 2)
    back = [torch.autograd.grad(kept, x, gradient, retain_graph=True)[0] for gradient in gradients]
    expected = totals + torch.stack(back)
    add_kept(totals, gradients, dropout, 2)
    torch.testing.assert_close(totals, expected)
