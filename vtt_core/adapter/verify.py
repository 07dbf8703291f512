"""Verify what will be published: reload it, compare logits bit for bit, measure it beside simple baselines.

All metrics are on the support set itself. The adapter has seen these images, so its accuracy is an upper
bound; zero-shot has not, and the linear probe leaves each image out in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from vtt_core.adapter.classify import image_features, logits
from vtt_core.adapter.files import adapter_from_files
from vtt_core.adapter.linear_probe import leave_one_out_predictions
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.decode_small import decode_support
from vtt_core.contract.errors import VerificationError
from vtt_core.contract.interval import wilson_half_width
from vtt_core.contract.support_set import SupportSet
from vtt_core.training.finetune import Finetune
from vtt_core.training.losses import class_logits


def verify(backbone: Backbone, trained: Finetune, files: Mapping[str, bytes], support_set: SupportSet) -> dict[str, Any]:
    """Return the metrics of an adapter that was written.

    Args:
        backbone: it was trained on.
        trained: the fine-tuning, still with everything that training needs.
        files: what will be published, as it was written.
        support_set: the images it was trained on.

    Raises:
        VerificationError: the reloaded adapter gives other logits.
    """
    images = decode_support(support_set, backbone.preprocessing, trained.limits, trained.num_threads)
    labels = [index for index, support_class in enumerate(support_set.classes) for _ in support_class.images]
    labels_B = torch.tensor(labels, device=backbone.device)
    trained_BC, reloaded_BC = logits_before_and_after(backbone, trained, files, images)
    if not torch.equal(trained_BC, reloaded_BC):
        raise VerificationError(
            expected="bit-equal logits before and after strip, save and load",
            got=f"differences of up to {(trained_BC - reloaded_BC).abs().max().item():.2e}",
            remedy="Report this with the job's id; nothing was published",
        )
    frozen_BD = image_features(backbone, images)
    zero_shot_BC = class_logits(frozen_BD, trained.data.prototypes_CD, trained.recipe.logit_scale)
    probe_B = leave_one_out_predictions(frozen_BD, labels_B, support_set.way)
    return {
        "num_support_images": len(labels),
        "support": _accuracy(reloaded_BC.argmax(dim=-1), labels_B),
        "zero_shot": _accuracy(zero_shot_BC.argmax(dim=-1), labels_B),
        "linear_probe_leave_one_out": _accuracy(probe_B, labels_B),
    }


def logits_before_and_after(
    backbone: Backbone, trained: Finetune, files: Mapping[str, bytes], images: Sequence[Image]
) -> tuple[Tensor, Tensor]:
    """Return logits_BC of what was trained, and of the adapter that was written; they should be equal to the bit.

    Args:
        backbone: it was trained on.
        trained: the fine-tuning, still with everything that training needs.
        files: the stripped adapter as it was written.
        images: in RGB, of any size; they are read twice.
    """
    host = trained.state.host
    with torch.inference_mode():
        features_BD = image_features(backbone, images, host.vision_lora, host.visual_prompts())
        trained_BC = class_logits(features_BD, host.prototypes(trained.data), trained.recipe.logit_scale)
    return trained_BC, logits(backbone, adapter_from_files(files), images)


def _accuracy(predicted_B: Tensor, labels_B: Tensor) -> dict[str, float]:
    correct = int((predicted_B == labels_B).sum())
    return {"accuracy": correct / len(labels_B), "ci95": wilson_half_width(correct, len(labels_B))}
