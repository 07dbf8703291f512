"""Add classes to a model: a copy of its support set with the new images, and a job that learns a head on its tower."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.backbones.service import check_reachable
from app.dependencies import AppContext
from app.domain.errors import (
    BlobMissingError,
    ClassExistsError,
    DiskFullError,
    GoneError,
    NothingUsableError,
    StoreUnavailableError,
)
from app.domain.ids import IMAGE_PREFIX, SUPPORT_SET_PREFIX, new_id
from app.infra.job_repository import JobRepository, NewJob
from app.infra.model_repository import ModelRepository
from app.infra.outages import DATABASE_AWAY
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import JobRow, ModelRow, SupportImageRow, SupportSetRow
from app.infra.telemetry import bound_request_id
from app.infra.tracing import current_traceparent
from app.jobs.service import JobModels, add_job, models_of
from app.support_sets.admission import Admission
from app.support_sets.form_files import ARCHIVE_FIELD
from app.support_sets.receive import Received, Upload
from app.support_sets.service import blob_prefix
from app.uploads.form import SpooledForm
from vtt_core.contract.errors import BadLabelError, EmptyClassError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import clean_label


@dataclass(frozen=True)
class Added:
    """A job that was started, and what became of the images."""

    job: JobRow
    standing: JobModels
    received: Received


@dataclass(frozen=True)
class _Base:
    """What a model was made from."""

    model: ModelRow
    job: JobRow
    support_set: SupportSetRow
    images: list[SupportImageRow]

    @property
    def labels(self) -> set[str]:
        """Labels that a new class may not have, that of the negative class among them."""
        return {*self.model.labels, *(image.label for image in self.images)}


def add_classes(context: AppContext, reference: str, form: SpooledForm, name: str, now: datetime) -> Added:
    """Store a support set with the classes of a model and those of the form, and queue a job on it.

    Args:
        context: of the caller.
        reference: id or alias of the model, or the id of its job.
        form: what was sent: images of new classes.
        name: what the user calls the new model and its support set; empty for the model's name.
        now: the present moment.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted, or its support set.
        ModelNotReadyError: it is a job that has not published a model.
        InterimModelError: the service will delete the model when its job succeeds.
        ClassExistsError: a class of the form is one of the model's.
        NothingUsableError: no image of a new class can be used.
        BackboneUnavailableError: no live worker has the weights of the model's backbone or can get them.
        SupportSetError: too many classes, or labels that the backbone reads as the same or not in full.
        ArchiveError: all that came is one archive, which cannot be read.
        GroupsError: the groups of the images cannot be read.
        QuotaExceededError: the tenant would have too much.
        DiskFullError: there is no room for what a job writes.
    """
    with context.readers() as session:
        base = _find_base(session, reference)
    check_reachable(context.workers, base.model.backbone_id)
    _check_new(_field_labels(form), base)
    set_id, source = new_id(SUPPORT_SET_PREFIX), base.support_set
    admission = Admission.of_set(context.settings, base.images, [], source.negative_label)
    upload = Upload(context, set_id, form, None, admission, now)
    with _blobs_removed_on_failure(context, set_id):
        upload.add_all()
        _check_new(upload.images.labels, base)
        copies = [_copied(context, image, set_id, now) for image in base.images]
        with context.sessions.begin() as session:
            ModelRepository(session).get_lasting(base.model.id)
            row = SupportSetRepository(session).create(name or base.model.name, now, set_id)
            row.negative_label = source.negative_label
            SupportSetRepository(session).add_images(copies)
            received = upload.add_rows(session, row)
            _check_no_empty_class(row, received)
            job = add_job(context, session, _new_job(base, row), row, now)
            return Added(job, models_of(session, [job])[job.id], received)


def _find_base(session: Session, reference: str) -> _Base:
    models, support_sets = ModelRepository(session), SupportSetRepository(session)
    model = models.get_lasting(models.resolve(reference).id)
    job = JobRepository(session).get_even_deleted(model.job_id)
    try:
        support_set = support_sets.get(job.support_set_id)
    except GoneError as error:
        raise _images_gone(model, job.support_set_id) from error
    return _Base(model, job, support_set, support_sets.images(support_set.id))


def _check_new(labels: Iterable[str], base: _Base) -> None:
    taken = [label for label in labels if label in base.labels]
    if taken:
        raise ClassExistsError(
            expected=f"classes that {base.model.id} does not have",
            got=", ".join(map(repr, taken[:5])),
            remedy="Leave them out. More images of a class need a new support set and a new job",
        )


def _field_labels(form: SpooledForm) -> list[str]:
    """Return the labels that form fields name, so that a known one is noticed before any image is looked at."""
    labels = []
    for part in form.parts:
        with suppress(BadLabelError):
            if part.file_name is not None and part.field_name != ARCHIVE_FIELD:
                labels.append(clean_label(part.field_name))
    return labels


def _copied(context: AppContext, image: SupportImageRow, set_id: str, now: datetime) -> SupportImageRow:
    """Copy the bytes of an image, since its set may be deleted; return the row of the copy."""
    values = {column.key: getattr(image, column.key) for column in SupportImageRow.__table__.columns}
    image_id = new_id(IMAGE_PREFIX)
    blob_key = f"{blob_prefix(context, set_id)}/{image_id}"
    try:
        context.store.put(blob_key, context.store.get(image.blob_key))
    except BlobMissingError as error:
        raise GoneError(
            expected="the images that the model was made from",
            got=f"{image.support_set_id}, which has lost the image {image.file_name!r}",
            remedy="Create a support set with all classes, and a job on it",
        ) from error
    return SupportImageRow(**values | {"id": image_id, "support_set_id": set_id, "blob_key": blob_key, "created_at": now})


def _check_no_empty_class(row: SupportSetRow, received: Received) -> None:
    if row.empty_labels:
        of_images = [result for result in received.results if result.code != EmptyClassError.code]
        raise NothingUsableError(
            results=[result.model_dump(exclude_none=True) for result in of_images],
            expected="at least one usable image of every new class",
            got=f"none of {', '.join(map(repr, row.empty_labels[:5]))}",
            remedy="See `results` for each image. Nothing was stored: send all of them again",
        )


def _new_job(base: _Base, support_set: SupportSetRow) -> NewJob:
    return NewJob(
        support_set_id=support_set.id,
        backbone_id=base.model.backbone_id,
        recipe=FinetuneRecipe.from_json(base.model.recipe),
        seed=base.job.seed,
        name=support_set.name,
        request_sha256=hashlib.sha256(f"{base.model.id} {support_set.id}".encode()).hexdigest(),
        request_id=bound_request_id(),
        traceparent=current_traceparent(),
        base_model_id=base.model.id,
    )


def _images_gone(model: ModelRow, support_set_id: str) -> GoneError:
    return GoneError(
        expected="a model whose support set exists: a class is learnt together with the images of the others",
        got=f"{model.id}, whose support set {support_set_id} was deleted",
        remedy="Create a support set with all classes with POST /v1/support-sets, and a job on it with POST /v1/jobs",
    )


@contextmanager
def _blobs_removed_on_failure(context: AppContext, set_id: str) -> Iterator[None]:
    """Leave no bytes behind when the rows that would name them are not committed."""
    try:
        yield
    except DATABASE_AWAY:
        # The commit may have arrived although its answer did not, and rows without bytes are worse than bytes without rows.
        raise
    except BaseException:
        with suppress(StoreUnavailableError, DiskFullError):
            context.store.delete_prefix(blob_prefix(context, set_id))
        raise
