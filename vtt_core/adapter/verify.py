"""Verify what will be published: reload it, and compare its scores bit for bit with those of what was learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from PIL.Image import Image
from torch import Tensor

from vtt_core.adapter.adaptation import Adapted
from vtt_core.adapter.classify import adapter_scores, read, read_for
from vtt_core.adapter.files import adapter_from_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import VerificationError


def verify(backbone: Backbone, adapted: Adapted, files: Mapping[str, bytes], images: Sequence[Image]) -> None:
    """Refuse files that classify otherwise than what was learnt.

    Args:
        backbone: it was learnt on.
        adapted: what was learnt, still with everything that training needs.
        files: what will be published, as it was written.
        images: in RGB, of any size; they are read twice.

    Raises:
        VerificationError: the reloaded adapter gives other scores.
    """
    learnt_BC, reloaded_BC = scores_before_and_after(backbone, adapted, files, images)
    if not torch.equal(learnt_BC, reloaded_BC):
        raise VerificationError(
            expected="bit-equal scores before and after strip, save and load",
            got=f"differences of up to {(learnt_BC - reloaded_BC).abs().max().item():.2e}",
            remedy="Report this with the job's id; nothing was published",
        )


def scores_before_and_after(
    backbone: Backbone, adapted: Adapted, files: Mapping[str, bytes], images: Sequence[Image]
) -> tuple[Tensor, Tensor]:
    """Return scores_BC of what was learnt, and of the adapter that was written; they should be equal to the bit."""
    with torch.inference_mode():
        if adapted.base is not None:
            readout = read_for(backbone, adapted.base, images)
        elif adapted.finetune is None:
            readout = read(backbone, images)
        else:
            host = adapted.finetune.state.host
            readout = read(backbone, images, host.vision_lora, host.visual_prompts())
        reloaded = adapter_from_files(files)
        return adapter_scores(adapted.adapter, readout), adapter_scores(reloaded, read_for(backbone, reloaded, images))
