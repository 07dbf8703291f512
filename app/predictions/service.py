"""Answer which class each image shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from app.domain.errors import InvalidRequestError, NothingUsableError
from app.infra.models import ModelRepository
from app.infra.tables import ModelRow
from app.models.service import read_adapter
from app.names import shown_file_name
from app.predictions.schemas import ANSWERED, ImagePrediction
from app.uploads.form import FormLimits, FormPart, SpooledForm
from app.wiring import Resources
from vtt_core.contract.errors import ImageTooManyBytesError, VttError
from vtt_core.contract.limits import Limits
from vtt_core.images import decode_image

IMAGES_FIELD = "images"
MODEL_FIELD = "model"
MAX_PIXELS_AT_ONCE = 50_000_000
"""Decoded pixels that are in memory together, some 150 MB; more images wait for their turn."""


@dataclass(frozen=True)
class Answer:
    """The model that has answered, and what it says about each image."""

    model: ModelRow
    predictions: list[ImagePrediction]


def predict_limits(limits: Limits) -> FormLimits:
    """Return what a form of query images may hold."""
    return FormLimits(
        max_parts=limits.max_query_images + 1, max_text_bytes=1000, max_file_bytes=lambda field: limits.max_image_bytes
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
        got="none",
        remedy="Add it (with curl: -F model=mdl_...)",
    )


def predict(resources: Resources, reference: str, form: SpooledForm) -> Answer:
    """Classify the images of a form with a model.

    Args:
        resources: of the process.
        reference: id or alias of the model.
        form: images in fields named `images`.

    Raises:
        NotFoundError: nothing has this id or alias.
        GoneError: the model was deleted.
        ModelNotReadyError: it is a job that has not published a model.
        InvalidRequestError: no image came, or under another field name.
        NothingUsableError: no image can be read.
        PredictorNotReadyError: the process is still loading.
        BackboneUnavailableError: the weights of the model's backbone are out of reach.
        BackboneMismatchError: this process has other weights of the backbone than the model was made on.
    """
    with resources.readers() as session:
        model = ModelRepository(session).resolve(reference)
    _check_fields(form)
    results: list[ImagePrediction | None] = [None] * len(form.files)
    for batch in _batches(form, resources.settings.limits, results):
        _classify(resources, model, batch, results)
    predictions = [result for result in results if result is not None]
    if all(prediction.status != ANSWERED for prediction in predictions):
        raise NothingUsableError(
            results=[prediction.model_dump(exclude_none=True) for prediction in predictions],
            expected="at least one readable image",
            got=f"{len(predictions)} that cannot be read",
            remedy="See `results` for each one",
        )
    return Answer(model, predictions)


def _check_fields(form: SpooledForm) -> None:
    misnamed = [part.field_name for part in form.files if part.field_name != IMAGES_FIELD]
    misnamed += [part.field_name for part in form.texts if part.field_name != MODEL_FIELD]
    if misnamed or not form.files:
        raise InvalidRequestError(
            expected=f"files in form fields named `{IMAGES_FIELD}`",
            got=f"a field {misnamed[0][:80]!r}" if misnamed else "none",
            remedy=f"Send them so (with curl: -F {IMAGES_FIELD}=@photo.jpg)",
        )


def _batches(
    form: SpooledForm, limits: Limits, results: list[ImagePrediction | None]
) -> Iterator[list[tuple[int, str, Image.Image]]]:
    """Yield (slot, file name, image) of the readable images, few enough at once; note the others in the results."""
    batch: list[tuple[int, str, Image.Image]] = []
    num_pixels = 0
    for slot, part in enumerate(form.files):
        name = shown_file_name(part.file_name or "")
        try:
            image = decode_image(_read(form, part, limits), limits)
        except VttError as error:
            results[slot] = ImagePrediction.refused(name, error)
            continue
        if batch and num_pixels + image.width * image.height > MAX_PIXELS_AT_ONCE:
            yield batch
            batch, num_pixels = [], 0
        batch.append((slot, name, image))
        num_pixels += image.width * image.height
    if batch:
        yield batch


def _classify(
    resources: Resources, model: ModelRow, batch: list[tuple[int, str, Image.Image]], results: list[ImagePrediction | None]
) -> None:
    assert resources.predictor is not None
    answers = resources.predictor.engine.predict(
        model.id, model.backbone_id, lambda: read_adapter(resources, model), [image for _, _, image in batch]
    )
    for (slot, name, _), answer in zip(batch, answers, strict=True):
        likeliest = next(iter(answer.probabilities))
        results[slot] = ImagePrediction(file=name, status=ANSWERED, label=likeliest, probabilities=answer.probabilities)


def _read(form: SpooledForm, part: FormPart, limits: Limits) -> bytes:
    if not part.is_kept:
        raise ImageTooManyBytesError(
            expected=f"at most {limits.max_image_bytes} bytes", got=f"{part.size_bytes} bytes", remedy="Save it smaller"
        )
    return form.read(part)
