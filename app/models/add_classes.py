"""Add classes to a model: a copy of its support set with the new images, and a job that learns a head on its tower."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.backbones.service import check_reachable
from app.dependencies import AppContext
from app.domain.errors import ClassExistsError, GoneError, NothingUsableError
from app.domain.ids import SUPPORT_SET_PREFIX, new_id
from app.infra.band_columns import set_wish, wish_of
from app.infra.job_repository import JobRepository, NewJob
from app.infra.model_repository import ModelRepository
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import JobRow, ModelRow, SupportImageRow, SupportSetRow
from app.infra.telemetry import bound_request_id
from app.infra.tracing import current_traceparent
from app.jobs.service import JobModels, add_job, models_of
from app.models.repeated import NOTICE, ClassesRequest, find_job, kept_images
from app.support_sets.admission import Admission
from app.support_sets.copies import blobs_removed_on_failure, copy_image
from app.support_sets.form_files import ARCHIVE_FIELD
from app.support_sets.receive import Received, Upload
from app.uploads.form import SpooledForm
from app.uploads.results import ImageResult
from vtt_core.contract.errors import BadLabelError, EmptyClassError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import clean_label


@dataclass(frozen=True)
class Added:
    """A job that was started, and what became of the images."""

    job: JobRow
    results: list[ImageResult]
    notices: list[str]
    is_repeated: bool = False
    """Whether the job was started by the same request before."""
    models: JobModels = JobModels()
    """What the job has published by now."""


class _RepeatedSignal(Exception):
    """The same request was answered while this one was worked on, so what this one has stored must go."""


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


def add_classes(context: AppContext, request: ClassesRequest, now: datetime) -> Added:
    """Store a support set with the classes of a model and those of the form, and queue a job on it.

    The same request with the same Idempotency-Key returns the first job.

    Args:
        context: of the caller.
        request: what was sent.
        now: the present moment.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted, or its support set, or the job that was started with the key.
        ModelNotReadyError: it is a job that has not published a model.
        InterimModelError: the service will delete the model when its job succeeds.
        ClassExistsError: a class of the form is one of the model's.
        NothingUsableError: no image of a new class can be used.
        BackboneUnavailableError: no live worker has the weights of the model's backbone or can get them.
        SupportSetError: too many classes, or labels that the backbone reads as the same or not in full.
        ArchiveError: all that came is one archive, which cannot be read.
        GroupsError: the groups of the images cannot be read.
        IdempotencyConflictError: the key came before with another request.
        QuotaExceededError: the tenant would have too much.
        DiskFullError: there is no room for what a job writes.
    """
    digest = None if request.idempotency_key is None else request.digest()
    if digest is None:
        return _add(context, request, digest, now)
    if (repeated := _find_repeated(context, request, digest)) is not None:
        return repeated
    try:
        return _add(context, request, digest, now)
    except _RepeatedSignal:
        repeated = _find_repeated(context, request, digest)
        assert repeated is not None
        return repeated


def _find_repeated(context: AppContext, request: ClassesRequest, digest: str) -> Added | None:
    with context.readers() as session:
        job = find_job(session, request, digest)
        if job is None:
            return None
        models = models_of(session, [job])[job.id]
        return Added(job, kept_images(session, job), [NOTICE], is_repeated=True, models=models)


def _add(context: AppContext, request: ClassesRequest, digest: str | None, now: datetime) -> Added:
    with context.readers() as session:
        base = _find_base(session, request.reference)
    check_reachable(context.workers, base.model.backbone_id)
    _check_new(_field_labels(request.form), base)
    set_id, source = new_id(SUPPORT_SET_PREFIX), base.support_set
    admission = Admission.of_set(context.settings, base.images, [], source.negative_label)
    upload = Upload(context, set_id, request.form, None, admission, now, bands=wish_of(source))
    with blobs_removed_on_failure(context, set_id):
        upload.add_all()
        _check_new(upload.images.labels, base)
        copies = [copy_image(context, image, set_id, now) for image in base.images]
        with context.sessions.begin() as session:
            ModelRepository(session).get_lasting(base.model.id)
            row = SupportSetRepository(session).create(request.name or base.model.name, now, set_id)
            row.negative_label = source.negative_label
            set_wish(row, wish_of(source))
            SupportSetRepository(session).add_images(copies)
            received = upload.add_rows(session, row)
            _check_no_empty_class(row, received)
            job = add_job(context, session, _new_job(base, row, request.idempotency_key, digest), row, now)
            if job.support_set_id != set_id:
                raise _RepeatedSignal
            return Added(job, received.results, received.notices, models=models_of(session, [job])[job.id])


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


def _check_no_empty_class(row: SupportSetRow, received: Received) -> None:
    if row.empty_labels:
        of_images = [result for result in received.results if result.code != EmptyClassError.code]
        raise NothingUsableError(
            results=[result.model_dump(exclude_none=True) for result in of_images],
            expected="at least one usable image of every new class",
            got=f"none of {', '.join(map(repr, row.empty_labels[:5]))}",
            remedy="See `results` for each image. Nothing was stored: send all of them again",
        )


def _new_job(base: _Base, support_set: SupportSetRow, idempotency_key: str | None, digest: str | None) -> NewJob:
    return NewJob(
        support_set_id=support_set.id,
        backbone_id=base.model.backbone_id,
        recipe=FinetuneRecipe.from_json(base.model.recipe),
        seed=base.job.seed,
        name=support_set.name,
        idempotency_key=idempotency_key,
        request_sha256=digest or hashlib.sha256(f"{base.model.id} {support_set.id}".encode()).hexdigest(),
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
