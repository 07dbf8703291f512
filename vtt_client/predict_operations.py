"""Ask the service to classify images, and to measure a model; written once for both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vtt_client.answers import UNHURRIED_SECONDS, get, listed, read, segment
from vtt_client.calls import Call, Operation
from vtt_client.errors import InvalidError, TooLargeError
from vtt_client.evaluation_models import Evaluation, EvaluationPage, Evaluations, EvaluationSummary
from vtt_client.files import Image, LabelledImages, Progress, files_below, form_of, image_part, in_requests
from vtt_client.models import Attention, ImagePrediction, PredictAnswer
from vtt_client.predictions import Predictions

IMAGES_PER_REQUEST = 64
"""Images that a service takes in a request for predictions, unless it is set up otherwise."""


def predict(
    reference: str, images: Sequence[Image], *, coverage: float | None = None, false_rejects: float | None = None
) -> Operation[list[ImagePrediction]]:
    """Classify some images in one request.

    Args:
        reference: id or alias of a model.
        images: paths, or names with bytes; at most 64, unless the service is set up otherwise.
        coverage: share of images whose true class should be in `prediction_set`; None for the usual.
        false_rejects: share of images of the classes that may be `none_of_these`; None for the model's.

    Returns:
        A prediction for each image. One that cannot be read has `code` and the reason.

    Raises:
        InvalidError: none of the images can be read.
        TooLargeError: more images than a request may have: see `predict_folder`.
    """
    asked = {"coverage": coverage, "false_rejects": false_rejects}
    return (yield from _predicted(reference, [image_part(image) for image in images], asked))


def predict_folder(
    reference: str,
    folder: str | Path,
    *,
    coverage: float | None = None,
    false_rejects: float | None = None,
    progress: Progress | None = None,
) -> Operation[Predictions]:
    """Classify all images in a folder and its folders, in requests of a size that the service takes.

    Args:
        reference: id or alias of a model.
        folder: of images; hidden files are left out.
        coverage: as of `predict`.
        false_rejects: as of `predict`.
        progress: told the images that are done, and those in all.

    Returns:
        A prediction for each file, by name. A file that is no usable image has `code` and the reason.

    Raises:
        BadInputError: there are no files.
    """
    asked = {"coverage": coverage, "false_rejects": false_rejects}
    return (yield from _predicted_in_parts(reference, files_below(folder), Path(folder), asked, progress))


def predict_files(
    reference: str,
    files: Sequence[str | Path],
    *,
    coverage: float | None = None,
    false_rejects: float | None = None,
    progress: Progress | None = None,
) -> Operation[Predictions]:
    """Classify any number of files, in requests of a size that the service takes; otherwise as `predict_folder`."""
    asked = {"coverage": coverage, "false_rejects": false_rejects}
    return (yield from _predicted_in_parts(reference, [Path(file) for file in files], None, asked, progress))


def evaluate(
    reference: str,
    source: LabelledImages,
    *,
    name: str = "",
    keep_images: bool = False,
    coverage: float | None = None,
    false_rejects: float | None = None,
    progress: Progress | None = None,
) -> Operation[Evaluations]:
    """Measure a model on labelled images that it has not learnt from.

    Args:
        reference: id or alias of a model.
        source: as of `upload`.
        name: what you call the images.
        keep_images: whether the service keeps them.
        coverage: as of `predict`.
        false_rejects: as of `predict`.
        progress: told the bytes that were sent, and those in all.
    """
    path = f"/v1/models/{segment(reference)}/evaluations"
    asked = {"coverage": coverage, "false_rejects": false_rejects, "name": name or None, "keep_images": keep_images or None}
    return (yield from _measured(path, asked, source, progress))


def compare(
    references: Sequence[str],
    source: LabelledImages,
    *,
    name: str = "",
    keep_images: bool = False,
    coverage: float | None = None,
    false_rejects: float | None = None,
    progress: Progress | None = None,
) -> Operation[Evaluations]:
    """Measure up to eight models on the same labelled images; `compared` of all but the first says how it differs from that.

    Args:
        references: ids or aliases of models.
        source: as of `upload`.
        name: as of `evaluate`.
        keep_images: as of `evaluate`.
        coverage: as of `predict`.
        false_rejects: as of `predict`.
        progress: as of `evaluate`.
    """
    asked = {"model": list(references), "name": name or None, "keep_images": keep_images or None}
    return (
        yield from _measured(
            "/v1/evaluations", asked | {"coverage": coverage, "false_rejects": false_rejects}, source, progress
        )
    )


def evaluations(reference: str | None = None) -> Operation[list[EvaluationSummary]]:
    """Return the evaluations of a model, or of all models, those that were deleted included; newest first."""
    path = "/v1/evaluations" if reference is None else f"/v1/models/{segment(reference)}/evaluations"
    return (yield from listed(path, EvaluationPage, lambda page: page.items))


def evaluation(evaluation_id: str) -> Operation[Evaluation]:
    """Return an evaluation with all its numbers."""
    return read(Evaluation, (yield get(f"/v1/evaluations/{segment(evaluation_id)}")))


def attention(reference: str, image: Image) -> Operation[Attention]:
    """Show where a model looks in an image.

    Args:
        reference: id or alias of a model.
        image: path, or name and bytes.
    """
    path = f"/v1/models/{segment(reference)}/attention"
    return read(Attention, (yield Call("POST", path, files=[image_part(image)], is_repeatable=True)))


def _measured(path: str, asked: Mapping[str, Any], source: LabelledImages, progress: Progress | None) -> Operation[Evaluations]:
    with form_of(source, progress) as parts:
        return read(Evaluations, (yield Call("POST", path, asked, files=parts, read_seconds=UNHURRIED_SECONDS)))


def _predicted_in_parts(
    reference: str, files: Sequence[Path], folder: Path | None, asked: Mapping[str, Any], progress: Progress | None
) -> Operation[Predictions]:
    done: list[ImagePrediction] = []
    for part in in_requests(files, IMAGES_PER_REQUEST):
        done += yield from _in_halves(reference, [image_part(file, folder) for file in part], asked)
        if progress is not None:
            progress(len(done), len(files))
    return Predictions(done)


def _predicted(
    reference: str, parts: list[tuple[str, tuple[str, bytes]]], asked: Mapping[str, Any]
) -> Operation[list[ImagePrediction]]:
    path = f"/v1/models/{segment(reference)}/predict"
    return read(PredictAnswer, (yield Call("POST", path, asked, files=parts, is_repeatable=True))).predictions


def _in_halves(
    reference: str, parts: list[tuple[str, tuple[str, bytes]]], asked: Mapping[str, Any]
) -> Operation[list[ImagePrediction]]:
    """Predict in one request, or in two of half as many images if the service takes fewer."""
    try:
        return (yield from _predicted(reference, parts, asked))
    except TooLargeError:
        if len(parts) == 1:
            raise
    except InvalidError as error:
        if error.code != "images.nothing_usable":
            raise
        return [ImagePrediction.model_validate(result) for result in error.results]
    middle = len(parts) // 2
    first = yield from _in_halves(reference, parts[:middle], asked)
    return first + (yield from _in_halves(reference, parts[middle:], asked))
