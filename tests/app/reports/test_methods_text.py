"""The paragraph for a methods section says what was really run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.reports.facts import ReportFacts
from app.reports.methods_text import methods_text
from app.reports.metrics import Metrics
from app.reports.references import KNOWN, Citations
from tests.fixtures.manifests import make_manifest
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.manifest import HeadFacts
from vtt_core.contract.recipe import HEADS, METHODS


def write(facts: ReportFacts) -> tuple[str, list[str]]:
    cite = Citations()
    return methods_text(facts, cite), cite.names


def test_a_frozen_model_cites_no_fine_tuning(facts: ReportFacts) -> None:
    text, cited = write(facts)
    assert "12 labelled images (4 per class)" in text
    assert "The model was kept frozen." in text
    assert "ridge regression" in text
    assert "without trying a fine-tuning" in text
    assert "4-fold cross-validation, in 5 rounds" in text
    assert "variance multiplied by 1.6" in text
    assert not {"vtt", "lora", "clip-lora"} & set(cited)
    assert {"clip", "ridge", "temperature", "cross-conformal", "wilson"} <= set(cited)


def test_bands_are_named_with_their_black_and_white(facts: ReportFacts) -> None:
    bands = BandChoice((4, 3, 2), (10, 20, 30.5), (1000, 2000, 3000))
    text, _ = write(replace(facts, manifest=replace(facts.manifest, bands=bands)))
    assert "Bands 4, 3, 2 of each image are shown as red, green and blue" in text
    assert "10 to 1000, 20 to 2000, 30.5 to 3000" in text


def test_vtt_is_described_with_what_it_did(tuned_facts: ReportFacts) -> None:
    text, cited = write(tuned_facts)
    assert {"vtt", "clip-lora", "lora"} <= set(cited)
    assert "rank 16, alpha 8" in text
    assert "Its schedule switched VtT off at step 51." in text
    assert "with 100 steps (160 for the published model)" in text
    assert "“a photo of a {}.”" in text
    assert "cross-conformal" in text


def test_an_ablation_is_described_without_what_it_left_out(tuned_facts: ReportFacts) -> None:
    changes = {"aggregator": "none", "absorption": "none", "projects_conflict": False}
    manifest = replace(tuned_facts.manifest, recipe=tuned_facts.manifest.recipe | changes)
    text, _ = write(replace(tuned_facts, manifest=manifest))
    assert "state-space" not in text
    assert "in place of a word" not in text
    assert "conflict" not in text


@pytest.mark.parametrize("method", METHODS)
def test_each_method_cites_its_own_publication(method: str, tuned_facts: ReportFacts) -> None:
    text, cited = write(replace(tuned_facts, manifest=make_manifest(tuned_facts.manifest.labels, method)))
    assert ("vtt" in cited) == method.endswith("+vtt")
    expected = {"coop": "coop", "maple": "maple"}.get(method.removesuffix("+vtt"), "clip-lora")
    assert {"coop", "maple", "clip-lora"} & set(cited) == {expected}
    assert ("text tower (CLIP-LoRA" in text) == method.startswith("clip-lora-text")


@pytest.mark.parametrize("kind", HEADS)
def test_each_head_has_its_words(kind: str, facts: ReportFacts) -> None:
    scales = {"ridge": 1.0, "text": 0.2} if kind == "sum" else {kind: 1.0}
    manifest = replace(facts.manifest, head=HeadFacts(kind, scales, (), None, has_negative=True))
    text, _ = write(replace(facts, manifest=manifest))
    assert "classified by ." not in text
    assert "{}" not in text.replace("“a photo of a {}.”, with the label in place of {}", "")
    assert ("regularisation" in text) == (kind in ("sum", "ridge", "ridge-text", "probe"))
    assert "none of the classes are one more class" in text


def test_what_auto_decided_is_said(metrics: dict[str, Any], facts: ReportFacts) -> None:
    metrics["fine_tuned"] = metrics["linear_probe"]
    text, _ = write(replace(facts, metrics=Metrics.from_json(metrics)))
    assert "the frozen one was chosen by its log-likelihood" in text
    assert "the fine-tuned model with a head 75.0 %" in text


def test_an_earlier_release_left_no_image_out(old_facts: ReportFacts) -> None:
    text, cited = write(old_facts)
    assert "was not measured" in text
    assert "75.0 % correctly, with each image left out in turn (52.2 to 97.8 %)" in text
    assert not {"temperature", "cross-conformal", "ridge"} & set(cited)
    assert "vtt" in cited


def test_publications_are_numbered_as_they_are_cited() -> None:
    cite = Citations()
    assert cite("vtt") == "[1]"
    assert cite("clip", "vtt") == "[2, 1]"
    assert [one.arxiv_id for one in cite.cited] == ["2603.05235", "2103.00020"]
    assert {KNOWN["clip-lora"].arxiv_id, KNOWN["temperature"].arxiv_id} == {"2405.18541", "1706.04599"}
