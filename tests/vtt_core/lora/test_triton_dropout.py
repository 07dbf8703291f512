"""The kernel runs here as it is written, by Triton's interpreter, and on the GPU where there is one."""

import pytest
import torch

from vtt_core.lora.dropout import LayerDropout, draw_dropout

pytest.importorskip("triton")
from vtt_core.lora.triton_dropout import triton_add_kept, triton_keep  # noqa: E402

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def dropout() -> LayerDropout:
    drawn = draw_dropout(0.25, (1, 3, 4, 7, 10), torch.Generator(DEVICE).manual_seed(1))
    assert drawn is not None
    return drawn.layer(0)


@pytest.mark.parametrize("num_tokens", [1, 7])
@pytest.mark.parametrize("projection", [0, 1, 2])
def test_it_equals_the_plain_dropout(dropout: LayerDropout, projection: int, num_tokens: int) -> None:
    x_BTW = torch.randn(4, 7, 10, device=DEVICE)[:, :num_tokens]
    expected = dropout.apply(x_BTW, projection)
    assert 0 < (expected == 0).sum() < expected.numel()
    torch.testing.assert_close(triton_keep(x_BTW, dropout, projection), expected)


@pytest.mark.parametrize("num_tokens", [1, 7])
def test_it_adds_to_rows_that_lie_apart(dropout: LayerDropout, num_tokens: int) -> None:
    gradient_BTW = torch.randn(4, num_tokens, 10, device=DEVICE)
    total_BTW = torch.randn(4, 7, 10, device=DEVICE)
    expected_BTW = total_BTW.clone()
    expected_BTW[:, :num_tokens] += dropout.apply(gradient_BTW, 2)
    triton_add_kept(total_BTW[:, :num_tokens], gradient_BTW, dropout, 2)
    torch.testing.assert_close(total_BTW, expected_BTW)
