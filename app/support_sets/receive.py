"""Receive support images: into a new support set, or into one that no job has used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.access.quotas import check_room_for_upload, check_storage
from app.dependencies import AppContext
from app.domain.errors import NothingUsableError
from app.domain.ids import SUPPORT_SET_PREFIX, new_id
from app.infra.support_set_repository import SupportSetRepository, check_open
from app.infra.tables import SupportImageRow, SupportSetRow
from app.support_sets.admission import Admission
from app.support_sets.form_files import FormFiles
from app.support_sets.service import SupportSetView, blob_prefix, count_shots
from app.support_sets.uploaded_images import UploadedImages
from app.uploads.form import SpooledForm
from app.uploads.results import ImageResult
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.labels.checks import LabelReader


@dataclass(frozen=True)
class Received:
    """A support set after an upload."""

    view: SupportSetView
    results: list[ImageResult]
    """What became of each image; many files of an archive with one cause share a result."""
    notices: list[str]
    """What else is worth knowing, as sentences."""


def check_room(context: AppContext, num_bytes: int) -> None:
    """Refuse an upload that there is no room for, before its body is read.

    Args:
        context: of the caller.
        num_bytes: length of the body as its header says, 0 where it does not.

    Raises:
        QuotaExceededError: the tenant is full, or would be.
        DiskFullError: the disk is full, or would be.
    """
    check_room_for_upload(context.readers, context.caller, num_bytes)
    context.disk.check_room(num_bytes)


def create_support_set(context: AppContext, form: SpooledForm, name: str, now: datetime) -> Received:
    """Store a new support set with the usable images of the form.

    Raises:
        NothingUsableError: no image can be used.
        ArchiveError: all that came is one archive, which cannot be read.
        QuotaExceededError: the tenant would have too much.
    """
    support_set_id = new_id(SUPPORT_SET_PREFIX)
    images = _uploaded_images(context, support_set_id, _admission(context, [], []), now)
    with images.blobs_removed_on_failure():
        notices = _add_all(images, FormFiles(form, context.settings.limits))
        with context.sessions.begin() as session:
            row = SupportSetRepository(session).create(name, now, support_set_id)
            return _add_rows(context, session, row, images, notices)


def add_images(context: AppContext, support_set_id: str, form: SpooledForm, now: datetime) -> Received:
    """Add the usable images of the form to a support set that no job has used.

    Raises:
        NotFoundError: there was never a set with this id.
        GoneError: it was deleted.
        SupportSetFrozenError: a job has used it, perhaps while the images were being read.
        NothingUsableError: no image can be used.
        ArchiveError: all that came is one archive, which cannot be read.
        QuotaExceededError: the tenant would have too much.
    """
    with context.readers() as session:
        repository = SupportSetRepository(session)
        row = repository.get(support_set_id)
        check_open(row)
        admission = _admission(context, repository.images(support_set_id), row.empty_labels)
    images = _uploaded_images(context, support_set_id, admission, now)
    with images.blobs_removed_on_failure():
        notices = _add_all(images, FormFiles(form, context.settings.limits))
        with context.sessions.begin() as session:
            row = SupportSetRepository(session).lock_open(support_set_id)
            return _add_rows(context, session, row, images, notices)


def _uploaded_images(context: AppContext, support_set_id: str, admission: Admission, now: datetime) -> UploadedImages:
    prefix = blob_prefix(context, support_set_id)
    return UploadedImages(support_set_id, prefix, context.store, context.settings.limits, admission, now)


def _add_all(images: UploadedImages, files: FormFiles) -> list[str]:
    """Add every file of the form; return what else is worth knowing, as sentences."""
    for file in files:
        images.add(file)
    if images.has_images:
        return files.notices
    if files.archive_errors and len(images.results) == 1:
        raise files.archive_errors[0]
    raise NothingUsableError(
        results=[result.model_dump(exclude_none=True) for result in images.grouped_results],
        expected="at least one usable image, in a form field named like its class",
        got=f"{len(images.results)} that cannot be used" if images.results else "a form without files",
        remedy="See `results` for each one" if images.results else "Send files (with curl: -F 'label=@file.jpg')",
    )


def _add_rows(
    context: AppContext, session: Session, row: SupportSetRow, uploaded: UploadedImages, notices: list[str]
) -> Received:
    """Add the rows of the images that the set still takes now that it is locked."""
    repository = SupportSetRepository(session)
    images = repository.images(row.id)
    next_position = 1 + max((image.position for image in images), default=-1)
    new_images = uploaded.admit_rows(_admission(context, images, row.empty_labels), next_position)
    repository.add_images(new_images)
    shots = count_shots([*images, *new_images])
    row.empty_labels = uploaded.note_empty_classes(shots, row.empty_labels)
    check_storage(session, context.caller)
    return Received(SupportSetView(row, shots), uploaded.grouped_results, notices)


def _admission(context: AppContext, images: list[SupportImageRow], empty_labels: list[str]) -> Admission:
    """Return what is in a set; labels are read as the service's default backbone reads them."""
    reader = LabelReader(context.settings.default_backbone, FinetuneRecipe())
    admitted = [(image.label, image.sha256) for image in images]
    return Admission(context.settings.limits, admitted, empty_labels, reader)
