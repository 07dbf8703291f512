import dataclasses
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from vtt_core.absorption.prompt import absorb
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.contract.progress import StepReport
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.fusion.sequence import interleave_layers
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.finetune import make_training_data, start_state
from vtt_core.training.losses import absorption_loss, class_logits, classification_loss
from vtt_core.training.optimisers import learning_rate, make_optimisers
from vtt_core.training.step import TrainingState, plain_gradients, train_step

BATCH = torch.tensor([0, 3, 5, 11])


@pytest.fixture
def recipe(make_recipe: Callable[..., FinetuneRecipe]) -> FinetuneRecipe:
    return make_recipe()


@pytest.fixture(params=["even", "uneven"])
def backbone(
    request: pytest.FixtureRequest,
    tiny_backbone: Backbone,
    uneven_backbone: Backbone,
    in_float64: Callable[[Backbone], Backbone],
) -> Backbone:
    return in_float64(tiny_backbone if request.param == "even" else uneven_backbone)


@pytest.fixture
def data(backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe) -> TrainingData:
    return make_training_data(backbone, support_set, recipe, seed=0)


@pytest.fixture
def state(backbone: Backbone, recipe: FinetuneRecipe) -> TrainingState:
    """A start whose B matrices are not zero, so that every LoRA tensor has a gradient."""
    state = start_state(backbone, recipe, seed=0)
    with torch.no_grad():
        state.lora.lora_B.normal_(std=0.05)
    return state


def take(data: TrainingData, state: TrainingState, recipe: FinetuneRecipe) -> StepReport:
    batch = Batch(BATCH, None, state.dgso.is_absorbing)
    return train_step(state, recipe, batch, partial(plain_gradients, data, state.host, state.fusion, recipe))


def losses(data: TrainingData, state: TrainingState, recipe: FinetuneRecipe) -> tuple[Tensor, Tensor]:
    """Compute both losses of a batch, written out once more."""
    labels_B = data.labels_V[BATCH]
    vision_BLD = data.backbone.vision_tower.layer_features(data.views_V3HW[BATCH], state.lora)
    fused_BD = state.fusion(interleave_layers(vision_BLD, data.text_CLD[labels_B]))
    absorbed_BD = absorb(data.backbone.text_tower, data.prompt, fused_BD)
    logits_BC = class_logits(vision_BLD[:, -1], data.prototypes_CD, recipe.logit_scale)
    return classification_loss(logits_BC, labels_B), absorption_loss(absorbed_BD, vision_BLD[:, -1])


def _projected(g_comb: Tensor, g_ce: Tensor) -> tuple[Tensor, float]:
    """Project one matrix's gradient, written out once more."""
    dot, length = (g_comb * g_ce).sum(), g_ce.norm()
    return g_comb - dot / length**2 * g_ce if dot < 0 else g_comb, (dot / (g_comb.norm() * length)).item()


class TestGradients:
    @pytest.mark.slow
    @pytest.mark.parametrize("has_conflict", [False, True])
    def test_lora_gets_the_projected_and_fusion_the_plain_gradient_of_the_combined_loss(
        self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe, has_conflict: bool
    ) -> None:
        if has_conflict:
            recipe = dataclasses.replace(recipe, absorption_weight=1000.0, logit_scale=1.0)
        lora, fusion = list(state.lora.parameters()), list(state.fusion.parameters())
        loss_ce, loss_vtt = losses(data, state, recipe)
        combined = torch.autograd.grad(loss_ce + recipe.absorption_weight * loss_vtt, lora + fusion, retain_graph=True)
        classification = torch.autograd.grad(loss_ce, lora)
        expected, cosines = [], []
        for g_comb, g_ce in zip(combined, classification, strict=False):
            matrices = [_projected(*pair) for pair in zip(g_comb.flatten(0, 1), g_ce.flatten(0, 1), strict=True)]
            expected.append(torch.stack([gradient for gradient, _ in matrices]).view(g_comb.shape))
            cosines += [cosine for _, cosine in matrices]
        report = take(data, state, recipe)
        for parameter, gradient in zip(lora + fusion, [*expected, *combined[len(lora) :]], strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
        assert report.conflict_cosine == pytest.approx(sum(cosines) / len(cosines), abs=1e-12)
        assert max(cosines) > 0
        assert (min(cosines) < 0) is has_conflict
        assert report.classification_loss == pytest.approx(loss_ce.item(), rel=1e-12)
        assert report.absorption_loss == pytest.approx(loss_vtt.item(), rel=1e-12)

    def test_after_the_switch_off_lora_gets_the_plain_classification_gradient(
        self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe
    ) -> None:
        state.dgso.is_absorbing = False
        lora = list(state.lora.parameters())
        expected = torch.autograd.grad(losses(data, state, recipe)[0], lora)
        report = take(data, state, recipe)
        for parameter, gradient in zip(lora, expected, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)
        assert report.absorption_loss is None
        assert report.conflict_cosine is None

    def test_the_backbone_gets_none_and_stays_bit_unchanged(
        self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe, backbone: Backbone
    ) -> None:
        before = hash_weights(backbone.clip.state_dict())
        for _ in range(2):
            take(data, state, recipe)
        assert all(parameter.grad is None for parameter in backbone.clip.parameters())
        assert all(parameter.grad is not None for parameter in state.lora.parameters())
        assert all(parameter.grad is not None for parameter in state.fusion.parameters())
        assert hash_weights(backbone.clip.state_dict()) == before

    def test_at_start_gradients_of_a_are_zero_and_count_as_agreement(
        self, data: TrainingData, backbone: Backbone, recipe: FinetuneRecipe
    ) -> None:
        fresh = start_state(backbone, recipe, seed=0)
        report = take(data, fresh, recipe)
        for name, parameter in fresh.lora.named_parameters():
            assert parameter.grad is not None
            assert bool(parameter.grad.any()) is name.endswith("lora_B")
        assert report.conflict_cosine is not None
        assert report.conflict_cosine > -1e-9, "half of the tensors count as +1"


class TestSwitchOff:
    def test_the_step_that_triggers_it_still_uses_its_combined_gradient(
        self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe
    ) -> None:
        state.dgso.queue = [1.0, -1e9]
        before = hash_weights(state.fusion.state_dict())
        report = take(data, state, recipe)
        assert report.absorption_loss is not None
        assert not report.is_absorbing
        assert report.absorption_stopped_at == state.dgso.stopped_at == 2
        assert hash_weights(state.fusion.state_dict()) != before

    def test_adamw_then_leaves_the_fusion_network_alone_decay_included(
        self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe
    ) -> None:
        recipe = dataclasses.replace(recipe, weight_decay=0.5)
        state.optimisers = make_optimisers(state.host.parameters(), state.fusion.parameters(), recipe)
        take(data, state, recipe)
        state.dgso.is_absorbing = False
        fusion, lora = hash_weights(state.fusion.state_dict()), hash_weights(state.lora.state_dict())
        for _ in range(2):
            take(data, state, recipe)
        assert hash_weights(state.fusion.state_dict()) == fusion
        assert hash_weights(state.lora.state_dict()) != lora

    def test_the_queue_gets_one_entry_a_step_until_then(
        self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe
    ) -> None:
        reports = [take(data, state, recipe) for _ in range(2)]
        assert state.dgso.queue == [1.0, *(report.conflict_cosine for report in reports)]
        state.dgso.is_absorbing = False
        take(data, state, recipe)
        assert len(state.dgso.queue) == 3


class TestLearningRate:
    @pytest.mark.parametrize("start", [2e-4, 5e-4])
    def test_it_equals_torchs_cosine_schedule_step_by_step(self, start: float) -> None:
        recipe = FinetuneRecipe()
        parameter = torch.nn.Parameter(torch.zeros(1))
        optimiser = torch.optim.SGD([parameter], lr=start)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, T_max=8 * recipe.iterations, eta_min=recipe.min_learning_rate
        )
        for step in range(recipe.iterations):
            assert learning_rate(start, step, recipe) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9)
            optimiser.step()
            schedule.step()

    def test_it_ends_at_96_percent_of_its_start(self) -> None:
        recipe = FinetuneRecipe()
        assert learning_rate(2e-4, 0, recipe) == 2e-4
        assert learning_rate(2e-4, 250, recipe) / 2e-4 == pytest.approx(0.962, abs=1e-3)

    def test_each_group_follows_its_own_start(self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe) -> None:
        recipe = dataclasses.replace(recipe, host_learning_rate=1e-3, fusion_learning_rate=3e-3)
        state.optimisers = make_optimisers(state.host.parameters(), state.fusion.parameters(), recipe)
        for step in range(3):
            take(data, state, recipe)
            rates = [group["lr"] for group in state.optimisers[0].param_groups]
            assert rates == [learning_rate(1e-3, step, recipe), learning_rate(3e-3, step, recipe)]


class TestWarmUp:
    def test_the_first_steps_are_taken_at_its_rate_and_the_schedule_does_not_wait(self) -> None:
        recipe = make_recipe("coop", changes={"warm_up_steps": 3, "iterations": 10})
        rates = [learning_rate(2e-3, step, recipe, recipe.warm_up_steps) for step in range(5)]
        assert rates == [1e-5, 1e-5, 1e-5, learning_rate(2e-3, 3, recipe), learning_rate(2e-3, 4, recipe)]

    def test_the_fusion_network_has_none(self, data: TrainingData, state: TrainingState, recipe: FinetuneRecipe) -> None:
        recipe = dataclasses.replace(recipe, warm_up_steps=2)
        state.optimisers = make_optimisers(state.host.parameters(), state.fusion.parameters(), recipe)
        take(data, state, recipe)
        assert [group["lr"] for group in state.optimisers[0].param_groups] == [1e-5, recipe.fusion_learning_rate]


def test_a_host_by_sgd_leaves_the_fusion_network_to_adamw(
    data: TrainingData, state: TrainingState, recipe: FinetuneRecipe
) -> None:
    recipe = dataclasses.replace(recipe, optimiser="sgd")
    state.optimisers = make_optimisers(state.host.parameters(), state.fusion.parameters(), recipe)
    assert [type(optimiser).__name__ for optimiser in state.optimisers] == ["SGD", "AdamW"]
    before = [parameter.detach().clone() for parameter in state.lora.parameters()]
    take(data, state, recipe)
    for old, parameter in zip(before, state.lora.parameters(), strict=True):
        assert parameter.grad is not None
        expected = old - recipe.host_learning_rate * (parameter.grad + recipe.weight_decay * old)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-9, atol=1e-12)


def test_without_projection_the_lora_gets_the_combined_gradient(
    data: TrainingData, state: TrainingState, recipe: FinetuneRecipe
) -> None:
    recipe = dataclasses.replace(recipe, projects_conflict=False, absorption_weight=1000.0, logit_scale=1.0)
    loss_ce, loss_vtt = losses(data, state, recipe)
    lora = list(state.lora.parameters())
    expected = torch.autograd.grad(loss_ce + recipe.absorption_weight * loss_vtt, lora)
    report = take(data, state, recipe)
    assert report.conflict_cosine is not None
    for parameter, gradient in zip(lora, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-9, atol=1e-12)


def test_the_update_is_adamws(data: TrainingData, state: TrainingState, recipe: FinetuneRecipe) -> None:
    before = [parameter.detach().clone() for parameter in state.lora.parameters()]
    take(data, state, recipe)
    for old, parameter in zip(before, state.lora.parameters(), strict=True):
        gradient, rate = parameter.grad, recipe.host_learning_rate
        assert gradient is not None
        expected = old * (1 - rate * recipe.weight_decay) - rate * gradient / (gradient.abs() + recipe.adam_epsilon)
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-9, atol=1e-12)


def test_prototypes_are_unit_text_features_of_the_last_layer(data: TrainingData) -> None:
    torch.testing.assert_close(data.prototypes_CD.norm(dim=-1), torch.ones(3, dtype=torch.float64))
    last_CD = data.text_CLD[:, -1]
    torch.testing.assert_close(data.prototypes_CD * last_CD.norm(dim=-1, keepdim=True), last_CD)


def test_without_absorption_only_the_classification_loss_is_computed(
    data: TrainingData, state: TrainingState, recipe: FinetuneRecipe
) -> None:
    on, off = (
        plain_gradients(data, state.host, state.fusion, recipe, Batch(BATCH, None, is_absorbing=flag)) for flag in (True, False)
    )
    assert torch.equal(on.classification_loss, off.classification_loss)
    for got, expected in zip(off.host_classification, on.host_classification, strict=True):
        torch.testing.assert_close(got, expected)
    assert (off.absorption_loss, off.host_absorption, off.fusion_absorption) == (None, (), ())
