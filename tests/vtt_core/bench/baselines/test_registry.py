"""Properties of every baseline."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.backbone import hash_weights
from vtt_core.bench.baselines.few_shot_task import FewShotTask
from vtt_core.bench.baselines.registry import BASELINES

pytestmark = pytest.mark.slow

every_baseline = pytest.mark.parametrize("name", list(BASELINES))


def test_the_names_are_those_of_the_documents() -> None:
    assert list(BASELINES) == ["zero-shot", "linear-probe", "tip-adapter", "tip-adapter-f", "ldc", "stepspt"]


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "zero-shot"])
def test_two_colours_are_distinguished_by_the_support_images(name: str, task: FewShotTask, query_labels_Q: Tensor) -> None:
    assert torch.equal(BASELINES[name](task, 0).argmax(dim=-1), query_labels_Q)


def test_zero_shot_tells_them_apart_by_what_the_prompts_say(
    make_training_data: Callable[..., FewShotTask], query_labels_Q: Tensor
) -> None:
    features_2D = make_training_data().view_features_VD[:6].unflatten(0, (2, 3)).mean(dim=1)
    difference_D = features_2D[0] - features_2D[1]
    middle_D = features_2D.mean(dim=0)
    difference_D = difference_D - middle_D * (difference_D @ middle_D) / (middle_D @ middle_D)
    prototypes_CD = functional.normalize(torch.stack((difference_D, -difference_D)), dim=-1)
    task = make_training_data(prototypes_CD=prototypes_CD)
    assert torch.equal(BASELINES["zero-shot"](task, 0).argmax(dim=-1), query_labels_Q)


@every_baseline
def test_the_same_seed_gives_the_same_bytes(name: str, make_training_data: Callable[..., FewShotTask]) -> None:
    torch.manual_seed(1)
    first_QC = BASELINES[name](make_training_data(), 7)
    torch.manual_seed(2)
    again_QC = BASELINES[name](make_training_data(), 7)
    assert first_QC.shape == (10, 2)
    assert first_QC.isfinite().all()
    assert not first_QC.requires_grad
    assert hash_weights({"logits": first_QC}) == hash_weights({"logits": again_QC})


@every_baseline
def test_nothing_of_the_problem_changes(name: str, make_training_data: Callable[..., FewShotTask]) -> None:
    task = make_training_data()

    def everything() -> str:
        inputs = {"views": task.views_V3HW, "labels": task.labels_V, "queries": task.queries_Q3HW}
        frozen = {"layers": task.view_layers_VLD, "prototypes": task.prototypes_CD}
        return hash_weights(task.backbone.clip.state_dict() | inputs | frozen)

    before = everything()
    BASELINES[name](task, 0)
    assert everything() == before
    assert not any(parameter.requires_grad for parameter in task.backbone.clip.parameters())
    assert all(parameter.grad is None for parameter in task.backbone.clip.parameters())


@every_baseline
def test_a_query_does_not_depend_on_the_others(name: str, make_training_data: Callable[..., FewShotTask]) -> None:
    task = make_training_data()
    alone = replace(task, queries_Q3HW=task.queries_Q3HW[3:4])
    beside_noise = replace(task, queries_Q3HW=torch.cat((task.queries_Q3HW[3:4], 9 * torch.randn(70, 3, 32, 32))))
    expected_1C = BASELINES[name](task, 0)[3:4]
    torch.testing.assert_close(BASELINES[name](alone, 0), expected_1C, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(BASELINES[name](beside_noise, 0)[:1], expected_1C, rtol=1e-4, atol=1e-4)


@every_baseline
def test_one_plain_image_a_class_is_enough(name: str, make_training_data: Callable[..., FewShotTask]) -> None:
    assert BASELINES[name](make_training_data(way=4, shot=1, num_views=1), 0).shape == (20, 4)
