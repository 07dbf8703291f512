"""Read and write the rows of exports for the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain.errors import NotFoundError
from app.domain.exports import ExportState
from app.domain.ids import EXPORT_PREFIX, new_id
from app.infra.tables import ExportRow, ModelRow
from vtt_core.contract.exports import ExportKind


class ExportRepository:
    """The exports of one tenant, in one session; the caller commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def ask(
        self, model: ModelRow, kind: ExportKind, folder: str, request_id: str | None, now: datetime
    ) -> tuple[ExportRow, bool]:
        """Return the export of a model in this form, queued if there is none or the last attempt failed.

        Args:
            model: that is exported.
            kind: the form.
            folder: prefix of the tenant's blobs.
            request_id: of the request that asks.
            now: the present moment.

        Returns:
            The row, and whether the caller has to send a message for it.
        """
        # Locks the model, so that two requests make one row.
        deleted_at = self._session.scalar(select(ModelRow.deleted_at).where(ModelRow.id == model.id).with_for_update())
        row = self.find(model.id, kind)
        if row is not None and row.state != ExportState.FAILED:
            return row, False
        if row is None:
            export_id = new_id(EXPORT_PREFIX)
            owner = {"id": export_id, "model_id": model.id, "tenant_id": model.tenant_id}
            row = ExportRow(**owner, kind=kind, blob_key=f"{folder}exports/{export_id}", fencing_token=0, created_at=now)
            self._session.add(row)
        row.state, row.attempt, row.enqueued_at, row.request_id = ExportState.QUEUED, 0, now, request_id
        row.error = row.finished_at = None
        row.needs_clearing = deleted_at is not None  # meanwhile, by another request
        self._session.flush()
        return row, True

    def get(self, model_id: str, kind: ExportKind) -> ExportRow:
        """Return the export of a model in this form.

        Raises:
            NotFoundError: nobody has asked for it.
        """
        row = self.find(model_id, kind)
        if row is None:
            raise NotFoundError(
                expected=f"a model that was exported as {kind}",
                got="one that was not",
                remedy=f"Ask for it with POST /v1/models/{model_id}/exports/{kind}",
            )
        return row

    def of_model(self, model_id: str) -> Sequence[ExportRow]:
        """Return the exports of a model, by the names of their forms."""
        return self._session.scalars(select(ExportRow).where(ExportRow.model_id == model_id).order_by(ExportRow.kind)).all()

    def find(self, model_id: str, kind: ExportKind) -> ExportRow | None:
        """Return the export of a model in this form, or None if nobody has asked for it."""
        return self._session.scalar(select(ExportRow).where(ExportRow.model_id == model_id, ExportRow.kind == kind))
