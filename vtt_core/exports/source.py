"""Read what an export is made of: the adapter, its backbone, its metrics, and our own answers to compare with.

Shapes: B images, R rows of a head.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from vtt_core.adapter.classify import adapter_scores, read_for
from vtt_core.adapter.files import Adapter, load_adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.clip_vision_tower import ClipVisionTower
from vtt_core.backbones.load import load_backbone
from vtt_core.contract.export_forms import check_form
from vtt_core.contract.exports import Agreement, ExportKind
from vtt_core.heads.generated_images import images_to_teach

METRICS_FILE = "metrics.json"
"""Lies beside an adapter that `vtt adapt` wrote."""


Stopwatch = Callable[[], float]


def no_time() -> float:
    """Stand in for a stopwatch where nobody asks for times."""
    return 0.0


@dataclass(frozen=True)
class ExportSource:
    """An adapter that is to be exported."""

    adapter: Adapter
    backbone: Backbone
    metrics: dict[str, Any]
    """What was measured; empty where that is not known."""
    images: tuple[Image, ...]
    """That both sides answer for, in RGB."""
    is_generated: bool = False
    """Whether these are no real images."""
    stopwatch: Stopwatch = no_time
    """Gives monotonic seconds."""

    @cached_property
    def own_scores_BR(self) -> Tensor:
        """Scores of every image by our own code, those of a negative class last."""
        with torch.inference_mode():
            return adapter_scores(self.adapter, read_for(self.backbone, self.adapter, self.images)).float()

    @cached_property
    def merged(self) -> Backbone:
        """A copy of the backbone with the LoRA added to its frozen weights."""
        return merged_backbone(self.backbone, self.adapter)

    def agreement(self, scores_BR: Tensor) -> Agreement:
        """Compare another library's scores of the images with our own."""
        num_classes = len(self.adapter.manifest.labels)
        own_BC, other_BC = self.own_scores_BR[:, :num_classes], scores_BR[:, :num_classes]
        same_B = own_BC.argmax(dim=-1) == other_BC.argmax(dim=-1)
        largest = (self.own_scores_BR - scores_BR).abs().max()
        return Agreement(len(self.images), float(largest), float(same_B.float().mean()))


def open_source(
    folder: Path,
    kind: ExportKind,
    images: Sequence[Image] | None,
    stopwatch: Stopwatch = no_time,
    backbone_of: Callable[[str], Backbone] = load_backbone,
) -> ExportSource:
    """Read an adapter's folder and load its backbone, which no export changes.

    Args:
        folder: that `vtt adapt` wrote.
        kind: what it is to become.
        images: to compare on, in RGB; None for generated ones.
        stopwatch: gives monotonic seconds.
        backbone_of: returns a backbone for its id.

    Raises:
        AdapterFormatError: the folder is no readable adapter.
        BackboneMismatchError: the backbone has other weights than the adapter was made for.
        UnsupportedExportError: the form has no place for the adapter.
    """
    adapter = load_adapter(folder)
    check_form(kind, adapter.manifest.backbone_id, str(adapter.manifest.recipe.get("method", "")))
    backbone = backbone_of(adapter.manifest.backbone_id)
    adapter.check_backbone(backbone)
    compared = tuple(images or images_to_teach("export", per_painter=1))
    return ExportSource(adapter, backbone, _read_metrics(folder), compared, not images, stopwatch)


def merged_backbone(backbone: Backbone, adapter: Adapter) -> Backbone:
    """Return a copy of the backbone whose vision tower has the LoRA in its weights."""
    clip = copy.deepcopy(backbone.clip)
    merged = Backbone(backbone.backbone_id, clip, backbone.tokenize, backbone.preprocessing, backbone.config)
    if adapter.lora.rank:
        with torch.no_grad():
            for index, block in enumerate(merged.vision_tower.blocks):
                is_clip = isinstance(merged.vision_tower, ClipVisionTower)
                weight_3WW = block.attn.in_proj_weight if is_clip else block.attn.qkv.weight
                weight_3WW += adapter.lora.layer(index).delta().to(weight_3WW)
    return merged


def _read_metrics(folder: Path) -> dict[str, Any]:
    """Return what `vtt adapt` measured; nothing where the file is missing or is not its."""
    try:
        metrics = json.loads((folder / METRICS_FILE).read_text(encoding="utf-8"))["metrics"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return metrics if isinstance(metrics, dict) else {}
