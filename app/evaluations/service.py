"""Evaluate models on labelled query images; list, show and delete what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.access.quotas import check_bytes, check_room_for_upload
from app.dependencies import AppContext
from app.domain.access import blob_folder
from app.domain.errors import InvalidRequestError, PredictorNotReadyError
from app.domain.ids import EVALUATION_PREFIX, new_id
from app.evaluations.kept_images import KeptImages
from app.evaluations.measuring import Measuring
from app.evaluations.query_images import QueryImages, look_ahead
from app.infra.evaluation_repository import EvaluationRepository
from app.infra.model_repository import ModelRepository
from app.infra.tables import EvaluationImageRow, EvaluationRow, ModelRow
from app.predictions.service import Asked
from app.reports.data import data_digest
from app.uploads.form import SpooledForm
from app.uploads.results import ImageResult
from vtt_core.evaluation.compare import paired_difference
from vtt_core.evaluation.evaluate import Judged, evaluate
from vtt_core.evaluation.label_match import match_labels, unknown_notice

MAX_MODELS = 8
"""Models that are evaluated on the same images in one wanted."""


@dataclass(frozen=True)
class Wanted:
    """What a request wants, besides models and images."""

    asked: Asked
    name: str
    keep_images: bool


@dataclass(frozen=True)
class Evaluated:
    """What was measured of each model, and what became of the images."""

    rows: list[EvaluationRow]
    refused: list[ImageResult]
    notices: list[str]


def check_room(context: AppContext, num_bytes: int) -> None:
    """Refuse images to keep that there is no room for, before they are read.

    Args:
        context: of the caller.
        num_bytes: length of the body as its header says, 0 where it does not.

    Raises:
        QuotaExceededError: the tenant is full, or would be.
        DiskFullError: the disk is full, or would be.
    """
    check_room_for_upload(context.readers, context.caller, num_bytes, num_images=0)
    context.disk.check_room(num_bytes)


def find_models(context: AppContext, references: Sequence[str]) -> tuple[ModelRow, ...]:
    """Return the models of ids or aliases, each once.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: a model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
        PredictorNotReadyError: the process is still loading.
    """
    if context.predictor is None:  # the role `control`, which has no such endpoint
        raise PredictorNotReadyError(
            expected="a process that has a backbone", got="one without", remedy="Ask a process of the role `predict`"
        )
    _ = context.predictor.engine
    with context.readers() as session:
        found = [ModelRepository(session).resolve(reference) for reference in references]
    return tuple({model.id: model for model in found}.values())


def count_work(context: AppContext, models: Sequence[ModelRow], form: SpooledForm) -> int:
    """Look at a form before any image is read, and return how many images the models classify together.

    They count as query images of the tenant.

    Raises:
        RequestTooLargeError: more images than an evaluation may have.
        InvalidRequestError: a model knows none of the classes.
        GroupsError: the groups of the images cannot be read.
        RateLimitedError: the tenant has asked for more images in this minute than it may.
    """
    announced = look_ahead(form, context.settings.limits)
    for model in models:
        _check_labels(model, announced.labels)
    number, caller = announced.num_images * len(models), context.caller
    context.rates.count("query images", caller.tenant_id, caller.quotas.max_predictions_per_minute, number)
    return number


def evaluate_models(
    context: AppContext, models: Sequence[ModelRow], wanted: Wanted, form: SpooledForm, now: datetime
) -> Evaluated:
    """Measure models on the images of a form, and store what was measured.

    Args:
        context: of the process.
        models: to measure; the others are compared with the first.
        wanted: what the request wants.
        form: labelled images.
        now: the present moment.

    Raises:
        InvalidRequestError: nothing came.
        NothingUsableError: no image of a class that the models know can be used.
        ArchiveError: all that came is one archive, which cannot be read.
        GroupsError: the groups of the images cannot be read.
        GoneError: a model was deleted meanwhile.
        QuotaExceededError: the tenant would have too much.
        BackboneUnavailableError: the weights of a model's backbone are out of reach.
        BackboneMismatchError: this process has other weights of the backbone than the model was made on.
    """
    ids = [new_id(EVALUATION_PREFIX) for _ in models]
    images = QueryImages(form, context.settings.limits)
    kept = KeptImages(context.store, ids[0], f"{blob_folder(context.caller.tenant_id)}evaluations/{ids[0]}")
    measuring = Measuring(context, models, wanted.asked, images, kept if wanted.keep_images else None)
    with kept.removed_on_failure():
        for chunk in images.chunks():
            measuring.take(chunk)
        images.check_some(min(sum(one.label is not None for one in judged) for judged in measuring.judged))
        digest = data_digest(measuring.taken)
        rows = [
            EvaluationRow(
                id=evaluation_id,
                model_id=model.id,
                name=wanted.name,
                data_sha256=digest,
                num_images=len(measuring.taken),
                coverage=wanted.asked.coverage,
                false_rejects=wanted.asked.options(model).false_rejects,
                result=_result(model, judged, models[0], measuring.judged[0]),
                images_of=ids[0] if wanted.keep_images else None,
                created_at=now,
            )
            for evaluation_id, model, judged in zip(ids, models, measuring.judged, strict=True)
        ]
        with context.sessions.begin() as session:
            for model in models:
                ModelRepository(session).get(model.id)
            EvaluationRepository(session).add(rows, kept.rows)
            if kept.rows:
                check_bytes(session, context.caller)
    return Evaluated(rows, images.refused, [*images.notices, *_notices(models, measuring.judged)])


def list_evaluations(
    session: Session, reference: str | None, cursor: str | None, limit: int
) -> tuple[list[EvaluationRow], str | None]:
    """Return a page of the evaluations of a model or of all, newest first, and the cursor of the next one.

    Args:
        session: to read with.
        reference: id or alias of a model; None for all.
        cursor: of the last page.
        limit: evaluations on a page.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
    """
    model_id = None if reference is None else ModelRepository(session).resolve(reference).id
    return EvaluationRepository(session).list_page(model_id, cursor, limit)


def delete_evaluation(context: AppContext, evaluation_id: str) -> None:
    """Delete an evaluation with its kept images.

    Raises:
        NotFoundError: there is none with this id.
    """
    with context.sessions.begin() as session:
        EvaluationRepository(session).delete(evaluation_id)
    context.store.delete_prefix(f"{blob_folder(context.caller.tenant_id)}evaluations/{evaluation_id}")


def read_image(context: AppContext, session: Session, evaluation_id: str, image_id: str) -> tuple[EvaluationImageRow, bytes]:
    """Return a kept image.

    Raises:
        NotFoundError: there is no such evaluation, or no such image of it.
        BlobMissingError: the store has lost it.
    """
    repository = EvaluationRepository(session)
    row = repository.image(repository.get(evaluation_id), image_id)
    return row, context.store.get(row.blob_key)


def _result(model: ModelRow, judged: Sequence[Judged], first: ModelRow, first_judged: Sequence[Judged]) -> dict[str, Any]:
    """Return what was measured as JSON values, beside the first model of the request where there are several."""
    difference = None if model is first else paired_difference(judged, first_judged)
    compared = None if difference is None else {"model": first.id, **asdict(difference)}
    return evaluate(model.labels, judged).to_json() | {"compared": compared}


def _notices(models: Sequence[ModelRow], judged: Sequence[Sequence[Judged]]) -> list[str]:
    found = []
    for model, images in zip(models, judged, strict=True):
        unknown = Counter(image.sent_label for image in images if image.label is None)
        found.append(unknown_notice(unknown, model.labels, model.id))
    return [notice for notice in found if notice is not None]


def _check_labels(model: ModelRow, labels: Sequence[str]) -> None:
    if labels and not any(match_labels(labels, model.labels).values()):
        raise InvalidRequestError(
            expected=f"images of classes of {model.id}: {_listed(model.labels)}",
            got=f"images of {_listed(labels)}",
            remedy="Name the form fields, or the folders of the zip, like the classes of the model",
        )


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(map(repr, labels[:5])) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
