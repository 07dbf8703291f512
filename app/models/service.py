"""Show, export and delete models, and move aliases."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.dependencies import AppContext
from app.domain.errors import BlobMissingError
from app.infra.model_repository import ModelRepository
from app.infra.served_models import ServedModel
from app.infra.tables import AliasRow, ModelRow
from vtt_core.contract.errors import VttError

if TYPE_CHECKING:
    from vtt_core.contract.serving import PredictionEngine

_log = structlog.get_logger(__name__)

ADAPTER_FILES = ("manifest.json", "adapter.safetensors")
"""Names of an adapter's files, in the store and in an export."""
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every entry of an export, so that the same model gives the same bytes."""


def list_models(session: Session, cursor: str | None, limit: int) -> tuple[list[tuple[ModelRow, list[str]]], str | None]:
    """Return a page of models with their aliases, newest first, and the cursor of the next one."""
    repository = ModelRepository(session)
    rows, next_cursor = repository.list_page(cursor, limit)
    aliases = repository.aliases(row.id for row in rows)
    return [(row, aliases.get(row.id, [])) for row in rows], next_cursor


def find_model(session: Session, reference: str) -> tuple[ModelRow, list[str]]:
    """Return the model of an id, an alias or a job's id, and its aliases.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
    """
    repository = ModelRepository(session)
    row = repository.resolve(reference)
    return row, repository.aliases([row.id]).get(row.id, [])


def delete_model(context: AppContext, model_id: str, now: datetime) -> None:
    """Delete a model and its files, and evict it from this process; other processes see its row.

    Raises:
        NotFoundError: there was never a model with this id.
        GoneError: it was deleted before.
    """
    with context.sessions.begin() as session:
        row = ModelRepository(session).delete(model_id, now)
    if context.predictor is not None:
        context.predictor.evict(row.id)
    context.store.delete_prefix(row.adapter_key)
    # The reaper removes its exports.


def set_pinned(context: AppContext, model_id: str, is_pinned: bool) -> tuple[ModelRow, list[str]]:
    """Keep a model's adapter in memory, or let it be evicted again; other processes follow at their next prediction.

    Raises:
        NotFoundError: there was never a model with this id.
        GoneError: it was deleted.
        BlobMissingError: the store has lost its files.
        PredictorNotReadyError: the process is still loading.
        BackboneUnavailableError: the weights of its backbone are out of reach.
        BackboneMismatchError: this process has other weights of the backbone than the model was made on.
        InterimModelError: the service will delete the model when its job succeeds.
    """
    with context.sessions.begin() as session:
        repository = ModelRepository(session)
        row = repository.set_pinned(model_id, is_pinned)
        aliases = repository.aliases([row.id]).get(row.id, [])
    if context.predictor is not None:
        context.predictor.engine.set_pinned(row.id, is_pinned)
        if is_pinned:
            context.predictor.engine.adapter(row.id, row.backbone_id, lambda: read_adapter(context, row))
    return row, aliases


def change_model(context: AppContext, model_id: str, changes: Mapping[str, Any]) -> tuple[ModelRow, list[str]]:
    """Change a model's name, or the share of images of the classes that it may take for none of them.

    Every process reads them from the row at its next prediction.

    Args:
        context: of the caller.
        model_id: of the model.
        changes: what was sent of a `ModelChange`.

    Raises:
        NotFoundError: there was never a model with this id.
        GoneError: it was deleted.
    """
    with context.sessions.begin() as session:
        repository = ModelRepository(session)
        row = repository.change(model_id, changes)
        return row, repository.aliases([row.id]).get(row.id, [])


def load_pinned(context: AppContext, engine: PredictionEngine) -> None:
    """Load the adapters of pinned models; one that cannot be read is only logged."""
    with context.readers() as session:
        rows = ModelRepository(session).pinned()
    for row in rows:
        engine.set_pinned(row.id, True)
        try:
            engine.adapter(row.id, row.backbone_id, partial(read_adapter, context, row))
        except VttError as error:
            _log.warning("pinned_model_not_loaded", model_id=row.id, reason=str(error))


def point_alias(context: AppContext, name: str, model_id: str, now: datetime) -> AliasRow:
    """Create an alias or move it.

    Raises:
        NotFoundError: there was never a model with this id.
        GoneError: the model was deleted.
        InterimModelError: the service will delete it when its job succeeds.
    """
    try:
        return _point_once(context, name, model_id, now)
    except IntegrityError:
        # Another request has created the alias in between; now it can be moved.
        return _point_once(context, name, model_id, now)


def delete_alias(context: AppContext, name: str) -> None:
    """Delete an alias; its model stays.

    Raises:
        NotFoundError: there is no such alias.
    """
    with context.sessions.begin() as session:
        ModelRepository(session).delete_alias(name)


def export_adapter(context: AppContext, row: ModelRow) -> bytes:
    """Return the adapter's files as a zip, the same bytes each time.

    Raises:
        BlobMissingError: the store has lost them.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in read_adapter(context, row).items():
            archive.writestr(zipfile.ZipInfo(name, ZIP_EPOCH), content)
    return buffer.getvalue()


def read_adapter(context: AppContext, row: ModelRow | ServedModel) -> dict[str, bytes]:
    """Return the adapter's files by name.

    Raises:
        BlobMissingError: the store has lost them.
        GoneError: the model was deleted after its row was read; of an interim model, its successor is named.
    """
    keys = {name: f"{row.adapter_key}/{name}" for name in ADAPTER_FILES}
    try:
        blobs = context.store.get_many(keys.values())
    except BlobMissingError:
        with context.readers() as session:
            ModelRepository(session).get(row.id)
        raise
    return {name: blobs[key] for name, key in keys.items()}


def _point_once(context: AppContext, name: str, model_id: str, now: datetime) -> AliasRow:
    with context.sessions.begin() as session:
        return ModelRepository(session).point_alias(name, model_id, now)
