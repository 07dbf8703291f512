import torch

from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.training.adamw import AdamW

RECIPE = FinetuneRecipe(weight_decay=0.3, adam_beta1=0.8, adam_beta2=0.95, adam_epsilon=1e-6)


def drawn() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(size, generator=generator, requires_grad=True) for size in ((3, 4), (5,), (2, 2))]


def test_it_is_torchs_own_to_the_bit() -> None:
    ours, theirs, generator = drawn(), drawn(), torch.Generator().manual_seed(1)
    groups = [{"params": ours[:2], "start": 1}, {"params": ours[2:], "start": 2}]
    optimiser = AdamW(groups, RECIPE)
    betas = (RECIPE.adam_beta1, RECIPE.adam_beta2)
    stock = torch.optim.AdamW(
        [{"params": theirs[:2]}, {"params": theirs[2:]}],
        lr=RECIPE.host_learning_rate,
        betas=betas,
        eps=RECIPE.adam_epsilon,
        weight_decay=RECIPE.weight_decay,
        fused=True,
    )
    for step in range(5):
        for one, other in zip(ours, theirs, strict=True):
            # The second tensor has no gradient at first: it is left alone, decay included.
            drawn_gradient = torch.randn(one.shape, generator=generator)
            one.grad = other.grad = None if step < 2 and one.ndim == 1 else drawn_gradient
        for chosen in (optimiser, stock):
            for number, group in enumerate(chosen.param_groups):
                group["lr"] = 1e-2 / (step + 1 + number)
            chosen.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    for one, other in zip(ours, theirs, strict=True):
        assert {name: value.tolist() for name, value in optimiser.state[one].items()} == {
            name: value.tolist() for name, value in stock.state[other].items()
        }
