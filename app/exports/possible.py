"""Know which forms a model can have, as far as its row tells; a worker finds out the rest."""

from __future__ import annotations

from app.infra.tables import ModelRow
from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.contract.exports import ExportKind

LORA_HOSTS = ("clip-lora", "clip-lora-both")
"""What is trained where the vision tower gets a LoRA."""


def is_possible(model: ModelRow, kind: ExportKind) -> bool:
    """Tell whether the form has a place for what the model has learnt."""
    host = str(model.recipe.get("method", "")).partition("+")[0]
    return kind is not ExportKind.PEFT or host in LORA_HOSTS


def check_possible(model: ModelRow, kind: ExportKind) -> None:
    """Refuse a form that has no place for what the model has learnt.

    Raises:
        UnsupportedExportError: with the reason.
    """
    if not is_possible(model, kind):
        raise UnsupportedExportError(
            expected="a model with a LoRA on the vision tower, which is what peft reads",
            got=f"one that has none (method {model.recipe.get('method')!r})",
            remedy="Export it as onnx or open_clip, or start a job with the method clip-lora+vtt",
        )
