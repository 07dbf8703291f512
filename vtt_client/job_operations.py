"""Ask the service to learn: jobs, and what they can start from. Written once for both clients, as the other operations are."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from vtt_client.answers import UNHURRIED_SECONDS, get, listed, read, segment
from vtt_client.calls import Call, Operation
from vtt_client.connection import check_idempotency_key
from vtt_client.errors import BadInputError, JobFailedError
from vtt_client.files import Groups, LabelledImages, Progress, form_of
from vtt_client.models import AddedClasses, Backbone, BackboneList, Job, JobPage
from vtt_client.waiting import until_ended

_KINDS = {
    "set_": "support-sets",
    "job_": "jobs",
    "mdl_": "models",
    "bat_": "predictions",
    "evl_": "evaluations",
    "whk_": "webhooks",
}
"""Beginning of an id -> path of the resource."""


def backbones() -> Operation[list[Backbone]]:
    """Return the backbones that a job can take."""
    return read(BackboneList, (yield get("/v1/backbones"))).items


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
    key = {"Idempotency-Key": check_idempotency_key(idempotency_key or uuid.uuid4().hex)}
    return read(Job, (yield Call("POST", "/v1/jobs", json=sent, headers=key, is_repeatable=True)))


def add_classes(
    reference: str,
    source: LabelledImages,
    *,
    name: str = "",
    groups: Groups | None = None,
    idempotency_key: str | None = None,
    progress: Progress | None = None,
) -> Operation[AddedClasses]:
    """Start a job that adds classes to a model; the new model is another one, and nothing is fine-tuned.

    Args:
        reference: id or alias of a model.
        source: images of the new classes, as of `upload`.
        name: what you call the job, its model and its support set.
        groups: as of `upload`.
        idempotency_key: the same key starts one job, however often it is sent; None for a new key.
        progress: told the bytes that were sent, and those in all.

    Returns:
        The job; its `refused` names the images that could not be used.
    """
    with form_of(source, progress, groups) as parts:
        call = Call(
            "POST",
            f"/v1/models/{segment(reference)}/classes",
            {"name": name or None},
            files=parts,
            headers={"Idempotency-Key": check_idempotency_key(idempotency_key or uuid.uuid4().hex)},
            is_repeatable=True,
            read_seconds=UNHURRIED_SECONDS,
        )
        return read(AddedClasses, (yield call))


def jobs() -> Operation[list[Job]]:
    """Return the jobs, newest first."""
    return (yield from listed("/v1/jobs", JobPage, lambda page: page.items))


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
    return (yield from until_ended(lambda: job(job_id), JobFailedError, progress, timeout_seconds))


def delete(resource_id: str) -> Operation[None]:
    """Delete a support set, job, model, batch, evaluation or webhook by its id.

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
