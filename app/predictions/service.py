"""Classify the images of a form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from threading import Lock
from typing import Any

from app.dependencies import AppContext
from app.display_names import shown_file_name
from app.domain.errors import InvalidRequestError, NothingUsableError, RequestTooLargeError
from app.infra.band_columns import choice_of
from app.infra.model_repository import ModelRepository
from app.infra.served_models import ServedModel
from app.models.service import read_adapter
from app.predictions.asked import Asked
from app.predictions.record import record_predictions
from app.predictions.schemas import ANSWERED, ImagePrediction
from app.uploads.form import FormLimits, FormPart, SpooledForm
from app.uploads.form_request import image_bytes
from vtt_core.contract.errors import VttError
from vtt_core.contract.limits import Limits
from vtt_core.contract.serving import AnswerOptions, PredictionEngine

IMAGES_FIELD = "images"
MODEL_FIELD = "model"


@dataclass(frozen=True)
class Answer:
    """The model that answered, and its prediction for each image."""

    model: ServedModel
    predictions: list[ImagePrediction]


def predict_limits(limits: Limits, reference: str | None) -> FormLimits:
    """Return what a form of query images may hold.

    Args:
        limits: the bounds in force.
        reference: the model, if the path of the request names it.
    """
    return FormLimits(
        max_parts=limits.max_query_images + 1,
        max_text_bytes=1000,
        max_file_bytes=lambda field: limits.max_image_bytes,
        description=f"at most {limits.max_query_images} images in a request",
        remedy=_send_a_batch(reference),
        example=f"-F {IMAGES_FIELD}=@photo.jpg",
    )


def model_named_in(form: SpooledForm) -> str:
    """Return the `model` field of a form.

    Raises:
        InvalidRequestError: there is none.
    """
    for part in form.texts:
        if part.field_name == MODEL_FIELD and part.text.strip().isprintable() and part.text.strip():
            return part.text.strip()
    raise InvalidRequestError(
        expected="a form field `model` with the id or an alias of a model",
        got="no such field",
        remedy="Add it (with curl: -F model=mdl_...)",
    )


def predict(context: AppContext, reference: str, form: SpooledForm, asked: Asked, now: datetime) -> Answer:
    """Classify the images of a form with a model.

    Args:
        context: of the process.
        reference: id or alias of the model.
        form: images in fields named `images`.
        asked: what the answer should say besides probabilities.
        now: the present moment.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
        InvalidRequestError: no image came, or under another field name.
        RequestTooLargeError: more images than a request may have.
        NothingUsableError: no image can be read.
        RateLimitedError: the tenant has asked for more images in this minute than it may.
        PredictorNotReadyError: the process is still loading.
        BackboneUnavailableError: the weights of the model's backbone are out of reach.
        BackboneMismatchError: this process has other weights of the backbone than the model was made on.
    """
    model = model_to_serve(context, reference)
    check_fields(form, context.settings.limits.max_query_images, _send_a_batch(reference))
    caller = context.caller
    context.rates.count("query images", caller.tenant_id, caller.quotas.max_predictions_per_minute, len(form.files))
    predictions = _answers(context, model, form, asked.options(model))
    if all(prediction.status != ANSWERED for prediction in predictions):
        raise NothingUsableError(
            results=[prediction.model_dump(exclude_unset=True) for prediction in predictions],
            expected="at least one readable image",
            got=f"{len(predictions)} that cannot be read",
            remedy="See `results` for each one",
        )
    record_predictions(context, model, form, predictions, now)
    return Answer(model, predictions)


def model_to_serve(context: AppContext, reference: str) -> ServedModel:
    """Return what a prediction has to know of a model.

    Args:
        context: of the caller.
        reference: id or alias of the model, or the id of the job that published it.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
    """
    found = context.served_models.find(reference, context.caller.tenant_id)
    if found is not None:
        return found
    with context.readers() as session:
        return ServedModel.of(ModelRepository(session).resolve(reference))


def check_fields(form: SpooledForm, most: int, remedy: str) -> None:
    """Refuse a form of other fields than images, of none, or of more than `most`; `remedy` says what to do then.

    Raises:
        InvalidRequestError: no image came, or under another field name.
        RequestTooLargeError: more images than a request may have.
    """
    misnamed = [part for part in form.files if part.field_name != IMAGES_FIELD]
    misnamed += [part for part in form.texts if part.field_name != MODEL_FIELD]
    if misnamed or not form.files:
        raise InvalidRequestError(
            expected=f"files in form fields named `{IMAGES_FIELD}`",
            got=_described(misnamed[0]) if misnamed else "a form without files",
            remedy=f"Name the field of every image `{IMAGES_FIELD}` (with curl: -F {IMAGES_FIELD}=@photo.jpg)",
        )
    if len(form.files) > most:
        raise RequestTooLargeError(
            expected="one image in a request" if most == 1 else f"at most {most} images in a request",
            got=f"{len(form.files)} images",
            remedy=remedy,
        )


def _send_a_batch(reference: str | None) -> str:
    model = reference or "{model}"
    return f"Send the images as a batch with POST /v1/models/{model[:100]}/predictions, or in several requests"


def _described(part: FormPart) -> str:
    what = f"the text {part.text[:80]!r}" if part.file_name is None else "a file"
    return f"{what} in a field named {part.field_name[:80]!r}"


def _answers(context: AppContext, model: ServedModel, form: SpooledForm, options: AnswerOptions) -> list[ImagePrediction]:
    """Return the prediction for each image, or why it could not be read."""
    assert context.predictor is not None
    engine = context.predictor.engine
    names = [shown_file_name(part.file_name or "") for part in form.files]
    read = read_images(engine, model, form, context.settings.limits)
    engine.set_pinned(model.id, model.is_pinned)
    images = [image for image in read if not isinstance(image, VttError)]
    load_files = partial(read_adapter, context, model)
    answers = iter(engine.predict(model.id, model.backbone_id, load_files, images, options) if images else [])
    return [
        ImagePrediction.refused(name, image) if isinstance(image, VttError) else ImagePrediction.answered(name, next(answers))
        for name, image in zip(names, read, strict=True)
    ]


def read_images(engine: PredictionEngine, model: ServedModel, form: SpooledForm, limits: Limits) -> Sequence[Any | VttError]:
    """Return each image of a form as the model's backbone reads it, or why it cannot be used."""
    spool_lock = Lock()
    readers = [partial(_read, form, part, limits, spool_lock) for part in form.files]
    return engine.read_images(model.backbone_id, readers, limits, choice_of(model))


def _read(form: SpooledForm, part: FormPart, limits: Limits, spool_lock: Lock) -> bytes:
    with spool_lock:  # the images of a form share one file
        return image_bytes(form, part, limits)
