"""Make the host that a recipe names."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.backbones.towers import TextTower, VisionTower
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.hosts.clip_lora import ClipLora
from vtt_core.hosts.coop import CoOp
from vtt_core.hosts.host import Host
from vtt_core.hosts.maple import MaPLe
from vtt_core.lora.dropout import Dropout, draw_dropout
from vtt_core.lora.layers import PROJECTIONS, TowerLora


def make_host(backbone: Backbone, labels: Sequence[str], recipe: FinetuneRecipe) -> Host:
    """Return the host, drawn from torch's global generator, with the backbone's type and device.

    Raises:
        PromptError: a class prompt does not fit the text tower or the host.
    """
    host = _make(backbone, labels, recipe)
    return host.to(backbone.device, backbone.dtype)


def _make(backbone: Backbone, labels: Sequence[str], recipe: FinetuneRecipe) -> Host:
    if recipe.host == "coop":
        return CoOp(backbone, labels, recipe)
    if recipe.host == "maple":
        return MaPLe(backbone, labels, recipe)
    if recipe.host == "clip-lora":
        return ClipLora(_make_lora(backbone.vision_tower, recipe))
    vision_lora = _make_lora(backbone.vision_tower, recipe) if recipe.host == "clip-lora-both" else None
    tokens_CT = tokenize_classes(backbone.tokenize, labels, recipe.prompt_template).to(backbone.device)
    return ClipLora(vision_lora, _make_lora(backbone.text_tower, recipe), tokens_CT)


def _make_lora(tower: VisionTower | TextTower, recipe: FinetuneRecipe) -> TowerLora:
    return TowerLora(tower.num_layers, tower.width, recipe.rank, recipe.scaling, recipe.lora_dropout)


def draw_vision_dropout(
    backbone: Backbone, lora: TowerLora | None, num_images: int, generator: torch.Generator
) -> Dropout | None:
    """Return what one step drops of the inputs of a vision tower's LoRA."""
    if lora is None:
        return None
    tower = backbone.vision_tower
    shape = (tower.num_layers, len(PROJECTIONS), num_images, tower.num_tokens, tower.width)
    return draw_dropout(lora.dropout, shape, generator)


def draw_text_dropout(backbone: Backbone, host: Host, generator: torch.Generator) -> Dropout | None:
    """Return what one step drops of the inputs of a text tower's LoRA."""
    if host.text_lora is None:
        return None
    assert isinstance(host, ClipLora)
    tower = backbone.text_tower
    num_classes, num_tokens = tower.cut_padding(host.tokens_CT).shape
    shape = (tower.num_layers, len(PROJECTIONS), num_classes, num_tokens, tower.width)
    return draw_dropout(host.text_lora.dropout, shape, generator)
