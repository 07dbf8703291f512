"""Strip a fine-tuning to what serving needs: the LoRA, the class prototypes and a manifest, of MaPLe the visual prompts too.

A head, where one was learnt, is added to that. Without a fine-tuning, the adapter is the head alone.
Fusion network, absorption prompt, optimiser and queue are dropped. So is what a host trained in the text tower: the prototypes
are its result.
Source: Zhang et al. 2026, arXiv:2603.05235; METHOD.md, row "after the last step".
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version

from vtt_core.adapter.classify import zero_shot_prototypes
from vtt_core.adapter.files import UNWRITTEN, Adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.manifest import FORMAT_VERSION, NEWEST_VERSION, AdapterManifest, HeadFacts
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.heads.learn import LearntHead
from vtt_core.heads.linear_head import LinearHead
from vtt_core.heads.prediction_sets import nonconformity
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
    manifest = _manifest(backbone, finetune.labels, finetune.recipe, finetune.seed)
    manifest = replace(manifest, absorption_stopped_at=finetune.state.dgso.stopped_at)
    return Adapter(manifest, lora, prototypes_CD, finetune.recipe.logit_scale, prompts_JPW)


def frozen_adapter(backbone: Backbone, labels: Sequence[str], recipe: FinetuneRecipe, seed: int) -> Adapter:
    """Return an adapter that changes nothing of the tower and classifies by the class prompts: zero-shot."""
    tower = backbone.vision_tower
    lora = TowerLora(tower.num_layers, tower.width, rank=0, scaling=recipe.scaling).requires_grad_(False)
    lora = lora.to(backbone.device, backbone.dtype).eval()
    prototypes_CD = zero_shot_prototypes(backbone, labels, recipe.prompt_template)
    return Adapter(_manifest(backbone, tuple(labels), recipe, seed), lora, prototypes_CD, recipe.logit_scale)


def with_head(
    adapter: Adapter,
    learnt: LearntHead,
    *,
    strangers: LinearHead | None = None,
    has_negative: bool = False,
    added_labels: Sequence[str] = (),
) -> Adapter:
    """Return the adapter with a head that was learnt on its tower, rounded to float32.

    Args:
        adapter: with the labels of the head.
        learnt: the head.
        strangers: the row that tells generated images, learnt on the same tower.
        has_negative: whether the head's last row is the negative class.
        added_labels: those that were added to a model that was there before.
    """
    held, familiarity = learnt.held_out, learnt.familiarity
    kind = str(adapter.manifest.recipe["head"])
    num_real = len(adapter.manifest.labels)
    scores: list[float] = []
    if held is not None:
        is_real_N = held.labels_N < num_real
        scores = nonconformity(held.logits_NC[is_real_N, :num_real].softmax(dim=-1), held.labels_N[is_real_N])
    facts = HeadFacts(
        kind=kind,
        scales=learnt.scales,
        nonconformity=tuple(scores),
        familiarity=None if familiarity is None else asdict(familiarity.usual),
        has_negative=has_negative,
        added_labels=tuple(added_labels),
    )
    row = None if strangers is None else strangers.to_float()
    version = FORMAT_VERSION if adapter.manifest.bands is None else NEWEST_VERSION
    manifest = replace(adapter.manifest, format_version=version, head=facts)
    means_MF = None if familiarity is None else familiarity.means_CF.float()
    return replace(adapter, manifest=manifest, head=learnt.linear.to_float(), class_means_MF=means_MF, strangers=row)


def with_bands(adapter: Adapter, bands: BandChoice) -> Adapter:
    """Return the adapter with the bands that its images were shown in, so that prediction does the same."""
    return replace(adapter, manifest=replace(adapter.manifest, format_version=NEWEST_VERSION, bands=bands))


def _manifest(backbone: Backbone, labels: tuple[str, ...], recipe: FinetuneRecipe, seed: int) -> AdapterManifest:
    return AdapterManifest(
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
        library_versions={name: version(name) for name in LIBRARIES},
    )
