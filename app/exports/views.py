"""What the page of a model shows of its exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.exports import OPEN_EXPORT_STATES, ExportState
from app.exports.endpoints import answer
from app.exports.possible import MADE_KINDS, refusal_of
from app.exports.schemas import ExportAnswer
from app.infra.tables import ExportRow, ModelRow
from app.jobs.schemas import JobFailure
from vtt_core.contract.exports import ExportKind


@dataclass(frozen=True)
class ExportView:
    """One form of a model, made or not."""

    state: ExportState | None = None
    size_bytes: int = 0
    download: str | None = None
    error: JobFailure | None = None
    why_not: str | None = None
    """Why the form has no place for the model."""

    @property
    def is_open(self) -> bool:
        """Whether a worker will make it."""
        return self.state in OPEN_EXPORT_STATES


def export_views(model: ModelRow, rows: Sequence[ExportRow]) -> dict[ExportKind, ExportView]:
    """Return all forms of a model, in the order of the page."""
    answers = {row.kind: answer(row) for row in rows}
    refusals = {kind: refusal_of(model, kind) for kind in MADE_KINDS}
    return {
        kind: replace(_view(answers.get(kind)), why_not=refused.got if refused is not None else None)
        for kind, refused in refusals.items()
    }


def _view(answered: ExportAnswer | None) -> ExportView:
    if answered is None:
        return ExportView()
    return ExportView(answered.state, answered.size_bytes, answered.links.download, answered.error)
