"""Draw adapters as large as real ones, with random weights, to measure serving with."""

from __future__ import annotations

from dataclasses import replace

import torch

from vtt_core.adapter.files import UNWRITTEN, Adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.manifest import FORMAT_VERSION, AdapterManifest, HeadFacts
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.heads.linear_head import LinearHead
from vtt_core.labels.prompts import class_prompts
from vtt_core.lora.layers import TowerLora

B_STD = 0.01
"""Deviation of the entries of B: enough to change every probability."""


def synthetic_adapter(backbone: Backbone, seed: int, *, way: int = 10, has_head: bool = False) -> Adapter:
    """Return an adapter of the recipe's rank for a backbone.

    Args:
        backbone: that it will fit.
        seed: another one gives another adapter.
        way: number of classes.
        has_head: whether a head classifies, as in what the service publishes, and not the prototypes.
    """
    recipe, tower = FinetuneRecipe(), backbone.vision_tower
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lora = TowerLora(tower.num_layers, tower.width, recipe.rank, recipe.scaling).requires_grad_(False)
    lora.lora_B.normal_(std=B_STD, generator=generator)
    prototypes_CD = torch.nn.functional.normalize(torch.randn(way, backbone.joint_size, generator=generator), dim=-1)
    labels = tuple(f"class {index}" for index in range(way))
    manifest = AdapterManifest(
        format_version=1,
        backbone_id=backbone.backbone_id,
        backbone_sha256=backbone.weight_sha256,
        tensors_sha256=UNWRITTEN,
        labels=labels,
        prompts=class_prompts(labels, recipe.prompt_template),
        preprocessing=backbone.preprocessing,
        recipe=recipe.to_json(),
        seed=seed,
        absorption_stopped_at=None,
        library_versions={},
    )
    adapter = Adapter(manifest, lora, prototypes_CD, recipe.logit_scale)
    if not has_head:
        return adapter
    num_levels = tower.num_level_vectors * tower.width
    head = LinearHead(torch.randn(way, num_levels + backbone.joint_size, generator=generator), torch.zeros(way))
    facts = HeadFacts("sum", {"ridge": 1.0, "text": 0.0}, (0.1, 0.5, 0.9), {"mean": 0.5, "deviation": 0.1, "num_values": 25})
    return replace(
        adapter,
        manifest=replace(manifest, format_version=FORMAT_VERSION, head=facts),
        head=head,
        class_means_MF=torch.randn(way, num_levels, generator=generator),
        strangers=LinearHead(torch.randn(1, num_levels, generator=generator), torch.zeros(1)),
    )
