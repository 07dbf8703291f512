"""Every failure is a problem document."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionInTimeError

from app.domain.errors import OverloadedError, QueueUnavailableError, StoreUnavailableError
from app.error_handlers import headers_of, problem_of, status_of
from app.infra.job_repository import JobRepository
from tests.fixtures.http_api import Api, MakeApi, encode_image
from vtt_core.contract.errors import EmptyFileError, InputError, TooFewClassesError


def check(answer, status: int, code: str) -> dict:
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"] == f"urn:vtt:problem:{code}"
    assert all(problem[key] for key in ("title", "detail", "expected", "got", "remedy", "instance"))
    return problem


def test_an_error_takes_the_status_of_its_nearest_ancestor() -> None:
    class NewError(TooFewClassesError):
        code = "new"

    assert status_of(NewError) == status_of(InputError) == 422


def test_a_problem_says_what_was_expected_what_came_and_what_to_do() -> None:
    problem = problem_of(EmptyFileError(expected="an image", got="0 bytes", remedy="Send it again"), "/v1/x")
    assert problem["detail"] == "Empty file: expected an image, got 0 bytes. Send it again."
    assert problem["instance"] == "/v1/x"


def test_an_unknown_path_and_a_wrong_method(api: Api) -> None:
    check(api.client.get("/v1/nothing"), 404, "not_found")
    answer = api.client.put("/v1/jobs", json={})
    assert "GET" in check(answer, 405, "request.method_not_allowed")["expected"]
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    ("content", "mention"),
    [
        (b'{"seed": 1}', "the field `support_set_id` to be there"),
        (b'{"support_set_id": "\\ud800"}', "support_set_id"),
        (b'{"support_set_id": "a", "\\ud800": 1}', "field"),
        (b'{"support_set_id": "a\\u0000"}', "support_set_id"),
        (b'{"support_set_id": "a", "name": "a\\u0000"}', "control characters"),
        (b'{"support_set_id": "a", "seed": NaN}', "seed"),
    ],
)
def test_a_wrong_body_is_named_by_its_field(api: Api, content: bytes, mention: str) -> None:
    answer = api.client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    problem = check(answer, 422, "request.invalid")
    assert mention in problem["expected"]
    assert problem["mistakes"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "content_type", "status", "code", "expected", "got"),
    [
        (b'{"seed": }', "application/json", 400, "request.malformed", "a JSON body", "character 9: expecting value"),
        (b"{", "application/json", 400, "request.malformed", "a JSON body", "character 1"),
        (b"", "application/json", 422, "request.invalid", "a JSON body", "an empty one"),
        (b"[]", "application/json", 422, "request.invalid", "a JSON object", "[]"),
        (b'"text"', "application/json; charset=utf-8", 422, "request.invalid", "a JSON object", "'text'"),
        (b'{"seed": 1}', None, 415, "request.unsupported_media_type", "application/json", "no such header"),
        (b'{"seed": 1}', "text/plain", 415, "request.unsupported_media_type", "application/json", "'text/plain'"),
        (b"seed=1", "application/x-www-form-urlencoded", 415, "request.unsupported_media_type", "application/json", "form"),
    ],
)
def test_a_body_that_is_no_json_object_is_told_as_a_whole(
    api: Api, content: bytes, content_type: str | None, status: int, code: str, expected: str, got: str
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    for method, path in (("POST", "/v1/jobs"), ("PUT", "/v1/aliases/cats")):
        problem = check(api.client.request(method, path, content=content, headers=headers), status, code)
        assert expected in problem["expected"]
        assert got in problem["got"]


def test_bytes_that_are_no_text_are_malformed(api: Api) -> None:
    answer = api.client.post("/v1/jobs", content=b'{"a": "\xff"}', headers={"Content-Type": "application/json"})
    check(answer, 400, "request.malformed")


def test_a_crash_says_nothing_of_the_inside(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(JobRepository, "get", crash)
    answer = api.client.get("/v1/jobs/job_1")
    check(answer, 500, "internal")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("outage", "code"),
    [
        (OperationalError("SELECT", {}, Exception("gone away")), "database.unavailable"),
        (InterfaceError("SELECT", {}, Exception("the connection is closed")), "database.unavailable"),
        (NoConnectionInTimeError(), "database.unavailable"),
        (StoreUnavailableError(expected="a", got="b", remedy="c"), "store.unavailable"),
        (QueueUnavailableError(expected="a", got="b", remedy="c"), "queue.unavailable"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_outage_asks_to_try_again(api: Api, monkeypatch: pytest.MonkeyPatch, outage: Exception, code: str) -> None:
    def lose(*_: object) -> None:
        raise outage

    monkeypatch.setattr(JobRepository, "get", lose)
    answer = api.client.get("/v1/jobs/job_1")
    check(answer, 503, code)
    assert answer.headers["retry-after"] == "5"


@pytest.mark.slow
@pytest.mark.services
def test_a_store_outage_asks_to_try_again(
    make_api: MakeApi, s3_url: str, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    answer = make_api(store_url=s3_url).client.post("/v1/support-sets", files={"cat": ("a.png", encode_image())})
    check(answer, 503, "store.unavailable")
    assert answer.headers["retry-after"] == "5"


def test_only_errors_that_pass_by_themselves_say_when_to_come_again() -> None:
    facts = {"expected": "one", "got": "another", "remedy": "Wait"}
    assert headers_of(OverloadedError(expected="less", got="more", retry_after_seconds=7.2)) == {"Retry-After": "8"}
    assert headers_of(OverloadedError(expected="less", got="more", retry_after_seconds=1e9)) == {"Retry-After": "120"}
    assert headers_of(QueueUnavailableError(**facts)) == {"Retry-After": "5"}
    assert headers_of(EmptyFileError(**facts)) == {}


def test_lone_surrogates_stay_escaped(api: Api) -> None:
    answer = api.client.post(
        "/v1/jobs", content=b'{"support_set_id": "a", "\\ud800": 1}', headers={"Content-Type": "application/json"}
    )
    assert "\\ud800" in json.dumps(answer.json())
