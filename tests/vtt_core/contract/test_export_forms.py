"""What is refused without weights must be what a model cannot have."""

from __future__ import annotations

import pytest

from vtt_core.contract.backbones import catalogue
from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.contract.export_forms import LARGEST_GRAPH_BYTES, check_form, refusal, why_no_graph
from vtt_core.contract.exports import ExportKind

TUNED = "clip-lora+vtt"


@pytest.mark.parametrize(
    "backbone_id", ["mini", "ViT-B-16-quickgelu/openai", "ViT-L-14/random", "ViT-B-32//my/own.safetensors"]
)
@pytest.mark.parametrize("kind", ExportKind)
def test_a_tuned_clip_has_every_form(backbone_id: str, kind: ExportKind) -> None:
    check_form(kind, backbone_id, TUNED)


@pytest.mark.parametrize(
    "backbone_id", ["PE-Core-B-16/meta", "ViT-B-16-SigLIP2/webli", "PE-Core-B-16/random", "ViTamin-S//a.safetensors"]
)
def test_a_tower_of_timm_has_every_form_but_peft(backbone_id: str) -> None:
    with pytest.raises(UnsupportedExportError, match=f"'{backbone_id}': its vision tower is timm's .* Export it as open_clip"):
        check_form(ExportKind.PEFT, backbone_id, TUNED)
    assert [kind for kind in ExportKind if refusal(kind, backbone_id, TUNED)] == [ExportKind.PEFT]


@pytest.mark.parametrize(
    ("backbone_id", "gibibytes"),
    [("ViT-H-14/laion2b_s32b_b79k", "2.4"), ("ViT-bigG-14/random", "6.9"), ("PE-Core-bigG-14-448/meta", "7.0")],
)
def test_a_tower_over_2_gib_has_no_graph(backbone_id: str, gibibytes: str) -> None:
    for kind in (ExportKind.ONNX, ExportKind.WEB):
        with pytest.raises(UnsupportedExportError, match=f"whose vision tower has {gibibytes} GiB. Export it as open_clip"):
            check_form(kind, backbone_id, TUNED)
    check_form(ExportKind.OPEN_CLIP, backbone_id, TUNED)


def test_the_largest_graph_is_the_largest_file_of_protocol_buffers() -> None:
    assert why_no_graph("x", LARGEST_GRAPH_BYTES // 4 - 1) is None
    assert why_no_graph("x", LARGEST_GRAPH_BYTES // 4) is not None


@pytest.mark.parametrize("method", ["frozen", "auto", "clip-lora-text+vtt", "coop", "maple+vtt", ""])
def test_peft_needs_a_lora_on_the_vision_tower(method: str) -> None:
    with pytest.raises(UnsupportedExportError, match="with a LoRA on the vision tower"):
        check_form(ExportKind.PEFT, "mini", method)
    for host in ("clip-lora", "clip-lora-both+vtt"):
        check_form(ExportKind.PEFT, "mini", host)


def test_visual_prompts_have_a_graph_only() -> None:
    assert [kind for kind in ExportKind if refusal(kind, "mini", "maple")] == [ExportKind.PEFT, ExportKind.OPEN_CLIP]


def test_every_listed_backbone_has_a_size() -> None:
    assert all(entry.num_vision_weights > 10**6 for entry in catalogue())
