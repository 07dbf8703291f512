"""Know which forms a model can have, as far as its row tells; a worker finds out the rest."""

from __future__ import annotations

from app.infra.tables import ModelRow
from vtt_core.contract.errors import UnsupportedExportError
from vtt_core.contract.export_forms import refusal
from vtt_core.contract.exports import ExportKind

MADE_KINDS = (ExportKind.WEB, ExportKind.ONNX, ExportKind.OPEN_CLIP, ExportKind.PEFT)
"""Forms that a worker makes; what most people can use comes first."""


def refusal_of(model: ModelRow, kind: ExportKind) -> UnsupportedExportError | None:
    """Return why the form has no place for a model, or None if nothing is known against it."""
    return refusal(kind, model.backbone_id, str(model.recipe.get("method", "")))


def check_possible(model: ModelRow, kind: ExportKind) -> None:
    """Refuse a form that has no place for a model.

    Raises:
        UnsupportedExportError: with the reason.
    """
    refused = refusal_of(model, kind)
    if refused is not None:
        raise refused
