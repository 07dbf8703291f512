"""Receive support images: into a new support set, or into one that no job has used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.access.quotas import check_room_for_upload, check_storage
from app.dependencies import AppContext
from app.domain.errors import NegativeClassTakenError, NothingUsableError
from app.domain.ids import SUPPORT_SET_PREFIX, new_id
from app.infra.band_columns import set_wish, wish_of
from app.infra.support_set_repository import SupportSetRepository, check_open
from app.infra.tables import SupportSetRow
from app.support_sets.admission import Admission
from app.support_sets.form_files import FormFiles
from app.support_sets.service import SupportSetView, blob_prefix, count_shots
from app.support_sets.uploaded_images import Reading, UploadedImages
from app.uploads.form import SpooledForm
from app.uploads.results import ImageResult
from vtt_core.contract.bands import BandWish
from vtt_core.contract.support_set import clean_label


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


def create_support_set(
    context: AppContext,
    form: SpooledForm,
    name: str,
    negative: str | None,
    now: datetime,
    *,
    by_patient: bool = False,
    bands: BandWish | None = None,
) -> Received:
    """Store a new support set with the usable images of the form.

    Args:
        context: of the caller.
        form: what was sent.
        name: what the user calls the set.
        negative: label of the negative class, if there is one.
        now: the present moment.
        by_patient: whether DICOM files are grouped by their patients.
        bands: which bands its images are shown in; None for ordinary images.

    Raises:
        BadLabelError: the label of the negative class cannot be one.
        GroupsError: the groups of the images cannot be read.
        NothingUsableError: no image can be used.
        ArchiveError: all that came is one archive, which cannot be read.
        QuotaExceededError: the tenant would have too much.
    """
    support_set_id = new_id(SUPPORT_SET_PREFIX)
    negative = _cleaned(negative, context)
    upload = Upload(
        context,
        support_set_id,
        form,
        negative,
        Admission.of_set(context.settings, [], [], negative),
        now,
        by_patient=by_patient,
        bands=bands,
    )
    with upload.images.blobs_removed_on_failure():
        upload.add_all()
        with context.sessions.begin() as session:
            row = SupportSetRepository(session).create(name, now, support_set_id)
            set_wish(row, bands)
            return upload.add_rows(session, row)


def add_images(
    context: AppContext,
    support_set_id: str,
    form: SpooledForm,
    negative: str | None,
    now: datetime,
    *,
    by_patient: bool = False,
) -> Received:
    """Add the usable images of the form to a support set that no job has used.

    Args:
        context: of the caller.
        support_set_id: of the set.
        form: what was sent.
        negative: label of the negative class; None leaves it as it is.
        now: the present moment.
        by_patient: whether DICOM files are grouped by their patients.

    Raises:
        BadLabelError: the label of the negative class cannot be one.
        NegativeClassTakenError: another class is the negative one.
        GroupsError: the groups of the images cannot be read.
        NotFoundError: there was never a set with this id.
        GoneError: it was deleted.
        SupportSetFrozenError: a job has used it, perhaps while the images were being read.
        NothingUsableError: no image can be used.
        ArchiveError: all that came is one archive, which cannot be read.
        QuotaExceededError: the tenant would have too much.
    """
    negative = _cleaned(negative, context)
    with context.readers() as session:
        repository = SupportSetRepository(session)
        row = repository.get(support_set_id)
        check_open(row)
        _check_negative(row, negative)
        images = repository.images(support_set_id)
        admission = Admission.of_set(context.settings, images, row.empty_labels, negative or row.negative_label)
        bands = wish_of(row)
    upload = Upload(context, support_set_id, form, negative, admission, now, by_patient=by_patient, bands=bands)
    with upload.images.blobs_removed_on_failure():
        upload.add_all()
        with context.sessions.begin() as session:
            row = SupportSetRepository(session).lock_open(support_set_id)
            _check_negative(row, negative)
            return upload.add_rows(session, row)


class Upload:
    """One form on its way into one support set.

    Raises:
        GroupsError: the groups of its images cannot be read.
    """

    def __init__(
        self,
        context: AppContext,
        support_set_id: str,
        form: SpooledForm,
        negative: str | None,
        admission: Admission,
        now: datetime,
        *,
        by_patient: bool = False,
        bands: BandWish | None = None,
    ) -> None:
        limits = context.settings.limits
        self._context = context
        self._files = FormFiles(form, limits)
        self._negative = negative
        prefix = blob_prefix(context, support_set_id)
        self.images = UploadedImages(
            support_set_id,
            prefix,
            context.store,
            limits,
            admission,
            now,
            self._files.groups,
            Reading(by_patient, bands),
        )
        if negative is not None:
            self.images.name_negative(negative)

    def add_all(self) -> None:
        """Check every file of the form, and store the good images.

        Raises:
            NothingUsableError: no image can be used.
            ArchiveError: all that came is one archive, which cannot be read.
        """
        for file in self._files:
            self.images.add(file)
        if self.images.has_images:
            return
        num_results = len(self.images.results)
        if self._files.archive_errors and num_results == 1:
            raise self._files.archive_errors[0]
        raise NothingUsableError(
            results=[result.model_dump(exclude_none=True) for result in self.images.grouped_results],
            expected="at least one usable image, in a form field named like its class",
            got=f"{num_results} that cannot be used" if num_results else "a form without files",
            remedy="See `results` for each one" if num_results else "Send files (with curl: -F 'label=@file.jpg')",
        )

    def add_rows(self, session: Session, row: SupportSetRow) -> Received:
        """Add the rows of the images that the set still takes now that it is locked.

        Raises:
            QuotaExceededError: the tenant would have too much.
        """
        repository = SupportSetRepository(session)
        images = repository.images(row.id)
        row.negative_label = self._negative or row.negative_label
        admission = Admission.of_set(self._context.settings, images, row.empty_labels, row.negative_label)
        next_position = 1 + max((image.position for image in images), default=-1)
        new_images = self.images.admit_rows(admission, next_position)
        repository.add_images(new_images)
        shots = count_shots([*images, *new_images])
        row.empty_labels = self.images.note_empty_classes(shots, row.empty_labels)
        check_storage(session, self._context.caller)
        notices = [*self._files.notices, *self._files.groups.notices()]
        return Received(SupportSetView(row, shots), self.images.grouped_results, notices)


def _cleaned(negative: str | None, context: AppContext) -> str | None:
    return None if negative is None else clean_label(negative, context.settings.limits)


def _check_negative(row: SupportSetRow, negative: str | None) -> None:
    if negative is not None and row.negative_label not in (None, negative):
        raise NegativeClassTakenError(
            expected=f"the negative class of the set, {row.negative_label!r}, or none",
            got=repr(negative),
            remedy=f'Change it with PATCH /v1/support-sets/{row.id} and {{"negative": ...}}',
        )
