from collections.abc import Callable
from functools import partial

import pytest
import torch

from tests.vtt_core.training.fast.test_fast_gradients import assert_same
from vtt_core.absorption.cached_prefix import CachedPrompt
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.fast.graph import ReplayedGradients, make_gradients_of_jobs
from vtt_core.training.fast.job_gradients import JobRows, gradients_of_jobs
from vtt_core.training.finetune import Finetune, make_training_data
from vtt_core.training.gradients import plain_gradients
from vtt_core.training.step import apply_gradients

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def next_rows(finetune: Finetune) -> JobRows:
    data, state = finetune.data, finetune.state
    prompt = CachedPrompt(data.backbone.text_tower, data.prompt)
    return JobRows(data, prompt, state.lora, state.fusion, finetune.recipe, finetune.next_batch())


def test_a_cpu_replays_nothing(tiny_backbone: Backbone) -> None:
    run = make_gradients_of_jobs(tiny_backbone.vision_tower)
    assert isinstance(run, partial)
    assert run.func is gradients_of_jobs


def test_what_comes_once_is_not_recorded(
    tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    run = make_gradients_of_jobs(tiny_backbone.vision_tower)
    finetunes = [Finetune(tiny_backbone, support_set, make_recipe(batch_size=size), seed=0) for size in (2, 3, 4, 5, 6)]
    replayed = ReplayedGradients(run)
    for finetune in finetunes:  # each shape for the first time, more of them than are remembered
        rows = next_rows(finetune)
        [got], [expected] = replayed([rows]), run([rows])
        assert torch.equal(got.host_classification[0], expected.host_classification[0])


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("is_absorbing", [True, False])
def test_a_replay_equals_the_plain_path(
    tiny_backbone_float64: Backbone,
    support_set: SupportSet,
    make_recipe: Callable[..., FinetuneRecipe],
    is_absorbing: bool,
) -> None:
    clip = tiny_backbone_float64.clip.cuda()
    backbone = Backbone("tiny", clip, tiny_backbone_float64.tokenize, tiny_backbone_float64.preprocessing)
    recipe = make_recipe(method="clip-lora+vtt" if is_absorbing else "clip-lora")
    finetune = Finetune(backbone, support_set, recipe, seed=0)
    data = make_training_data(backbone, support_set, recipe, seed=0)
    replayed = make_gradients_of_jobs(backbone.vision_tower)
    for _ in range(4):
        rows = next_rows(finetune)
        expected = plain_gradients(data, rows.lora, rows.fusion, recipe, rows.batch)
        [got] = replayed([rows])
        assert_same(got, expected, 1e-9)
        apply_gradients(finetune.state, recipe, got)
