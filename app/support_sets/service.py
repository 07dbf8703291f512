"""Show support sets, remove images from them until a job freezes them, and delete them."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.dependencies import AppContext
from app.domain.access import blob_folder
from app.domain.errors import NotFoundError, SupportSetInUseError
from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository, check_not_deleted
from app.infra.tables import SupportImageRow, SupportSetRow
from vtt_core.contract.errors import BadLabelError
from vtt_core.contract.support_set import clean_label


@dataclass(frozen=True)
class SupportSetView:
    """A support set and its number of images."""

    row: SupportSetRow
    shots: dict[str, int]
    """Images by label, in class order."""


def remove_image(context: AppContext, support_set_id: str, image_id: str) -> None:
    """Remove an image from a support set that no job has used; a class whose last image is removed is gone.

    Raises:
        NotFoundError: there is no such set, or no such image in it.
        GoneError: the set was deleted.
        SupportSetFrozenError: a job has used it.
    """
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        repository.lock_open(support_set_id)
        blob_key = repository.get_image(support_set_id, image_id).blob_key
        repository.remove_images(support_set_id, [image_id])
    context.store.delete(blob_key)


def remove_class(context: AppContext, support_set_id: str, label: str) -> None:
    """Remove a class, with its images if it has any.

    Raises:
        NotFoundError: there is no such set, or no such class in it.
        GoneError: the set was deleted.
        SupportSetFrozenError: a job has used it.
    """
    with suppress(BadLabelError):
        label = clean_label(label)
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock_open(support_set_id)
        images = [image for image in repository.images(support_set_id) if image.label == label]
        if not images and label not in row.empty_labels:
            raise NotFoundError(
                expected=f"the label of a class of {support_set_id}",
                got=repr(label[:200]),
                remedy=f"List them with GET /v1/support-sets/{support_set_id}",
            )
        repository.remove_images(support_set_id, [image.id for image in images])
        row.empty_labels = [known for known in row.empty_labels if known != label]
    for image in images:
        context.store.delete(image.blob_key)


def delete_support_set(context: AppContext, support_set_id: str, now: datetime) -> None:
    """Delete a support set and its images; models that were made from it stay.

    Raises:
        NotFoundError: there was never a set with this id.
        GoneError: it was deleted before.
        SupportSetInUseError: a job that has not ended needs it.
    """
    with context.sessions.begin() as session:
        repository = SupportSetRepository(session)
        row = repository.lock(support_set_id)
        check_not_deleted(row)
        if JobRepository(session).has_unfinished_for(support_set_id):
            raise SupportSetInUseError(
                expected="a support set that no unfinished job needs",
                got=support_set_id,
                remedy="Wait for the job, or cancel it with POST /v1/jobs/{id}/cancel",
            )
        row.deleted_at = now
        repository.remove_images(support_set_id)
    context.store.delete_prefix(blob_prefix(context, support_set_id))


def view(session: Session, support_set_id: str) -> tuple[SupportSetView, list[SupportImageRow]]:
    """Return a support set and its images.

    Raises:
        NotFoundError: there was never one with this id.
        GoneError: it was deleted.
    """
    repository = SupportSetRepository(session)
    row = repository.get(support_set_id)
    images = repository.images(support_set_id)
    return SupportSetView(row, count_shots(images)), images


def list_views(session: Session, cursor: str | None, limit: int) -> tuple[list[SupportSetView], str | None]:
    """Return a page of support sets, newest first, and the cursor of the next one."""
    repository = SupportSetRepository(session)
    rows, next_cursor = repository.list_page(cursor, limit)
    shots = repository.shots(row.id for row in rows)
    return [SupportSetView(row, shots.get(row.id, {})) for row in rows], next_cursor


def blob_prefix(context: AppContext, support_set_id: str) -> str:
    """Return where the images of a set lie in the store."""
    return f"{blob_folder(context.caller.tenant_id)}support-sets/{support_set_id}"


def count_shots(images: list[SupportImageRow]) -> dict[str, int]:
    """Return the number of images by label, in the order of the images."""
    return dict(Counter(image.label for image in images))
