import math

import pytest
import torch
from torch import Tensor, nn

from vtt_core.contract.recipe import Aggregator
from vtt_core.fusion.layer_orders import grid_orders
from vtt_core.fusion.network import FusionForm, FusionNetwork, NoFusion

WIDTH, ROWS, COLUMNS = 6, 3, 3


@pytest.fixture
def network() -> FusionNetwork:
    """One whose normalisation has drawn weights, so that their order matters."""
    torch.manual_seed(2)
    network = FusionNetwork(ROWS * COLUMNS, WIDTH, state_size=4, step_rank=4).double()
    with torch.no_grad():
        network.stem_norm.weight.normal_()
        network.stem_norm.bias.normal_()
    return network


def as_on_a_grid(network: FusionNetwork, sequence_BSD: Tensor) -> Tensor:
    """Compute mu with 1x1 convolutions, a norm over [2D, rows, columns] and pooling, as released."""
    convolve_in = nn.Conv2d(WIDTH, 2 * WIDTH, 1).double()
    norm = nn.LayerNorm((2 * WIDTH, ROWS, COLUMNS)).double()
    convolve_out = nn.Conv2d(2 * WIDTH, WIDTH, 1, bias=False).double()
    with torch.no_grad():
        convolve_in.weight.copy_(network.stem_in.weight[..., None, None])
        convolve_in.bias.copy_(network.stem_in.bias)
        norm.weight.copy_(network.stem_norm.weight.t().reshape(2 * WIDTH, ROWS, COLUMNS))
        norm.bias.copy_(network.stem_norm.bias.t().reshape(2 * WIDTH, ROWS, COLUMNS))
        convolve_out.weight.copy_(network.stem_out.weight[..., None, None])
    grid_BDHW = sequence_BSD.transpose(1, 2).reshape(-1, WIDTH, ROWS, COLUMNS)
    residual_BD = nn.AdaptiveAvgPool2d(1)(grid_BDHW).flatten(1) @ network.residual_proj.weight.t()
    tokens_BSD = convolve_out(nn.LeakyReLU(0.1)(norm(convolve_in(grid_BDHW)))).flatten(2).transpose(1, 2)
    scanned_BSD = network.block(tokens_BSD + network.pos_embed, grid_orders(ROWS * COLUMNS))
    return residual_BD + nn.AdaptiveAvgPool1d(1)(scanned_BSD.transpose(1, 2)).squeeze(-1)


def test_tokens_give_what_convolutions_on_a_grid_give(network: FusionNetwork) -> None:
    sequence_BSD = torch.randn(2, ROWS * COLUMNS, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(network(sequence_BSD), as_on_a_grid(network, sequence_BSD), rtol=1e-12, atol=1e-12)


def test_gradients_reach_every_parameter_and_every_layer(network: FusionNetwork) -> None:
    sequence_BSD = torch.randn(2, ROWS * COLUMNS, WIDTH, dtype=torch.float64, requires_grad=True)
    network(sequence_BSD).square().sum().backward()
    assert sequence_BSD.grad is not None
    assert (sequence_BSD.grad.abs().sum(dim=-1) > 0).all()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_it_has_the_released_number_of_parameters() -> None:
    network = FusionNetwork(25, 512, state_size=256, step_rank=256)
    assert sum(math.prod(parameter.shape) for parameter in network.parameters()) == 2_821_120


def test_images_of_a_batch_do_not_touch(network: FusionNetwork) -> None:
    sequence_BSD = torch.randn(3, ROWS * COLUMNS, WIDTH, dtype=torch.float64)
    torch.testing.assert_close(network(sequence_BSD)[1:2], network(sequence_BSD[1:2]), rtol=1e-13, atol=1e-13)


def test_the_positional_embedding_starts_small() -> None:
    network = FusionNetwork(25, 64, state_size=2, step_rank=2)
    assert network.pos_embed.std().item() == pytest.approx(0.02, rel=0.1)


class TestOtherForms:
    """What the paper describes, and what its ablation compares."""

    @pytest.mark.parametrize("aggregator", ["ssm", "attention", "rnn", "lstm"])
    @pytest.mark.parametrize("num_layers", [1, 2])
    def test_gradients_reach_every_parameter_of_any_aggregator(self, aggregator: Aggregator, num_layers: int) -> None:
        form = FusionForm(aggregator, num_layers, "both-ways", has_mlp=True, has_adapter=True)
        network = FusionNetwork(7, WIDTH, state_size=4, step_rank=4, form=form).double()
        network(torch.randn(2, 7, WIDTH, dtype=torch.float64)).square().sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name

    def test_a_second_block_reads_what_the_first_adds_to(self) -> None:
        form = FusionForm(num_layers=2, scan="both-ways")
        network = FusionNetwork(7, WIDTH, state_size=4, step_rank=4, form=form).double()
        sequence_BSD = torch.randn(2, 7, WIDTH, dtype=torch.float64)
        (lower,), (forth, back) = network.lower_blocks, network.orders_OS
        tokens_BSD = network.tokens(sequence_BSD)
        lower_BSD = lower(tokens_BSD, [forth]) + lower(tokens_BSD, [back]).flip(1)
        upper_BD = network.block(tokens_BSD + lower_BSD, [forth, back]).mean(dim=1)
        expected_BD = network.residual_proj(sequence_BSD.mean(dim=1)) + upper_BD
        torch.testing.assert_close(network(sequence_BSD), expected_BD, rtol=1e-12, atol=1e-12)

    def test_one_way_sees_the_order_of_the_layers(self) -> None:
        deep, shallow = (
            FusionNetwork(7, WIDTH, state_size=4, step_rank=4, form=FusionForm(scan=scan)).double()
            for scan in ("deep-to-shallow", "shallow-to-deep")
        )
        shallow.load_state_dict(deep.state_dict())
        sequence_BSD = torch.randn(2, 7, WIDTH, dtype=torch.float64)
        assert not torch.allclose(deep(sequence_BSD), shallow(sequence_BSD))

    def test_an_adapter_starts_as_the_identity(self) -> None:
        torch.manual_seed(3)
        plain = FusionNetwork(7, WIDTH, state_size=4, step_rank=4)
        torch.manual_seed(3)
        adapted = FusionNetwork(7, WIDTH, state_size=4, step_rank=4, form=FusionForm(has_adapter=True))
        sequence_BSD = torch.randn(2, 7, WIDTH)
        torch.testing.assert_close(adapted(sequence_BSD), plain(sequence_BSD))

    def test_without_fusion_the_image_feature_comes_out(self) -> None:
        sequence_BSD = torch.randn(2, 7, WIDTH)
        assert torch.equal(NoFusion(WIDTH)(sequence_BSD), sequence_BSD[:, 0])
        assert torch.equal(NoFusion(WIDTH, has_adapter=True)(sequence_BSD), sequence_BSD[:, 0])
        assert list(NoFusion(WIDTH).parameters()) == []
