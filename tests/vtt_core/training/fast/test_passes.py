"""The fast path gives the plain path's losses and gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from vtt_core.backbones import product_choice
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.lora.dropout import draw_dropout
from vtt_core.training.fast.passes import FastGradients
from vtt_core.training.finetune import make_training_data, start_state
from vtt_core.training.step import StepGradients, TrainingState, plain_gradients

VIEWS = torch.tensor([0, 3, 5, 11, 7])
Setting = tuple[TrainingData, TrainingState, FinetuneRecipe, Batch]


@pytest.fixture
def make_setting(
    make_backbone: Callable[..., Backbone],
    in_float64: Callable[[Backbone], Backbone],
    support_set: SupportSet,
    make_recipe: Callable[..., FinetuneRecipe],
) -> Callable[..., Setting]:
    """Make a data and a state whose matrices are all drawn, so that every one has a gradient."""

    def make(*, is_double: bool = True, probability: float = 0.25, **architecture: object) -> Setting:
        backbone = make_backbone(**architecture)
        if is_double:
            backbone = in_float64(backbone)
        recipe = make_recipe()
        data, state = make_training_data(backbone, support_set, recipe, seed=0), start_state(backbone, recipe, seed=0)
        with torch.no_grad():
            state.lora.lora_B.normal_(std=0.05)
        tower = backbone.vision_tower
        shape = (tower.num_layers, 3, len(VIEWS), tower.num_tokens, tower.width)
        dropout = draw_dropout(probability, shape, torch.Generator().manual_seed(0))
        return data, state, recipe, Batch(VIEWS, dropout, is_absorbing=True)

    return make


def assert_same(fast: StepGradients, plain: StepGradients, tolerance: float) -> None:
    """Compare every loss and gradient; the tolerance is relative to the largest entry of each tensor."""
    torch.testing.assert_close(fast.classification_loss, plain.classification_loss.detach(), rtol=tolerance, atol=0)
    if plain.absorption_loss is not None:
        assert fast.absorption_loss is not None
        torch.testing.assert_close(fast.absorption_loss, plain.absorption_loss.detach(), rtol=tolerance, atol=0)
    for name in ("host_classification", "host_absorption", "fusion_absorption"):
        pairs = list(zip(getattr(fast, name), getattr(plain, name), strict=True))
        assert all(expected.any() for _, expected in pairs)
        for got, expected in pairs:
            assert (got - expected).abs().max().item() <= tolerance * expected.abs().max().item()


@pytest.mark.slow
@pytest.mark.parametrize("num_threads", [1, 2, 8])
@pytest.mark.parametrize(
    "architecture", [{}, {"quick_gelu": True}, {"vision_layers": 4, "text_layers": 2}, {"vision_layers": 1, "text_layers": 3}]
)
def test_it_equals_the_plain_path_in_float64(
    make_setting: Callable[..., Setting], architecture: dict[str, object], num_threads: int
) -> None:
    data, state, recipe, batch = make_setting(**architecture)
    plain = plain_gradients(data, state.host, state.fusion, recipe, batch)
    assert_same(FastGradients(data, state.host, state.fusion, recipe, num_threads)(batch), plain, 1e-9)


def test_it_equals_the_plain_path_in_float32(make_setting: Callable[..., Setting]) -> None:
    data, state, recipe, batch = make_setting(is_double=False)
    plain = plain_gradients(data, state.host, state.fusion, recipe, batch)
    assert_same(FastGradients(data, state.host, state.fusion, recipe)(batch), plain, 1e-5)


def test_it_equals_the_plain_path_without_dropout(make_setting: Callable[..., Setting]) -> None:
    data, state, recipe, batch = make_setting(probability=0.0)
    assert batch.dropout is None
    plain = plain_gradients(data, state.host, state.fusion, recipe, batch)
    assert_same(FastGradients(data, state.host, state.fusion, recipe)(batch), plain, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("num_threads", [1, 2])
def test_after_the_switch_off_there_is_one_loss(make_setting: Callable[..., Setting], num_threads: int) -> None:
    data, state, recipe, batch = make_setting()
    batch = replace(batch, is_absorbing=False)
    plain = plain_gradients(data, state.host, state.fusion, recipe, batch)
    fast = FastGradients(data, state.host, state.fusion, recipe, num_threads)(batch)
    assert_same(fast, plain, 1e-9)
    assert fast.absorption_loss is None
    assert (fast.host_absorption, fast.fusion_absorption) == ((), ())


def test_a_layer_scale_is_followed(make_setting: Callable[..., Setting]) -> None:
    data, state, recipe, batch = make_setting()
    for block in data.backbone.vision_tower.blocks:
        for name in ("ls_1", "ls_2"):
            scale = torch.nn.Module()
            scale.gamma = torch.rand(64, dtype=torch.float64)  # type: ignore[assignment]
            scale.forward = lambda x, gamma=scale.gamma: x * gamma
            setattr(block, name, scale)
    plain = plain_gradients(data, state.host, state.fusion, recipe, batch)
    assert_same(FastGradients(data, state.host, state.fusion, recipe)(batch), plain, 1e-9)


def test_nothing_is_left_on_the_backbone(make_setting: Callable[..., Setting]) -> None:
    data, state, recipe, batch = make_setting()
    FastGradients(data, state.host, state.fusion, recipe)(batch)
    assert all(parameter.grad is None for parameter in data.backbone.clip.parameters())
    assert all(parameter.grad is None for parameter in state.lora.parameters())


def test_bfloat16_products_change_gradients_by_little(
    make_setting: Callable[..., Setting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(product_choice, "bfloat16_instructions", lambda: "AMX")
    data, state, recipe, batch = make_setting(is_double=False)
    plain = plain_gradients(data, state.host, state.fusion, recipe, batch)
    rounded = FastGradients(data, state.host, state.fusion, replace(recipe, products="fastest"))(batch)
    exact = [*plain.host_classification, *plain.host_absorption]
    pairs = zip(exact, [*rounded.host_classification, *rounded.host_absorption], strict=True)
    distances = [float((one - other).norm() / one.norm()) for one, other in pairs if one.norm() > 0]
    assert distances
    assert 1e-5 < min(distances)  # bfloat16 has 8 significant bits: a part of 2^-9 each
    assert max(distances) < 0.03
