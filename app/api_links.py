"""OpenAPI links for the API's description: which operation takes a value of which answer.

Generators of clients and tests follow them: the id in an answer is the parameter of the next request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SETS, _SET = "/v1/support-sets", "/v1/support-sets/{support_set_id}"
_IMAGE = "/v1/support-sets/{support_set_id}/images/{image_id}"
_JOBS, _JOB = "/v1/jobs", "/v1/jobs/{job_id}"
_MODELS, _MODEL = "/v1/models", "/v1/models/{model}"
_ALIASES, _ALIAS = "/v1/aliases", "/v1/aliases/{name}"
_NAME = "$response.body#/name"
_EVALUATIONS, _EVALUATION = "/v1/evaluations", "/v1/evaluations/{evaluation_id}"
_HOOKS, _HOOK = "/v1/webhooks", "/v1/webhooks/{webhook_id}"
_BATCHES, _BATCH = "/v1/predictions", "/v1/predictions/{batch_id}"
_ID, _FIRST_ID, _NEXT = "$response.body#/id", "$response.body#/items/0/id", "$response.body#/next_cursor"


@dataclass(frozen=True)
class Link:
    """A link from an answer to an operation."""

    target: str
    """Method and path of the operation."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Runtime expression of each parameter."""
    body: Mapping[str, str] | None = None
    """Runtime expression of each field of a JSON body."""


def _set_links(set_id: str) -> dict[str, Link]:
    where = {"support_set_id": set_id}
    return {
        "get_support_set": Link(f"get {_SET}", where),
        "add_images": Link(f"post {_SET}/images", where),
        "report_on_support_set": Link(f"post {_SET}/report", where),
        "copy_support_set": Link(f"post {_SET}/copy", where),
        "delete_support_set": Link(f"delete {_SET}", where),
        "create_job": Link(f"post {_JOBS}", body=where),
    }


def _job_links(job_id: str) -> dict[str, Link]:
    where = {"job_id": job_id}
    return {
        "get_job": Link(f"get {_JOB}", where),
        "cancel_job": Link(f"post {_JOB}/cancel", where),
        "follow_job": Link(f"get {_JOB}/events", where),
        "delete_job": Link(f"delete {_JOB}", where),
    }


def _batch_links(batch_id: str) -> dict[str, Link]:
    where = {"batch_id": batch_id}
    return {
        "get_batch": Link(f"get {_BATCH}", where),
        "get_batch_result": Link(f"get {_BATCH}/result", where),
        "cancel_batch": Link(f"post {_BATCH}/cancel", where),
        "delete_batch": Link(f"delete {_BATCH}", where),
    }


def _hook_links(webhook_id: str) -> dict[str, Link]:
    where = {"webhook_id": webhook_id}
    return {"get_webhook": Link(f"get {_HOOK}", where), "delete_webhook": Link(f"delete {_HOOK}", where)}


def _model_links(model_id: str) -> dict[str, Link]:
    where = {"model": model_id}
    return {
        "get_model": Link(f"get {_MODEL}", where),
        "predict_with_model": Link(f"post {_MODEL}/predict", where),
        "predict": Link("post /predict", body=where),
        "show_attention": Link(f"post {_MODEL}/attention", where),
        "create_batch": Link(f"post {_MODEL}/predictions", where),
        "export_adapter": Link(f"get {_MODEL}/exports/adapter", where),
        "export_report": Link(f"get {_MODEL}/exports/report", where),
        "list_exports": Link(f"get {_MODEL}/exports", where),
        "create_export": Link(f"post {_MODEL}/exports/{{kind}}", {**where, "kind": "onnx"}),
        "change_model": Link(f"patch {_MODEL}", where),
        "pin_model": Link(f"put {_MODEL}/pin", where),
        "unpin_model": Link(f"delete {_MODEL}/pin", where),
        "point_alias": Link(f"put {_ALIAS}", body={"model_id": model_id}),
        "evaluate_model": Link(f"post {_MODEL}/evaluations", where),
        "list_model_evaluations": Link(f"get {_MODEL}/evaluations", where),
        "add_model_classes": Link(f"post {_MODEL}/classes", where),
        "delete_model": Link(f"delete {_MODEL}", where),
    }


def _evaluation_links(evaluation_id: str, image_id: str | None = None) -> dict[str, Link]:
    where = {"evaluation_id": evaluation_id}
    image = Link(f"get {_EVALUATION}/images/{{image_id}}", {**where, "image_id": image_id or ""})
    return {
        **({"get_evaluation_image": image} if image_id is not None else {}),
        "get_evaluation": Link(f"get {_EVALUATION}", where),
        "delete_evaluation": Link(f"delete {_EVALUATION}", where),
    }


def _next_page(path: str) -> dict[str, Link]:
    return {"next_page": Link(f"get {path}", {"cursor": _NEXT})}


def _image_links(image_id: str) -> dict[str, Link]:
    where = {"support_set_id": _ID, "image_id": image_id}
    return {
        "get_image": Link(f"get {_IMAGE}", where),
        "get_thumbnail": Link(f"get {_IMAGE}/thumbnail", where),
        "change_image": Link(f"patch {_IMAGE}", where, {"label": "$response.body#/classes/0/label"}),
        "remove_image": Link(f"delete {_IMAGE}", where),
    }


_UPLOADED = {
    **_set_links(_ID),
    **_image_links("$response.body#/results/0/image_id"),
    "rename_class": Link(f"patch {_SET}/classes", {"support_set_id": _ID, "label": "$response.body#/classes/0/label"}),
    "remove_class": Link(f"delete {_SET}/classes", {"support_set_id": _ID, "label": "$response.body#/classes/0/label"}),
    "change_support_set": Link(f"patch {_SET}", {"support_set_id": _ID}, {"negative": "$response.body#/classes/0/label"}),
    "set_groups": Link(f"put {_SET}/groups", {"support_set_id": _ID}),
}
_SHOWN_SET = {**_UPLOADED, **_image_links("$response.body#/images/0/id")}
_OPEN_SET = {name: _SHOWN_SET[name] for name in ("get_image", "get_thumbnail", "change_image", "remove_image")}
"""Of a set that was just changed or copied, so that no job has frozen it yet."""
_EVALUATED = _evaluation_links("$response.body#/evaluations/0/id", "$response.body#/evaluations/0/images/0/id")
_MODEL_OF_JOB = {name: link for name, link in _model_links("$response.body#/model_id").items() if name != "delete_model"}


def _alias_links(name: str) -> dict[str, Link]:
    return {
        "predict": Link("post /predict", body={"model": name}),
        "get_model": Link(f"get {_MODEL}", {"model": name}),
        "predict_with_model": Link(f"post {_MODEL}/predict", {"model": name}),
        "get_alias": Link(f"get {_ALIAS}", {"name": name}),
        "delete_alias": Link(f"delete {_ALIAS}", {"name": name}),
    }


LINKS: dict[tuple[str, str], dict[str, Link]] = {
    (f"post {_SETS}", "201"): _UPLOADED,
    (f"post {_SETS}", "207"): _UPLOADED,
    (f"post {_SET}/images", "201"): _UPLOADED,
    (f"post {_SET}/images", "207"): _UPLOADED,
    (f"get {_SETS}", "200"): _set_links(_FIRST_ID) | _next_page(_SETS),
    (f"get {_SET}", "200"): _SHOWN_SET,
    (f"post {_SET}/copy", "201"): _OPEN_SET,
    (f"patch {_SET}", "200"): _OPEN_SET,
    (f"patch {_SET}/classes", "200"): _OPEN_SET,
    (f"put {_SET}/groups", "200"): _OPEN_SET,
    (f"post {_JOBS}", "202"): _job_links(_ID),
    (f"get {_JOBS}", "200"): _job_links(_FIRST_ID) | _next_page(_JOBS),
    (f"get {_JOB}", "200"): _MODEL_OF_JOB | {"delete_job": Link(f"delete {_JOB}", {"job_id": _ID})},
    (f"get {_MODELS}", "200"): _model_links(_FIRST_ID) | _next_page(_MODELS),
    (f"get {_MODEL}", "200"): _model_links(_ID),
    (f"put {_MODEL}/pin", "200"): _model_links(_ID),
    (f"post {_MODEL}/classes", "202"): _job_links(_ID),
    (f"put {_ALIAS}", "200"): _alias_links(_NAME),
    (f"get {_ALIAS}", "200"): _alias_links(_NAME),
    (f"get {_ALIASES}", "200"): _alias_links("$response.body#/items/0/name") | _next_page(_ALIASES),
    **{(f"post {path}", status): _EVALUATED for path in (_EVALUATIONS, f"{_MODEL}/evaluations") for status in ("201", "207")},
    (f"get {_EVALUATIONS}", "200"): _evaluation_links(_FIRST_ID) | _next_page(_EVALUATIONS),
    (f"get {_MODEL}/evaluations", "200"): _evaluation_links(_FIRST_ID),
    (f"get {_EVALUATION}", "200"): _evaluation_links(_ID, "$response.body#/images/0/id"),
    (f"post {_MODEL}/predictions", "202"): _batch_links(_ID),
    (f"get {_BATCHES}", "200"): _batch_links(_FIRST_ID) | _next_page(_BATCHES),
    (f"get {_BATCH}", "200"): _batch_links(_ID),
    (f"post {_HOOKS}", "201"): _hook_links(_ID),
    (f"get {_HOOKS}", "200"): _hook_links(_FIRST_ID) | _next_page(_HOOKS),
}
"""(method and path, status) -> the links of that answer by name."""


def add_links(document: dict[str, Any]) -> None:
    """Add the links to an API's description, except those from or to operations that it lacks."""
    operations = {f"{method} {path}": item for path, methods in document["paths"].items() for method, item in methods.items()}
    for (source, status), links in LINKS.items():
        if source in operations:
            known = {name: _described(link, operations) for name, link in links.items() if link.target in operations}
            operations[source]["responses"][status].setdefault("links", {}).update(known)


def _described(link: Link, operations: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"operationId": operations[link.target]["operationId"]}
    if link.parameters:
        described["parameters"] = dict(link.parameters)
    if link.body is not None:
        described["requestBody"] = dict(link.body)
    return described
