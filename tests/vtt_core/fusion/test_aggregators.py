import pytest
import torch
from torch import nn

from vtt_core.fusion.aggregators import Attention, Lstm, Recurrent, Rnn
from vtt_core.fusion.layer_orders import scan_orders

WIDTH = 16


@pytest.mark.parametrize(("own", "torchs"), [(Rnn, nn.RNN), (Lstm, nn.LSTM)])
def test_a_recurrent_layer_equals_torchs_own(own: type[Recurrent], torchs: type[nn.RNNBase]) -> None:
    layer, reference = own(WIDTH).double(), torchs(WIDTH, WIDTH, batch_first=True).double()  # type: ignore[call-arg]
    with torch.no_grad():
        reference.weight_ih_l0.copy_(layer.input_proj.weight)
        reference.bias_ih_l0.copy_(layer.input_proj.bias)
        reference.weight_hh_l0.copy_(layer.hidden_proj.weight)
        reference.bias_hh_l0.copy_(layer.hidden_proj.bias)
    tokens_BSD = torch.randn(3, 7, WIDTH, dtype=torch.float64)
    expected_BSD, _ = reference(tokens_BSD)
    torch.testing.assert_close(layer(tokens_BSD, scan_orders(7, "deep-to-shallow")), expected_BSD, rtol=1e-12, atol=1e-12)


def test_directions_share_their_weights_and_are_added() -> None:
    layer, tokens_BSD = Lstm(WIDTH).double(), torch.randn(2, 5, WIDTH, dtype=torch.float64)
    forth, back = scan_orders(5, "both-ways")
    expected = layer(tokens_BSD, [forth]) + layer(tokens_BSD, [back])
    torch.testing.assert_close(layer(tokens_BSD, [forth, back]), expected, rtol=1e-12, atol=1e-12)


def test_attention_equals_torchs_own() -> None:
    layer, reference = Attention(WIDTH).double(), nn.MultiheadAttention(WIDTH, 8, batch_first=True).double()
    with torch.no_grad():
        reference.in_proj_weight.copy_(layer.in_proj.weight)
        reference.in_proj_bias.copy_(layer.in_proj.bias)
        reference.out_proj.weight.copy_(layer.out_proj.weight)
        reference.out_proj.bias.copy_(layer.out_proj.bias)
    tokens_BSD = torch.randn(3, 7, WIDTH, dtype=torch.float64)
    expected_BSD, _ = reference(tokens_BSD, tokens_BSD, tokens_BSD)
    torch.testing.assert_close(layer(tokens_BSD, scan_orders(7, "deep-to-shallow")), expected_BSD, rtol=1e-12, atol=1e-12)


def test_attention_has_as_many_heads_as_the_width_allows() -> None:
    assert (Attention(12).num_heads, Attention(512).num_heads) == (4, 8)
