"""The methods of both clients, held to the description of the API: what they reach, and what is left out for a reason."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vtt_client import AsyncClient, Client
from vtt_client.calls import Call, Retries
from vtt_client.following import Follower
from vtt_client.methods import Method, Methods

DESCRIPTION = json.loads((Path(__file__).parents[1] / "architecture" / "openapi.json").read_text())
NOT_REACHED = {
    "get_liveness": "for the machinery that runs the service",
    "get_readiness": "for the machinery that runs the service",
    "get_metrics": "for Prometheus",
    "predict": "`predict_with_model` answers the same",
    "get_image": "who has sent an image has it; `links` of an image name it",
    "get_thumbnail": "for pages; `links` of an image name it",
    "get_evaluation_image": "who has sent an image has it; `links` of an image name it",
}
"""Operation -> why the client has no method for it."""
ARGUMENTS: dict[str, Any] = {
    "source": {"cat": [("cat.png", b"")]},
    "images": [("cat.png", b"")],
    "image": ("cat.png", b""),
    "references": ["one", "other"],
    "kind": "onnx",
    "groups": {"cat.png": "litter"},
    "events": ["job.succeeded"],
    "files": [],
}
"""By the name of a parameter: what a method is called with. The others are texts."""
DELETED = ("set_1", "job_1", "mdl_1", "bat_1", "evl_1", "whk_1")


def methods() -> dict[str, Any]:
    return {name: getattr(Methods, name) for name, value in vars(Methods).items() if isinstance(value, Method)}


def operation_of(call: Call) -> str:
    """Return the id of the operation that a request reaches; of two paths that fit, the one with fewer parameters."""
    fitting = [
        (path.count("{"), path)
        for path, operations in DESCRIPTION["paths"].items()
        if call.method.lower() in operations and re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), call.path)
    ]
    assert fitting, f"{call.method} {call.path} is no operation"
    return str(DESCRIPTION["paths"][min(fitting)[1]][call.method.lower()]["operationId"])


def first_calls(tmp_path: Path) -> Iterator[Call]:
    """Yield the first request of each method, and of deletions one for each kind of id."""
    (tmp_path / "one.png").write_bytes(b"")
    for name, operation in methods().items():
        if name == "delete":
            yield from (next(operation(one)) for one in DELETED)
            continue
        given: dict[str, Any] = {}
        for parameter in inspect.signature(operation).parameters.values():
            if parameter.default is parameter.empty:
                given[parameter.name] = ARGUMENTS.get(parameter.name, "name")
        given |= {"folder": tmp_path} if "folder" in given else {}
        given |= {"files": [tmp_path / "one.png"]} if "files" in given else {}
        given |= {"source": [("cat.png", b"")]} if name == "start_batch" else {}
        yield next(operation(**given))
    yield next(methods()["evaluations"]("name"))
    yield next(methods()["download"]("name", tmp_path / "report.html", kind="report"))
    yield next(methods()["download"]("name", tmp_path / "onnx.zip", kind="onnx"))
    yield Follower("job_1", Retries()).call()


def test_every_operation_of_the_api_is_reached_or_left_out_for_a_reason(tmp_path: Path) -> None:
    reached = {operation_of(call) for call in first_calls(tmp_path)}
    known = {operation["operationId"] for operations in DESCRIPTION["paths"].values() for operation in operations.values()}
    assert known - reached == NOT_REACHED.keys()


def test_every_parameter_that_a_method_sends_is_described(tmp_path: Path) -> None:
    operations = {
        operation["operationId"]: operation for found in DESCRIPTION["paths"].values() for operation in found.values()
    }
    for call in first_calls(tmp_path):
        described = {parameter["name"] for parameter in operations[operation_of(call)].get("parameters", ())}
        assert set(call.params) <= described, call


def test_a_method_has_one_text_and_one_signature_in_both_clients() -> None:
    with Client("http://127.0.0.1:9") as client:
        other = AsyncClient("http://127.0.0.1:9")
        for name, operation in methods().items():
            of_one, of_other = getattr(client, name), getattr(other, name)
            assert of_one.__doc__ == of_other.__doc__ == operation.__doc__
            assert of_one.__doc__
            assert inspect.signature(of_one) == inspect.signature(of_other) == inspect.signature(getattr(Client, name))
