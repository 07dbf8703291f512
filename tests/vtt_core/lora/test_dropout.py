import pytest
import torch

from vtt_core.lora.dropout import Dropout, draw_dropout

SHAPE = (2, 3, 4, 5, 64)


def drawn(probability: float, seed: int = 0) -> Dropout:
    dropout = draw_dropout(probability, SHAPE, torch.Generator().manual_seed(seed))
    assert dropout is not None
    return dropout


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.9])
def test_it_zeroes_the_stated_share_and_keeps_the_mean(probability: float) -> None:
    dropout = draw_dropout(probability, (1, 3, 100, 10, 64), torch.Generator().manual_seed(0))
    assert dropout is not None
    dropped = dropout.layer(0).apply(torch.ones(100, 10, 64), 1)
    assert (dropped == 0).double().mean().item() == pytest.approx(probability, abs=0.01)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.03)


def test_the_recipes_quarter_is_exact() -> None:
    dropout = drawn(0.25)
    assert dropout.num_dropped == 64
    assert dropout.layer(1).scale == 1 / 0.75


def test_it_is_drawn_separately_for_q_k_and_v_and_for_every_layer() -> None:
    x = torch.ones(4, 5, 64)
    masks = {drawn(0.5).layer(layer).apply(x, index).numpy().tobytes() for layer in range(2) for index in range(3)}
    assert len(masks) == 6


def test_the_same_seed_drops_the_same() -> None:
    assert torch.equal(drawn(0.25, seed=1).bytes_LPBTW, drawn(0.25, seed=1).bytes_LPBTW)
    assert not torch.equal(drawn(0.25, seed=1).bytes_LPBTW, drawn(0.25, seed=2).bytes_LPBTW)


def test_nothing_is_drawn_where_nothing_is_dropped() -> None:
    assert draw_dropout(0.0, SHAPE, torch.Generator()) is None


def test_rows_and_leading_tokens_keep_what_they_kept_in_the_whole() -> None:
    dropout, x = drawn(0.5), torch.randn(4, 5, 64)
    whole = dropout.layer(1).apply(x, 2)
    assert torch.equal(dropout.rows(slice(1, 3)).layer(1).apply(x[1:3], 2), whole[1:3])
    assert torch.equal(dropout.layer(1).apply(x[:, :1], 2), whole[:, :1])
