import pytest
import torch
from torch import Tensor, nn

from vtt_core.bench.baselines.training import Schedule, epoch_batches, train


@pytest.mark.parametrize(("num_views", "sizes"), [(25, [25]), (64, [64]), (65, [33, 32]), (129, [43, 43, 43])])
def test_an_epoch_reads_every_view_once_in_equal_batches(num_views: int, sizes: list[int]) -> None:
    batches = list(epoch_batches(num_views, 64, seed=0, epoch=0))
    assert [len(views_B) for views_B in batches] == sizes
    assert torch.cat(batches).sort().values.tolist() == list(range(num_views))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return torch.cat(list(epoch_batches(20, 6, seed, epoch))).tolist()

    torch.manual_seed(5)
    first = order(0, 0)
    torch.manual_seed(6)
    assert order(0, 0) == first
    assert order(0, 1) != first
    assert order(1, 0) != first


def test_training_takes_the_scheduled_steps_and_lowers_the_loss() -> None:
    targets_V = torch.linspace(0, 1, 10)
    guess, seen = nn.Parameter(torch.tensor(3.0)), []

    def loss_of(views_B: Tensor) -> Tensor:
        seen.append(guess.item())
        return (guess - targets_V[views_B]).square().mean()

    schedule = Schedule(num_epochs=50, batch_size=5, learning_rate=0.1, weight_decay=0.0, adam_epsilon=1e-8)
    losses_N = train([guess], loss_of, len(targets_V), schedule, seed=0)
    assert losses_N.shape == (100,)
    assert losses_N[-1] < 0.05 * losses_N[0]
    assert not losses_N.requires_grad
    # Adam's first step is the learning rate; the cosine makes the last one next to nothing.
    assert seen[0] - seen[1] == pytest.approx(0.1, rel=1e-3)
    assert abs(guess.item() - seen[-1]) < 1e-3
