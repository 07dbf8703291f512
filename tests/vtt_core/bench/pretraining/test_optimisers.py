"""Each parameter has the right optimiser, whose state survives a checkpoint."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.optim import AdamW, Muon

from vtt_core.backbones.mini.model import build_mini
from vtt_core.bench.pretraining.optimisers import (
    is_of_muon,
    make_optimisers,
    optimiser_state,
    restore_optimiser_state,
    take_step,
)
from vtt_core.bench.pretraining.side_by_side import SideBySide

pytestmark = pytest.mark.usefixtures("small_towers")


def parameters() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(build_mini().visual.named_parameters())


def give_gradients(values: dict[str, torch.Tensor], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for value in values.values():
        value.grad = torch.randn(value.shape, generator=generator)


def test_muon_moves_the_matrices_of_blocks_and_the_projection_alone() -> None:
    of_muon = {name for name, value in parameters().items() if is_of_muon(name, value)}
    assert {"proj", "transformer.resblocks.0.attn.in_proj_weight", "transformer.resblocks.1.mlp.c_fc.weight"} <= of_muon
    assert not {"conv1.weight", "class_embedding", "positional_embedding", "ln_post.weight"} & of_muon


def test_every_parameter_is_moved_by_one_optimiser() -> None:
    values = parameters()
    *muons, adamw = make_optimisers(values, 0.02, 1e-3, 0.0, num_threads=2)
    assert [type(muon) for muon in muons] == [Muon, Muon]
    assert isinstance(adamw, AdamW)
    owned = [id(value) for optimiser in (*muons, adamw) for group in optimiser.param_groups for value in group["params"]]
    assert sorted(owned) == sorted(map(id, values.values()))


def test_a_learning_rate_of_zero_moves_nothing() -> None:
    values = parameters()
    before = copy.deepcopy(values)
    give_gradients(values, 0)
    take_step(make_optimisers(values, 0.02, 1e-3, 0.05), 0.0, SideBySide(1))
    assert all(torch.equal(values[name], before[name]) for name in values)


def test_a_restored_state_goes_on_as_the_original() -> None:
    values = parameters()
    optimisers = make_optimisers(values, 0.02, 1e-3, 0.05)
    give_gradients(values, 0)
    take_step(optimisers, 1.0, SideBySide(1))
    others = {name: value.detach().clone().requires_grad_() for name, value in values.items()}
    resumed = make_optimisers(others, 0.02, 1e-3, 0.05, num_threads=2)
    restore_optimiser_state(resumed, others, optimiser_state(optimisers, values))
    for each, whose in ((optimisers, values), (resumed, others)):
        give_gradients(whose, 1)
        take_step(each, 0.5, SideBySide(2))
    assert all(torch.equal(values[name], others[name]) for name in values)
