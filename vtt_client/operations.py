"""What can be asked of the service, written once for both clients."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from vtt_client.calls import Call, Operation, Pause
from vtt_client.errors import BadInputError, InvalidError, JobFailedError, ServiceError, TooLargeError
from vtt_client.evaluation_models import Evaluations
from vtt_client.files import Image, LabelledImages, Progress, files_below, form_of, image_part, in_requests
from vtt_client.models import (
    Alias,
    AliasPage,
    ImagePrediction,
    Job,
    Model,
    ModelPage,
    PredictAnswer,
    SupportSet,
    SupportSetDetail,
    SupportSetPage,
    Upload,
)
from vtt_client.predictions import Predictions

Body = TypeVar("Body", bound=BaseModel)
IMAGES_PER_REQUEST = 64
"""Images that a service takes in a request for predictions, unless it is set up otherwise."""
PAGE = 100
"""Entries of a page of a list."""
UNHURRIED_SECONDS = 3600.0
"""How long an answer may take that comes when all images are done."""
FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.2, 3.0
"""Pauses between two looks at a job."""
_KINDS = {"set_": "support-sets", "job_": "jobs", "mdl_": "models", "bat_": "predictions", "evl_": "evaluations"}
"""Beginning of an id -> path of the resource."""


def upload(
    source: LabelledImages,
    *,
    name: str = "",
    negative: str | None = None,
    groups: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Operation[Upload]:
    """Send labelled images as a new support set.

    Args:
        source: folder with a folder per class, or a zip of one, or the images of each class by its label.
        name: what you call the set.
        negative: label of the class whose images show none of the others.
        groups: by file name, what images have in common, such as the patient.
        progress: told the bytes that were sent, and those in all.

    Returns:
        The set; `refused` names the images that could not be used.

    Raises:
        BadInputError: there are no images.
        InvalidError: none of them can be used; `results` says why.
    """
    with form_of(source, progress) as parts:
        if groups:
            parts.append(("groups", (None, json.dumps(dict(groups)))))
        params = {"name": name or None, "negative": negative}
        answer = yield Call("POST", "/v1/support-sets", params, files=parts, read_seconds=UNHURRIED_SECONDS)
        return _read(Upload, answer)


def support_sets() -> Operation[list[SupportSet]]:
    """Return the support sets, newest first."""
    return (yield from _listed("/v1/support-sets", SupportSetPage, lambda page: page.items))


def support_set(support_set_id: str) -> Operation[SupportSetDetail]:
    """Return a support set with its images."""
    return _read(SupportSetDetail, (yield _get(f"/v1/support-sets/{_segment(support_set_id)}")))


def train(
    support_set_id: str,
    *,
    backbone: str | None = None,
    method: str = "auto",
    preset: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    seed: int | None = None,
    name: str = "",
    idempotency_key: str | None = None,
) -> Operation[Job]:
    """Start a job that learns a model from a support set.

    Args:
        support_set_id: of an upload.
        backbone: None for the service's default.
        method: `auto`, `frozen`, or what to fine-tune.
        preset: where the recipe starts; None for the usual.
        recipe: single hyper-parameters.
        seed: None for the usual.
        name: what you call the job and its model.
        idempotency_key: the same key starts one job, however often it is sent; None for a new key.

    Returns:
        The job, which waits or runs: see `follow` and `wait`.
    """
    body: dict[str, Any] = {"support_set_id": support_set_id, "backbone": backbone, "method": method, "preset": preset}
    body |= {"seed": seed, "recipe": dict(recipe) if recipe else None, "name": name or None}
    sent = {field: value for field, value in body.items() if value is not None}
    key = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    return _read(Job, (yield Call("POST", "/v1/jobs", json=sent, headers=key, is_repeatable=True)))


def job(job_id: str) -> Operation[Job]:
    """Return a job as it is now."""
    return _read(Job, (yield _get(f"/v1/jobs/{_segment(job_id)}")))


def cancel(job_id: str) -> Operation[Job]:
    """Cancel a job that has not ended."""
    return _read(Job, (yield Call("POST", f"/v1/jobs/{_segment(job_id)}/cancel")))


def wait(job_id: str, *, progress: Callable[[Job], None] | None = None, timeout_seconds: float | None = None) -> Operation[Job]:
    """Wait until a job has ended; return it.

    Args:
        job_id: of a job.
        progress: told the job after each look.
        timeout_seconds: None to wait however long it takes.

    Raises:
        JobFailedError: it ended without a model.
        TimeoutError: it had not ended in time; it goes on.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    pause = FIRST_LOOK_SECONDS
    while True:
        found = yield from job(job_id)
        if progress is not None:
            progress(found)
        if found.has_ended:
            return _succeeded(found)
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"{job_id} is still {found.state} after {timeout_seconds} s")
        yield Pause(pause)
        pause = min(LONGEST_LOOK_SECONDS, pause * 1.5)


def models() -> Operation[list[Model]]:
    """Return the models, newest first, with the single numbers of their metrics."""
    return (yield from _listed("/v1/models", ModelPage, lambda page: page.items))


def model(reference: str) -> Operation[Model]:
    """Return a model by its id or an alias, with all its metrics."""
    return _read(Model, (yield _get(f"/v1/models/{_segment(reference)}")))


def aliases() -> Operation[list[Alias]]:
    """Return the aliases, in alphabetical order."""
    return (yield from _listed("/v1/aliases", AliasPage, lambda page: page.items))


def point_alias(name: str, model_id: str) -> Operation[Alias]:
    """Make an alias point to a model; an alias that exists is moved."""
    path = f"/v1/aliases/{_segment(name)}"
    return _read(Alias, (yield Call("PUT", path, json={"model_id": model_id}, is_repeatable=True)))


def delete_alias(name: str) -> Operation[None]:
    """Delete an alias; its model stays."""
    yield Call("DELETE", f"/v1/aliases/{_segment(name)}")


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
    files, asked = files_below(folder), {"coverage": coverage, "false_rejects": false_rejects}
    done: list[ImagePrediction] = []
    for part in in_requests(files, IMAGES_PER_REQUEST):
        parts = [image_part(file, Path(folder)) for file in part]
        done += yield from _in_halves(reference, parts, asked)
        if progress is not None:
            progress(len(done), len(files))
    return Predictions(done)


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
    with form_of(source, progress) as parts:
        params: dict[str, Any] = {"name": name or None, "keep_images": keep_images or None}
        params |= {"coverage": coverage, "false_rejects": false_rejects}
        path = f"/v1/models/{_segment(reference)}/evaluations"
        answer = yield Call("POST", path, params, files=parts, read_seconds=UNHURRIED_SECONDS)
        return _read(Evaluations, answer)


def download(reference: str, target: str | Path, *, kind: str = "adapter") -> Operation[Path]:
    """Save an export of a model: `adapter`, the zip that `vtt predict` reads once it is unpacked, or `report`.

    Args:
        reference: id or alias of a model.
        target: file to write; it takes the place of an older one once all has arrived.
        kind: of the export.

    Returns:
        The file.
    """
    answer = yield _get(f"/v1/models/{_segment(reference)}/exports/{_segment(kind)}")
    path = Path(target)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(answer.content)
    return partial.replace(path)


def delete(resource_id: str) -> Operation[None]:
    """Delete a support set, job, model, batch or evaluation by its id.

    Raises:
        BadInputError: it is no id of these.
    """
    kind = next((path for prefix, path in _KINDS.items() if resource_id.startswith(prefix)), None)
    if kind is None:
        raise BadInputError(
            code="client.unknown_id",
            title="Unknown id",
            expected=f"an id that begins with one of {', '.join(_KINDS)}",
            got=repr(resource_id),
            remedy="Take the id from a list, such as that of the models",
        )
    yield Call("DELETE", f"/v1/{kind}/{_segment(resource_id)}")


def _listed(path: str, page_type: type[Body], items: Callable[[Body], list[Any]]) -> Operation[list[Any]]:
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = _read(page_type, (yield _get(path, {"limit": PAGE, "cursor": cursor})))
        found += items(page)
        cursor = getattr(page, "next_cursor", None)
        if cursor is None:
            return found


def _predicted(
    reference: str, parts: list[tuple[str, tuple[str, bytes]]], asked: Mapping[str, Any]
) -> Operation[list[ImagePrediction]]:
    path = f"/v1/models/{_segment(reference)}/predict"
    return _read(PredictAnswer, (yield Call("POST", path, asked, files=parts, is_repeatable=True))).predictions


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


def _get(path: str, params: Mapping[str, Any] | None = None) -> Call:
    return Call("GET", path, params or {}, is_repeatable=True)


def _segment(name: str) -> str:
    return quote(name, safe="")


def _read(body: type[Body], answer: httpx2.Response) -> Body:
    try:
        return body.model_validate_json(answer.content)
    except ValidationError as error:
        raise ServiceError(
            code="client.unknown_answer",
            title="Unknown answer",
            expected=f"{body.__name__} as this client knows it",
            got=str(error).splitlines()[0],
            remedy="Check the address; if it is the service's, install the client of its release",
            status=answer.status_code,
        ) from error


def _succeeded(found: Job) -> Job:
    if found.state == "succeeded":
        return found
    why = found.error
    raise JobFailedError(
        code=why.code if why else f"job.{found.state}",
        title=why.title if why else f"Job {found.state}",
        expected=why.expected if why else "a job that succeeds",
        got=why.got if why else f"{found.id}, which is {found.state}",
        remedy=why.remedy if why else "Start another job",
    )
