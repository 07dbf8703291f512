"""Receive support sets, change them until a job freezes them, and delete them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sqlalchemy.orm import Session

from app.access.quotas import check_room_for_upload, check_storage
from app.dependencies import AppContext
from app.domain.access import blob_folder
from app.domain.errors import NotFoundError, NothingUsableError, SupportSetInUseError
from app.domain.ids import SUPPORT_SET_PREFIX, new_id
from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository, check_not_deleted, check_open
from app.infra.tables import SupportImageRow, SupportSetRow
from app.support_sets.admission import Admission
from app.support_sets.intake import Intake
from app.uploads.form import FormLimits, FormPart, SpooledForm
from app.uploads.results import ImageResult
from vtt_core.contract.errors import (
    ArchiveError,
    ArchiveTooLargeError,
    BadLabelError,
    ImageTooManyBytesError,
    NotAnImageError,
)
from vtt_core.contract.limits import Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import clean_label
from vtt_core.ingest.archives import read_zip
from vtt_core.labels.checks import LabelReader

NAME_FIELD = "name"
"""Field that many send by mistake; the name of a set is a parameter of the address."""
ARCHIVE_FIELD = "archive"
"""Name of the form field that holds a zip with one folder a class."""


@dataclass(frozen=True)
class SupportSetView:
    """A support set as it stands."""

    row: SupportSetRow
    shots: dict[str, int]
    """Images by label, in class order."""


@dataclass(frozen=True)
class Received:
    """A support set after an upload, and what became of each image."""

    view: SupportSetView
    results: list[ImageResult]
    """What became of each image; one for many files of an archive with one cause."""
    notices: list[str]
    """What else is worth knowing, as sentences."""


def upload_limits(limits: Limits) -> FormLimits:
    """Return what a form of support images may hold: every class full, twice over, so that each image too many is named."""
    return FormLimits(
        max_parts=2 * limits.max_way * limits.max_shot,
        max_text_bytes=1000,
        max_file_bytes=lambda field: limits.max_archive_bytes if field == ARCHIVE_FIELD else limits.max_image_bytes,
        description=f"at most {limits.max_way} classes of {limits.max_shot} images",
        example="-F 'label=@photo.jpg'",
    )


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
    limits = context.settings.limits
    admission = _admission(context, [], [])
    intake = Intake(support_set_id, _prefix(context, support_set_id), context.store, limits, admission, now)
    with intake.blobs_removed_on_failure():
        notices = _take_form(intake, form, limits)
        with context.sessions.begin() as session:
            repository = SupportSetRepository(session)
            row = repository.create(name, now, support_set_id)
            view = _add_rows(intake, repository, row, [], _admission(context, [], []))
            received = Received(view, intake.grouped_results, notices)
            check_storage(session, context.caller)
            return received


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
    limits = context.settings.limits
    with context.readers() as session:
        repository = SupportSetRepository(session)
        row = repository.get(support_set_id)
        check_open(row)
        admission = _admission(context, repository.images(support_set_id), row.empty_labels)
    prefix = _prefix(context, support_set_id)
    intake = Intake(support_set_id, prefix, context.store, limits, admission, now)
    with intake.blobs_removed_on_failure():
        notices = _take_form(intake, form, limits)
        with context.sessions.begin() as session:
            repository = SupportSetRepository(session)
            row = repository.lock_open(support_set_id)
            images = repository.images(support_set_id)
            view = _add_rows(intake, repository, row, images, _admission(context, images, row.empty_labels))
            received = Received(view, intake.grouped_results, notices)
            check_storage(session, context.caller)
            return received


def remove_image(context: AppContext, support_set_id: str, image_id: str) -> None:
    """Take one image out of a support set that no job has used; a class without images is gone with its last one.

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
    """Leave a class out, with its images if it has any.

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
    context.store.delete_prefix(_prefix(context, support_set_id))


def view(session: Session, support_set_id: str) -> tuple[SupportSetView, list[SupportImageRow]]:
    """Return a support set and its images.

    Raises:
        NotFoundError: there was never one with this id.
        GoneError: it was deleted.
    """
    repository = SupportSetRepository(session)
    row = repository.get(support_set_id)
    images = repository.images(support_set_id)
    return SupportSetView(row, _count(images)), images


def list_views(session: Session, cursor: str | None, limit: int) -> tuple[list[SupportSetView], str | None]:
    """Return a page of support sets, newest first, and the cursor of the next one."""
    repository = SupportSetRepository(session)
    rows, next_cursor = repository.list_page(cursor, limit)
    shots = repository.shots(row.id for row in rows)
    return [SupportSetView(row, shots.get(row.id, {})) for row in rows], next_cursor


def _prefix(context: AppContext, support_set_id: str) -> str:
    return f"{blob_folder(context.caller.tenant_id)}support-sets/{support_set_id}"


def _take_form(intake: Intake, form: SpooledForm, limits: Limits) -> list[str]:
    """Offer every image of the form; return what else is worth knowing, as sentences."""
    archive_errors: list[ArchiveError] = []
    notices: list[str] = []
    for part in form.parts:
        if part.file_name is None:
            _refuse_text(intake, part)
        elif part.field_name == ARCHIVE_FIELD:
            try:
                notices += _take_archive(intake, form, part, limits)
            except ArchiveError as error:
                archive_errors.append(error)
                intake.refuse(part.file_name, None, error)
        else:
            _take_file(intake, form, part, limits)
    if intake.has_candidates:
        return notices
    if archive_errors and len(intake.results) == 1:
        raise archive_errors[0]
    raise NothingUsableError(
        results=[result.model_dump(exclude_none=True) for result in intake.grouped_results],
        expected="at least one usable image, in a form field named like its class",
        got=f"{len(intake.results)} that cannot be used" if intake.results else "a form without files",
        remedy="See `results` for each one" if intake.results else "Send files (with curl: -F 'label=@file.jpg')",
    )


def _take_file(intake: Intake, form: SpooledForm, part: FormPart, limits: Limits) -> None:
    def read() -> bytes:
        if not part.is_kept:
            raise ImageTooManyBytesError(
                expected=f"at most {limits.max_image_bytes} bytes",
                got=f"{part.size_bytes} bytes",
                remedy="Save it smaller or with more compression",
            )
        return form.read(part)

    intake.offer(part.field_name, part.file_name or "", read)


def _take_archive(intake: Intake, form: SpooledForm, part: FormPart, limits: Limits) -> list[str]:
    if not part.is_kept:
        raise ArchiveTooLargeError(
            expected=f"at most {limits.max_archive_bytes} bytes",
            got=f"{part.size_bytes} bytes",
            remedy="Split it, or make the images smaller",
        )
    with form.open(part) as stream, read_zip(stream, limits) as contents, intake.archive():
        for file in contents.files:
            intake.offer(file.label, file.name, file.read)
        for rejection in contents.rejections:
            intake.refuse(rejection.name, rejection.label, rejection.error)
        for label in sorted(set(contents.folders) - {file.label for file in contents.files}):
            intake.name_folder(label)
    return [] if contents.split is None else [contents.split.sentence(uses_query=False)]


def _add_rows(
    intake: Intake,
    repository: SupportSetRepository,
    row: SupportSetRow,
    images: list[SupportImageRow],
    admission: Admission,
) -> SupportSetView:
    next_position = 1 + max((image.position for image in images), default=-1)
    new_images = intake.admit_rows(admission, next_position)
    repository.add_images(new_images)
    shots = _count([*images, *new_images])
    row.empty_labels = intake.note_empty_classes(shots, row.empty_labels)
    return SupportSetView(row, shots)


def _admission(context: AppContext, images: list[SupportImageRow], empty_labels: list[str]) -> Admission:
    """Return what is in a set; labels are read as the service's default backbone reads them."""
    settings = context.settings
    reader = LabelReader(settings.default_backbone, FinetuneRecipe())
    return Admission(settings.limits, _present(images), empty_labels, reader)


def _present(images: list[SupportImageRow]) -> list[tuple[str, str]]:
    return [(image.label, image.sha256) for image in images]


def _count(images: list[SupportImageRow]) -> dict[str, int]:
    shots: dict[str, int] = {}
    for image in images:
        shots[image.label] = shots.get(image.label, 0) + 1
    return shots


def _refuse_text(intake: Intake, part: FormPart) -> None:
    """Refuse a text in place of a file. Its class stays named, so that no job runs without it."""
    is_set_name = part.field_name == NAME_FIELD
    as_file = "Send the file itself (with curl, @ before its name: -F 'label=@file.jpg')"
    error = NotAnImageError(
        expected="an image file",
        got=f"the text {part.text[:80]!r} in the field {part.field_name[:80]!r}",
        remedy="Put the name of the set into the address: ?name=..." if is_set_name else as_file,
    )
    if is_set_name:
        intake.refuse("", None, error)
    else:
        intake.offer(part.field_name, "", partial(_raise, error))


def _raise(error: NotAnImageError) -> bytes:
    raise error
