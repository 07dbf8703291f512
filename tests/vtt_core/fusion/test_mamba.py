import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.fusion.layer_orders import grid_orders
from vtt_core.fusion.mamba import MAX_STEP, MIN_STEP, Mamba

WIDTH, STATE_SIZE, STEP_RANK, CONVOLUTION_WIDTH = 6, 5, 4, 4


@pytest.fixture
def block() -> Mamba:
    torch.manual_seed(1)
    block = Mamba(WIDTH, STATE_SIZE, STEP_RANK, CONVOLUTION_WIDTH).double()
    with torch.no_grad():
        block.A_log.add_(0.1 * torch.randn_like(block.A_log))
        block.D.add_(0.1 * torch.randn_like(block.D))
    return block


def direction_step_by_step(block: Mamba, tokens_SD: Tensor) -> Tensor:
    """Compute one direction with a recurrent state and a sliding window, as at inference time."""
    weights = dict(block.named_parameters())
    state_DN = torch.zeros(WIDTH, STATE_SIZE, dtype=torch.float64)
    window_DK = torch.zeros(WIDTH, CONVOLUTION_WIDTH, dtype=torch.float64)
    outputs = []
    for token_D in tokens_SD:
        both = weights["in_proj.weight"] @ token_D
        x_D, z_D = both[:WIDTH], both[WIDTH:]
        window_DK = torch.cat((window_DK[:, 1:], x_D[:, None]), dim=1)
        convolved_D = (window_DK * weights["conv1d.weight"][:, 0]).sum(dim=1) + weights["conv1d.bias"]
        u_D = convolved_D * torch.sigmoid(convolved_D)
        parts = weights["x_proj.weight"] @ u_D
        low_rank_R, B_N, C_N = parts[:STEP_RANK], parts[STEP_RANK : STEP_RANK + STATE_SIZE], parts[STEP_RANK + STATE_SIZE :]
        step_D = torch.log1p(torch.exp(weights["dt_proj.weight"] @ low_rank_R + weights["dt_proj.bias"]))
        decay_DN = torch.exp(-step_D[:, None] * torch.exp(weights["A_log"]))
        state_DN = decay_DN * state_DN + torch.outer(step_D * u_D, B_N)
        y_D = state_DN @ C_N + weights["D"] * u_D
        outputs.append(weights["out_proj.weight"] @ (y_D * z_D * torch.sigmoid(z_D)))
    return torch.stack(outputs)


class TestBlock:
    @pytest.mark.slow
    @pytest.mark.parametrize("direction", range(4))
    def test_each_direction_equals_a_step_by_step_computation(self, block: Mamba, direction: int) -> None:
        tokens_BSD, order = torch.randn(2, 9, WIDTH, dtype=torch.float64), grid_orders(9)[direction]
        expected = torch.stack([direction_step_by_step(block, tokens_SD[order]) for tokens_SD in tokens_BSD])
        torch.testing.assert_close(block(tokens_BSD, [order]), expected, rtol=1e-12, atol=1e-12)

    def test_directions_are_added(self, block: Mamba) -> None:
        tokens_BSD, orders = torch.randn(2, 25, WIDTH, dtype=torch.float64), grid_orders(25)
        expected = sum(block(tokens_BSD, [order]) for order in orders)
        torch.testing.assert_close(block(tokens_BSD, orders), expected, rtol=1e-12, atol=1e-12)

    def test_gradients_equal_finite_differences(self, block: Mamba) -> None:
        tokens_BSD = torch.randn(1, 4, WIDTH, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda tokens: block(tokens, grid_orders(4)).mean(dim=1), (tokens_BSD,))


class TestInitialValues:
    def test_step_sizes_lie_in_their_range(self) -> None:
        torch.manual_seed(0)
        steps_D = functional.softplus(Mamba(4096, 2, 3, 4).dt_proj.bias.double())
        assert steps_D.min() >= MIN_STEP * (1 - 1e-4)
        assert steps_D.max() <= MAX_STEP * (1 + 1e-4)

    @pytest.mark.slow
    def test_step_sizes_are_log_uniform(self) -> None:
        torch.manual_seed(0)
        steps_D = functional.softplus(Mamba(4096, 2, 3, 4).dt_proj.bias.double())
        share_below_middle = (steps_D < math.sqrt(MIN_STEP * MAX_STEP)).double().mean().item()
        assert share_below_middle == pytest.approx(0.5, abs=0.05)

    def test_step_weights_are_uniform_within_the_root_of_the_rank(self) -> None:
        weight = Mamba(64, 2, 16, 4).dt_proj.weight
        assert weight.abs().max().item() <= 0.25
        assert weight.abs().max().item() > 0.24

    def test_every_channel_decays_by_one_to_n(self) -> None:
        block = Mamba(3, 7, 2, 4)
        expected = torch.log(torch.arange(1.0, 8.0))
        assert all(torch.equal(row, expected) for row in block.A_log)

    def test_the_direct_path_starts_at_one(self) -> None:
        assert torch.equal(Mamba(3, 7, 2, 4).D, torch.ones(3))

    def test_projections_but_the_step_size_have_no_bias(self) -> None:
        biased = {name for name, _ in Mamba(3, 7, 2, 4).named_parameters() if name.endswith("bias")}
        assert biased == {"conv1d.bias", "dt_proj.bias"}
