from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.fixtures.tiny_backbones import KINDS
from tests.vtt_core.exports.conftest import BackboneOf, MakeSource
from vtt_core.adapter.classify import adapter_scores, read
from vtt_core.contract.exports import Agreement
from vtt_core.exports.source import ExportSource, _read_metrics


@pytest.mark.parametrize("kind", KINDS)
def test_a_merged_tower_answers_as_the_tower_with_its_lora(kind: str, backbone_of: BackboneOf, make_source: MakeSource) -> None:
    source = make_source(backbone_of(kind))
    merged_BR = adapter_scores(source.adapter, read(source.merged, source.images))
    frozen_BR = adapter_scores(source.adapter, read(source.backbone, source.images))
    assert (merged_BR - source.own_scores_BR).abs().max() < 1e-4
    assert (frozen_BR - source.own_scores_BR).abs().max() > 1e-2


def test_merging_leaves_the_backbone_as_it_was(tiny_source: ExportSource) -> None:
    before = tiny_source.backbone.clip.visual.transformer.resblocks[0].attn.in_proj_weight.clone()
    assert not torch.equal(tiny_source.merged.clip.visual.transformer.resblocks[0].attn.in_proj_weight, before)
    assert torch.equal(tiny_source.backbone.clip.visual.transformer.resblocks[0].attn.in_proj_weight, before)


def test_a_class_that_changed_is_counted_but_the_negative_class_is_none(tiny_source: ExportSource) -> None:
    own_BR = tiny_source.own_scores_BR
    assert tiny_source.agreement(own_BR) == Agreement(5, 0.0, 1.0)
    lifted_BR = own_BR.clone()
    lifted_BR[0, -1] += 100
    assert tiny_source.agreement(lifted_BR).same_top1 == 1.0
    lifted_BR[0, own_BR[0, :3].argmin()] += 100
    found = tiny_source.agreement(lifted_BR)
    assert found.same_top1 == pytest.approx(0.8)
    assert found.largest_logit_difference == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"metrics": 3}'])
def test_metrics_that_cannot_be_read_are_no_metrics(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    assert _read_metrics(tmp_path) == {}


def test_metrics_come_along(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text(json.dumps({"metrics": {"training_accuracy": 1.0}}))
    assert _read_metrics(tmp_path) == {"training_accuracy": 1.0}
