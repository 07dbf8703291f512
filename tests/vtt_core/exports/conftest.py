"""Adapters with everything that an adapter can have, made without training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from PIL import Image

from tests.fixtures.manifests import make_manifest
from tests.fixtures.tiny_backbones import read_config, tiny_backbone
from vtt_core.adapter.files import Adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import backbone_from_files
from vtt_core.backbones.timm_import import timm
from vtt_core.bench.hosts.small_backbones import vit_small_pe_core_of_vtt
from vtt_core.contract.manifest import HeadFacts, Preprocessing
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.exports.source import ExportSource
from vtt_core.heads.linear_head import LinearHead
from vtt_core.lora.layers import TowerLora

BackboneOf = Callable[[str], Backbone]
MakeAdapter = Callable[..., Adapter]
MakeSource = Callable[..., ExportSource]
EXPORTED_LABELS = ("river", "forest", "sea ice")


def vit_three_pe_core_of_vtt(pretrained: bool = False, **changes: Any) -> Any:
    """Return the small PE-Core with a layer more: of a tower of two, two of the three depths that are read are one."""
    return vit_small_pe_core_of_vtt(pretrained, **{"depth": 3} | changes)


if not timm.is_model(vit_three_pe_core_of_vtt.__name__):
    timm.models.register_model(vit_three_pe_core_of_vtt)


@pytest.fixture(scope="session")
def backbone_of(tmp_path_factory: pytest.TempPathFactory) -> BackboneOf:
    """Return a small backbone of a kind, with three vision layers at least."""
    config = read_config("pe-core")
    config["vision_cfg"]["timm_model_name"] = vit_three_pe_core_of_vtt.__name__
    file = tmp_path_factory.mktemp("pe-core") / "model.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    deeper = backbone_from_files("pe-core", file, None)
    return lambda kind: deeper if kind == "pe-core" else tiny_backbone(kind)


@pytest.fixture(scope="session")
def make_adapter() -> MakeAdapter:
    """Make an adapter with random numbers: a LoRA, a head with a negative class, class means and a row for strangers."""

    def make(backbone: Backbone, *, rank: int = 4, has_head: bool = True) -> Adapter:
        random, tower = torch.Generator().manual_seed(0), backbone.vision_tower
        recipe = FinetuneRecipe.from_json({"method": "clip-lora+vtt", "rank": rank} if rank else {"method": "frozen"})
        lora = TowerLora(tower.num_layers, tower.width, rank, recipe.scaling)
        lora.requires_grad_(False)
        lora.lora_A.copy_(torch.randn(lora.lora_A.shape, generator=random) * tower.width**-0.5)
        lora.lora_B.copy_(torch.randn(lora.lora_B.shape, generator=random) * 0.05)
        manifest = make_manifest(
            EXPORTED_LABELS,
            backbone_id=backbone.backbone_id,
            backbone_sha256=backbone.weight_sha256,
            preprocessing=Preprocessing(**asdict(backbone.preprocessing)),
            recipe=recipe.to_json(),
        )
        prototypes_CD = torch.nn.functional.normalize(torch.randn(3, backbone.joint_size, generator=random), dim=-1)
        adapter = Adapter(manifest, lora.eval(), prototypes_CD, recipe.logit_scale)
        if not has_head:
            return adapter
        size = tower.num_level_vectors * tower.width
        facts = HeadFacts("sum", {"text": 0.3}, (0.1, 0.2), {"mean": 0.1, "deviation": 0.05, "num_values": 9}, True)
        return replace(
            adapter,
            manifest=replace(manifest, format_version=2, head=facts),
            head=LinearHead(torch.randn(4, size + backbone.joint_size, generator=random) * 3, torch.randn(4, generator=random)),
            class_means_MF=torch.randn(3, size, generator=random) * size**-0.5,
            strangers=LinearHead(torch.randn(1, size, generator=random), torch.zeros(1)),
        )

    return make


@pytest.fixture(scope="session")
def make_source(make_adapter: MakeAdapter, draw_image: Callable[..., Image.Image]) -> MakeSource:
    """Make what an export is made of, from a backbone; with some drawn images."""

    def make(backbone: Backbone, images: Sequence[Image.Image] | None = None, **options: object) -> ExportSource:
        drawn = images or [draw_image(index % 4, index) for index in range(5)]
        metrics = {"training_accuracy": 0.9, "expected_accuracy": None, "advice": ["Send more images."]}
        return ExportSource(make_adapter(backbone, **options), backbone, metrics, tuple(drawn))

    return make


@pytest.fixture
def tiny_source(tiny_backbone: Backbone, make_source: MakeSource) -> ExportSource:
    return make_source(tiny_backbone)
