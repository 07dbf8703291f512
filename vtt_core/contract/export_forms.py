"""Know which forms a model can have, from its backbone's id and its method alone; without weights and without torch."""

from __future__ import annotations

from vtt_core.contract.backbones import BackboneEntry, catalogue, split_backbone_id
from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.contract.exports import ExportKind

LORA_HOSTS = ("clip-lora", "clip-lora-both")
"""What is trained where the vision tower gets a LoRA."""
PROMPT_HOSTS = ("maple",)
"""What is trained where the vision tower gets prompts."""
LARGEST_GRAPH_BYTES = 2**31
"""A file of Protocol Buffers, which an ONNX graph is, cannot be larger."""
BYTES_PER_WEIGHT = 4


def check_form(kind: ExportKind, backbone_id: str, method: str) -> None:
    """Refuse a form that has no place for a model.

    Args:
        kind: the form.
        backbone_id: of the model.
        method: of its recipe.

    Raises:
        UnsupportedExportError: with the reason.
    """
    refused = refusal(kind, backbone_id, method)
    if refused is not None:
        raise refused


def refusal(kind: ExportKind, backbone_id: str, method: str) -> UnsupportedExportError | None:
    """Return why a model cannot have a form, or None if nothing is known against it.

    The arguments are those of `check_form`.
    """
    host = method.partition("+")[0]
    if kind is ExportKind.PEFT:
        return _why_no_lora(host, method) or _why_no_clip_model(backbone_id)
    if kind is ExportKind.OPEN_CLIP and host in PROMPT_HOSTS:
        return UnsupportedExportError(
            expected="a model whose vision tower reads nothing but the image",
            got=f"one with visual prompts (method {method!r}), which open_clip's tower does not read",
            remedy="Export it as onnx",
        )
    if kind in (ExportKind.ONNX, ExportKind.WEB):
        entry = _entry_of(backbone_id)
        return None if entry is None else why_no_graph(backbone_id, entry.num_vision_weights)
    return None


def why_no_graph(backbone_id: str, num_vision_weights: int) -> UnsupportedExportError | None:
    """Return why no ONNX graph can hold a vision tower, or None if one can."""
    size = num_vision_weights * BYTES_PER_WEIGHT
    if size < LARGEST_GRAPH_BYTES:
        return None
    return UnsupportedExportError(
        expected="a model with a vision tower of less than 2 GiB in float32, which one ONNX file can hold",
        got=f"one on {backbone_id!r}, whose vision tower has {size / 2**30:.1f} GiB",
        remedy="Export it as open_clip, or adapt a smaller backbone",
    )


def why_no_clip_model(backbone_id: str, gap: str) -> UnsupportedExportError:
    """Return the error for a backbone that `transformers.CLIPModel` cannot hold, for the reason `gap`."""
    return UnsupportedExportError(
        expected="a model on a backbone that `transformers.CLIPModel` can hold, such as ViT-B-16/openai",
        got=f"one on {backbone_id!r}: {gap}",
        remedy="Export it as open_clip, which takes every backbone, or as onnx",
    )


def _why_no_lora(host: str, method: str) -> UnsupportedExportError | None:
    if host in LORA_HOSTS:
        return None
    reason = (
        "with visual prompts, which peft's LoRA has no place for" if host in PROMPT_HOSTS else "whose vision tower has no LoRA"
    )
    return UnsupportedExportError(
        expected="a model with a LoRA on the vision tower, which is what peft reads",
        got=f"one {reason} (method {method!r})",
        remedy="Export it as onnx, or train with the method clip-lora+vtt",
    )


def _why_no_clip_model(backbone_id: str) -> UnsupportedExportError | None:
    entry = _entry_of(backbone_id)
    return why_no_clip_model(backbone_id, entry.clip_model_gap) if entry is not None and entry.clip_model_gap else None


def _entry_of(backbone_id: str) -> BackboneEntry | None:
    """Return the listed backbone of the same shape; None for a name that is not listed."""
    name, _ = split_backbone_id(backbone_id)
    return next((entry for entry in catalogue() if split_backbone_id(entry.backbone_id)[0] == name), None)
