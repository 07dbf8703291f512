from collections.abc import Callable

import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.fast.job_gradients import gradients_of_jobs
from vtt_core.training.finetune import Finetune


def test_jobs_with_and_without_absorption_share_a_run(
    tiny_backbone_float64: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]
) -> None:
    vision_pass = VisionPass(tiny_backbone_float64.vision_tower)
    recipes = [make_recipe(), make_recipe(method="clip-lora"), make_recipe(rank=2, batch_size=3)]
    rows = [Finetune(tiny_backbone_float64, support_set, recipe, seed).next_rows() for seed, recipe in enumerate(recipes)]
    together = gradients_of_jobs(vision_pass, rows)
    assert [gradients.absorption_loss is None for gradients in together] == [False, True, False]
    for of_one, alone in zip(together, (gradients_of_jobs(vision_pass, [row])[0] for row in rows), strict=True):
        torch.testing.assert_close(of_one.classification_loss, alone.classification_loss, rtol=1e-10, atol=0)
        for name in ("host_classification", "host_absorption", "fusion_absorption"):
            for got, expected in zip(getattr(of_one, name), getattr(alone, name), strict=True):
                torch.testing.assert_close(got, expected, rtol=1e-8, atol=1e-12)
