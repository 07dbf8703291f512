"""Ask for exports, and send their files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from app.access.quotas import check_room_for_bytes
from app.dependencies import AppContext
from app.domain.access import blob_folder
from app.domain.errors import ExportNotReadyError, InterimModelError, NotFoundError
from app.domain.exports import ExportState
from app.domain.messages import ExportMessage
from app.exports.possible import check_possible, refusal_of
from app.infra.export_repository import ExportRepository
from app.infra.model_repository import ModelRepository
from app.infra.outbox import send_after_commit
from app.infra.tables import ExportRow, ModelRow
from app.infra.telemetry import bound_request_id
from app.models.service import ZIP_EPOCH
from vtt_core.contract.exports import ExportKind


def ask_for_export(context: AppContext, reference: str, kind: ExportKind, now: datetime) -> ExportRow:
    """Queue an export unless it is made or being made; the message to the workers is sent after the commit.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
        InterimModelError: the service will delete the model when its job succeeds.
        UnsupportedExportError: the form has no place for what the model has learnt.
        QuotaExceededError: the tenant has no room for more bytes.
        DiskFullError: the disk is full.
    """
    check_room_for_bytes(context.readers, context.caller, 0)
    context.disk.check_room()
    with context.sessions.begin() as session:
        models = ModelRepository(session)
        model = models.get_lasting(models.resolve(reference).id)
        check_possible(model, kind)
        folder = blob_folder(context.caller.tenant_id)
        row, is_queued = ExportRepository(session).ask(model, kind, folder, bound_request_id(), now)
        if is_queued:
            send_after_commit(session, context.queue, ExportMessage(row.id))
        return row


def why_it_passes(session: Session, model: ModelRow) -> InterimModelError | None:
    """Return why nothing is made of a model that its job's own will replace; None for a model that stays."""
    try:
        ModelRepository(session).get_lasting(model.id)
    except InterimModelError as error:
        return error
    return None


def find_export(context: AppContext, reference: str, kind: ExportKind) -> ExportRow:
    """Return an export that has succeeded.

    Raises:
        NotFoundError: nothing has this id or alias, or nobody has asked for the export.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
        ExportNotReadyError: it is not made yet, or could not be made.
    """
    with context.readers() as session:
        model = ModelRepository(session).resolve(reference)
        exports, refused = ExportRepository(session), refusal_of(model, kind)
        if refused is not None and exports.find(model.id, kind) is None:
            raise NotFoundError(expected=refused.expected, got=refused.got, remedy=refused.remedy)
        row = exports.get(model.id, kind)
    if row.state == ExportState.FAILED:
        assert row.error is not None
        raise ExportNotReadyError(
            expected=f"an export that could be made, which takes {row.error['expected']}",
            got=row.error["got"],
            remedy=f"{row.error['remedy']}. POST /v1/models/{model.id}/exports/{kind} tries it again",
        )
    if row.state != ExportState.SUCCEEDED:
        raise ExportNotReadyError(
            expected="an export that is made",
            got=f"one that is {row.state}",
            remedy=f"Ask again in some seconds; GET /v1/models/{model.id}/exports says how far it is",
        )
    return row


def zip_chunks(context: AppContext, row: ExportRow) -> Iterator[bytes]:
    """Yield a zip of the export's files, one file in memory at a time; the same bytes each time.

    Raises:
        BlobMissingError: the store has lost a file.
    """
    out = _Drained()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted((row.report or {}).get("files", {})):
            entry = zipfile.ZipInfo(f"{row.kind}/{name}", ZIP_EPOCH)
            archive.writestr(entry, context.store.get(f"{row.blob_key}/{name}"))
            yield out.drain()
    yield out.drain()


class _Drained(io.RawIOBase):
    """A stream that is written to and emptied in turns; it cannot be rewound, and a zip need not."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._waiting.append(bytes(content))
        return len(content)

    def drain(self) -> bytes:
        content = b"".join(self._waiting)
        self._waiting.clear()
        return content
