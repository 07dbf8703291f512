from collections.abc import Callable

import pytest
import torch

from tests.vtt_core.training.fast.test_passes import assert_same
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.fast.graph import ReplayedGradients
from vtt_core.training.fast.passes import FastGradients, PassGradients
from vtt_core.training.finetune import Finetune
from vtt_core.training.step import apply_gradients, plain_gradients

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_what_comes_once_is_not_recorded(
    tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    # On a CPU recording fails; here each shape comes for the first time, and more of them than are remembered.
    for size in (2, 3, 4, 5, 6):
        finetune = Finetune(tiny_backbone, support_set, make_recipe(batch_size=size), seed=0)
        run = PassGradients(finetune.data, finetune.state.host, finetune.state.fusion, finetune.recipe)
        batch = finetune.next_batch()
        assert torch.equal(ReplayedGradients(run)(batch).host_classification[0], run(batch).host_classification[0])


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
    data, state = finetune.data, finetune.state
    replayed = FastGradients(data, state.host, state.fusion, recipe)
    for _ in range(4):
        batch = finetune.next_batch()
        expected = plain_gradients(data, state.host, state.fusion, recipe, batch)
        got = replayed(batch)
        assert_same(got, expected, 1e-9)
        apply_gradients([state], state.parameters, state.optimisers, recipe, got)
