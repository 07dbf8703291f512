from collections.abc import Callable

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.diagnostics.training_run import TrainingRun, influence, look, watch
from vtt_core.contract.errors import RecipeError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.finetune import Finetune

STEPS = 3


@pytest.fixture(scope="module")
def support_set(make_support_set: Callable[..., SupportSet]) -> SupportSet:
    return make_support_set(way=3, shot=2)


@pytest.fixture(scope="module")
def watched(support_set: SupportSet, tiny_backbone: Backbone) -> TrainingRun:
    return watch(Finetune(tiny_backbone, support_set, FinetuneRecipe(iterations=STEPS), seed=1))


@pytest.mark.slow
def test_every_step_is_reported_and_shown(support_set: SupportSet, tiny_backbone: Backbone) -> None:
    shown: list[int] = []
    finetune = Finetune(tiny_backbone, support_set, FinetuneRecipe(iterations=STEPS), seed=1)
    found = watch(finetune, lambda report: shown.append(report.step))
    assert [report.step for report in found.steps] == shown == [1, 2, 3]


@pytest.mark.slow
def test_the_parts_have_the_sizes_of_the_sequence_and_of_the_classes(watched: TrainingRun) -> None:
    num_scan_steps = 2 * 3 + 1
    for seen in (watched.before, watched.after):
        assert seen.likeness_SS.shape == (num_scan_steps, num_scan_steps)
        assert torch.allclose(seen.likeness_SS.diagonal(), torch.ones(num_scan_steps), atol=1e-5)
        assert torch.allclose(seen.influence_S.sum(), torch.tensor(1.0))
        assert seen.agreement_CC.shape == (3, 3)
        assert seen.agreement_CC.abs().max() <= 1


@pytest.mark.slow
def test_the_first_two_vision_features_are_one(watched: TrainingRun) -> None:
    # The released sequence begins with the final image feature, and gives it again after the deepest text feature.
    assert watched.before.likeness_SS[0, 2] == pytest.approx(1, abs=1e-5)
    assert watched.before.likeness_SS[0, 1] < 0.999


@pytest.mark.slow
def test_training_moves_what_is_seen(watched: TrainingRun) -> None:
    assert not torch.equal(watched.before.agreement_CC, watched.after.agreement_CC)


@pytest.mark.slow
def test_looking_changes_nothing_of_a_fine_tuning(
    support_set: SupportSet, tiny_backbone: Backbone, watched: TrainingRun
) -> None:
    unseen = Finetune(tiny_backbone, support_set, FinetuneRecipe(iterations=STEPS), seed=1)
    assert [report.classification_loss for report in unseen.steps()] == [one.classification_loss for one in watched.steps]


@pytest.mark.slow
def test_a_step_that_the_fusion_does_not_read_has_no_influence(support_set: SupportSet, tiny_backbone: Backbone) -> None:
    finetune = Finetune(tiny_backbone, support_set, FinetuneRecipe(iterations=STEPS), seed=1)
    sequence_BSD = torch.randn(2, 7, tiny_backbone.joint_size)
    sequence_BSD[:, 4] = 0
    shares_S = influence(finetune, sequence_BSD)
    assert shares_S[4] == 0
    assert (shares_S[[0, 1, 2, 3, 5, 6]] > 0).all()
    assert look(finetune).influence_S.isfinite().all()


def test_a_method_without_absorption_is_refused(support_set: SupportSet, tiny_backbone: Backbone) -> None:
    finetune = Finetune(tiny_backbone, support_set, FinetuneRecipe(method="clip-lora", iterations=STEPS), seed=1)
    with pytest.raises(RecipeError, match="ends in \\+vtt"):
        watch(finetune)
