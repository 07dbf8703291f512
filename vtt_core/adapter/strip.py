"""Strip a fine-tuning to what serving needs: the LoRA, the class prototypes and a manifest, of MaPLe the visual prompts too.

Fusion network, absorption prompt, optimiser and queue are dropped. So is what a host trained in the text tower: the prototypes
are its result.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, row "after the last step".
"""

from __future__ import annotations

import copy
from importlib.metadata import version

from vtt_core.adapter.files import UNWRITTEN, Adapter
from vtt_core.contract.manifest import FORMAT_VERSION, AdapterManifest
from vtt_core.labels.prompts import class_prompts
from vtt_core.lora.layers import TowerLora
from vtt_core.training.finetune import Finetune

LIBRARIES = ("torch", "open_clip_torch", "pillow", "numpy", "safetensors", "vtt-service")
"""Whose versions a manifest names."""


def strip(finetune: Finetune) -> Adapter:
    """Return the adapter of a finished (or interrupted) fine-tuning; logits stay bit-equal."""
    host, backbone = finetune.state.host, finetune.backbone
    tower = backbone.vision_tower
    lora = host.vision_lora or TowerLora(tower.num_layers, tower.width, rank=0, scaling=finetune.recipe.scaling)
    lora = copy.deepcopy(lora).requires_grad_(False).to(backbone.device, backbone.dtype).eval()
    prototypes_CD, prompts_JPW = host.prototypes(finetune.data), host.visual_prompts()
    if prompts_JPW is not None:
        prompts_JPW = prompts_JPW.detach().clone()
    manifest = AdapterManifest(
        format_version=FORMAT_VERSION,
        backbone_id=backbone.backbone_id,
        backbone_sha256=backbone.weight_sha256,
        tensors_sha256=UNWRITTEN,
        labels=finetune.labels,
        prompts=class_prompts(finetune.labels, finetune.recipe.prompt_template),
        preprocessing=backbone.preprocessing,
        recipe=finetune.recipe.to_json(),
        seed=finetune.seed,
        absorption_stopped_at=finetune.state.dgso.stopped_at,
        library_versions={name: version(name) for name in LIBRARIES},
    )
    return Adapter(manifest, lora, prototypes_CD, finetune.recipe.logit_scale, prompts_JPW)
