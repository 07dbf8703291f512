"""What can be asked of the service, written once for both clients."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from vtt_client.answers import UNHURRIED_SECONDS, get, read, segment
from vtt_client.calls import Call, Operation, Pause
from vtt_client.errors import BadInputError, JobFailedError
from vtt_client.files import LabelledImages, Progress, form_of
from vtt_client.models import (
    Alias,
    AliasPage,
    Job,
    Model,
    ModelPage,
    SupportSet,
    SupportSetDetail,
    SupportSetPage,
    Upload,
)

Body = TypeVar("Body", bound=BaseModel)
PAGE = 100
"""Entries of a page of a list."""
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
    bands: Sequence[int] | None = None,
    stretch: tuple[float, float] | None = None,
    progress: Progress | None = None,
) -> Operation[Upload]:
    """Send labelled images as a new support set.

    Args:
        source: folder with a folder per class, or a zip of one, or the images of each class by its label.
        name: what you call the set.
        negative: label of the class whose images show none of the others.
        groups: by file name, what images have in common, such as the patient.
        bands: of TIFFs with more than three: those that are shown as red, green and blue, counted from 1; or one, as grey.
        stretch: percentiles of the images that become black and white, with `bands`; None for the usual ones.
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
        params = {"name": name or None, "negative": negative, "bands": _joined(bands), "stretch": _joined(stretch)}
        answer = yield Call("POST", "/v1/support-sets", params, files=parts, read_seconds=UNHURRIED_SECONDS)
        return read(Upload, answer)


def _joined(numbers: Sequence[float] | None) -> str | None:
    return None if numbers is None else ",".join(f"{number:g}" for number in numbers)


def support_sets() -> Operation[list[SupportSet]]:
    """Return the support sets, newest first."""
    return (yield from _listed("/v1/support-sets", SupportSetPage, lambda page: page.items))


def support_set(support_set_id: str) -> Operation[SupportSetDetail]:
    """Return a support set with its images."""
    return read(SupportSetDetail, (yield get(f"/v1/support-sets/{segment(support_set_id)}")))


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
    return read(Job, (yield Call("POST", "/v1/jobs", json=sent, headers=key, is_repeatable=True)))


def job(job_id: str) -> Operation[Job]:
    """Return a job as it is now."""
    return read(Job, (yield get(f"/v1/jobs/{segment(job_id)}")))


def cancel(job_id: str) -> Operation[Job]:
    """Cancel a job that has not ended."""
    return read(Job, (yield Call("POST", f"/v1/jobs/{segment(job_id)}/cancel")))


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
    return read(Model, (yield get(f"/v1/models/{segment(reference)}")))


def aliases() -> Operation[list[Alias]]:
    """Return the aliases, in alphabetical order."""
    return (yield from _listed("/v1/aliases", AliasPage, lambda page: page.items))


def alias(name: str) -> Operation[Alias]:
    """Return an alias and the model that it points to."""
    return read(Alias, (yield get(f"/v1/aliases/{segment(name)}")))


def point_alias(name: str, model_id: str) -> Operation[Alias]:
    """Make an alias point to a model; an alias that exists is moved."""
    path = f"/v1/aliases/{segment(name)}"
    return read(Alias, (yield Call("PUT", path, json={"model_id": model_id}, is_repeatable=True)))


def delete_alias(name: str) -> Operation[None]:
    """Delete an alias; its model stays."""
    yield Call("DELETE", f"/v1/aliases/{segment(name)}")


def download(reference: str, target: str | Path, *, kind: str = "adapter") -> Operation[Path]:
    """Save an export of a model: `adapter`, the zip that `vtt predict` reads once it is unpacked, or `report`.

    Args:
        reference: id or alias of a model.
        target: file to write; it takes the place of an older one once all has arrived.
        kind: of the export.

    Returns:
        The file.
    """
    answer = yield get(f"/v1/models/{segment(reference)}/exports/{segment(kind)}")
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
    yield Call("DELETE", f"/v1/{kind}/{segment(resource_id)}")


def _listed(path: str, page_type: type[Body], items: Callable[[Body], list[Any]]) -> Operation[list[Any]]:
    found: list[Any] = []
    cursor: str | None = None
    while True:
        page = read(page_type, (yield get(path, {"limit": PAGE, "cursor": cursor})))
        found += items(page)
        cursor = getattr(page, "next_cursor", None)
        if cursor is None:
            return found


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
