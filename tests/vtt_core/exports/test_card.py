from __future__ import annotations

from dataclasses import replace
from html import escape
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.backbones import catalogue
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.exports import ExportKind
from vtt_core.exports.companions import facts_of, write_companions
from vtt_core.exports.origin import TRANSFORMERS_REPOSITORIES, UNKNOWN_LICENCE, licence_of, origin_of
from vtt_core.exports.source import ExportSource


@pytest.mark.parametrize("kind", list(ExportKind))
def test_a_card_says_how_to_load_it_and_what_it_may_be_used_for(
    kind: ExportKind, tiny_source: ExportSource, tmp_path: Path
) -> None:
    write_companions(tiny_source, kind, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: ")
    assert "## Use" in card
    assert "90.0 %" in card
    assert "Send more images." in card
    assert "{" not in card.partition("## Preprocessing")[0].replace("{'pixels'", "").replace('{"pixels"', "")
    assert tiny_source.backbone.weight_sha256 in (tmp_path / "LICENSE-base.txt").read_text()


def test_numbers_have_their_interval_and_labels_do_not_break_the_table(tiny_source: ExportSource, tmp_path: Path) -> None:
    expected = {"accuracy": 0.66, "low": 0.48, "high": 0.8, "how": "5-fold cross-validation"}
    manifest = replace(tiny_source.adapter.manifest, labels=("river | lake", "forest", "sea ice"))
    source = replace(
        tiny_source, adapter=replace(tiny_source.adapter, manifest=manifest), metrics={"expected_accuracy": expected}
    )
    write_companions(source, ExportKind.PEFT, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "66.0 % (95 % interval 48 to 80 %; 5-fold cross-validation)" in card
    assert "| river \\| lake | a photo of a river. |" in card


def test_bands_are_said_before_the_other_preprocessing(tiny_source: ExportSource, tmp_path: Path) -> None:
    manifest = replace(tiny_source.adapter.manifest, bands=BandChoice((4, 3, 2), (0, 0, 0), (4000, 4000, 4000)))
    source = replace(tiny_source, adapter=replace(tiny_source.adapter, manifest=manifest))
    write_companions(source, ExportKind.ONNX, tmp_path)
    preprocessing = (tmp_path / "README.md").read_text(encoding="utf-8").partition("## Preprocessing")[2]
    assert "Bands 4, 3, 2" in preprocessing.partition("RGB")[0]
    assert facts_of(source, ExportKind.ONNX)["bands"]["white"] == [4000, 4000, 4000]


def test_thresholds_are_those_that_answers_use(tiny_source: ExportSource) -> None:
    rules = facts_of(tiny_source, ExportKind.ONNX)["none_of_these"]
    by_share = rules["familiarity_thresholds_by_false_rejects"]
    assert rules["familiarity_threshold"] == by_share["0.05"] < by_share["0.2"]
    assert rules["negative_probability"] == 0.5


@pytest.mark.parametrize(
    ("backbone_id", "licence"),
    [
        ("mini", "Apache-2.0"),
        ("ViT-B-16/laion400m_e32", "MIT"),
        ("ViTamin-S/datacomp1b", "MIT"),
        ("ViT-B-16/metaclip_400m", "CC-BY-NC-4.0"),
        ("PE-Core-B-16/meta", "Apache-2.0"),
        ("ViT-H-14-worldwide/metaclip2_worldwide", "CC-BY-NC-4.0"),
        ("ViT-B-16/dfn2b", "Apple's own (apple-amlr, for research only)"),
        ("MobileCLIP2-B/dfndr2b", UNKNOWN_LICENCE),
        ("MobileCLIP-B/datacompdr", UNKNOWN_LICENCE),
        ("ViT-B-16//models/openai.safetensors", UNKNOWN_LICENCE),
    ],
)
def test_the_licence_of_a_base_is_stated_or_said_to_be_unknown(backbone_id: str, licence: str) -> None:
    assert licence_of(backbone_id) == licence


def test_every_repository_is_that_of_a_listed_backbone() -> None:
    assert set(TRANSFORMERS_REPOSITORIES) <= {entry.backbone_id for entry in catalogue()}
    assert not [entry for entry in catalogue() if entry.backbone_id in TRANSFORMERS_REPOSITORIES and entry.clip_model_gap]


def test_a_published_base_has_its_repositories(tiny_backbone: Backbone) -> None:
    origin = origin_of("ViT-B-16/openai", tiny_backbone.weight_sha256)
    assert origin["transformers_repository"] == "openai/clip-vit-base-patch16"
    assert origin["repository"] == "timm/vit_base_patch16_clip_224.openai"
    assert origin["weights_sha256"] == tiny_backbone.weight_sha256


ODD = (
    "a</script><script>alert(1)</script>",
    "[l](javascript:alert(1)) `z` \\",
    "line\nbreak",
    "![x](http://evil/x.png)",
    "a & *b* _c_",
)


def test_labels_and_advice_are_shown_as_they_are(tiny_source: ExportSource, tmp_path: Path) -> None:
    manifest = replace(tiny_source.adapter.manifest, labels=ODD[:3], prompts=(*ODD[3:], ODD[0]))
    advised = {"advice": [f"Look at {ODD[0]!r} and {ODD[1]!r}."]}
    source = replace(tiny_source, adapter=replace(tiny_source.adapter, manifest=manifest), metrics=advised)
    write_companions(source, ExportKind.ONNX, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    shown = MarkdownIt("commonmark").enable("table").render(card)
    assert not any(sign in shown for sign in ("<script", "<img", "<em>", 'href="javascript'))
    for text in (*ODD[:2], *ODD[3:], "line break"):
        assert escape(text) in shown
