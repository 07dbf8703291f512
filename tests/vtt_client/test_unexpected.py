"""An address that is not the service's is recognised by what it answers."""

from __future__ import annotations

import httpx2
import pytest

from vtt_client import Client, RefusedError, ServiceError


def client(answer: httpx2.Response) -> Client:
    return Client("http://service", transport=httpx2.MockTransport(lambda _: answer))


def of_type(kind: str, content: bytes, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, headers={"Content-Type": kind}, content=content)


@pytest.mark.parametrize("is_followed", [False, True])
@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (
            of_type("text/html; charset=utf-8", b"<html>\n<title>"),
            "a web page (text/html) that begins '<html> <title>",
        ),
        (of_type("application/json", b"null"), "JSON that begins 'null'"),
        (of_type("application/json", b'{"items": ['), "broken JSON that begins '{\"items\": ['"),
        (of_type("application/json", b"[" * 200_000), "broken JSON that begins '[[["),
        (of_type("application/json", b"\xff\xfe{"), "broken JSON"),
        (of_type("text/plain", b""), "an empty answer"),
    ],
)
def test_what_came_is_said_in_words(answer: httpx2.Response, got: str, is_followed: bool) -> None:
    with client(answer) as service, pytest.raises(ServiceError) as caught:
        list(service.follow("job_1")) if is_followed else service.models()
    assert caught.value.got.startswith(got)
    assert "validation error" not in str(caught.value)
    assert "Check the address" in caught.value.remedy


def test_a_wrong_field_is_named() -> None:
    with client(httpx2.Response(200, json={"items": [{"id": 5}]})) as service, pytest.raises(ServiceError) as caught:
        service.models()
    assert "items.0.id: Input should be a valid string" in caught.value.got


@pytest.mark.parametrize("data", ["{", "5", "[" * 5000])
def test_an_event_that_is_none_is_told(data: str) -> None:
    stream = of_type("text/event-stream", f"event: state\ndata: {data}\n\n".encode())
    with client(stream) as service, pytest.raises(ServiceError, match="an event that begins"):
        list(service.follow("job_1"))


def test_a_redirect_names_where_it_leads() -> None:
    answer = httpx2.Response(302, headers={"Location": "https://login.example/"})
    with client(answer) as service, pytest.raises(RefusedError, match=r"leads to 'https://login\.example/'") as caught:
        service.models()
    assert "log" not in caught.value.remedy.replace("login", "")


def test_a_page_with_an_error_is_a_page() -> None:
    with client(of_type("text/html", b"<h1>502 Bad Gateway</h1>", 502)) as service, pytest.raises(ServiceError) as caught:
        service.models()
    assert caught.value.got == "status 502: a web page (text/html) that begins '<h1>502 Bad Gateway</h1>'"


def test_a_problem_document_of_something_else_breaks_nothing() -> None:
    answer = httpx2.Response(422, json={"title": 5, "detail": None, "code": [], "results": 7, "mistakes": ["x"]})
    with client(answer) as service, pytest.raises(RefusedError) as caught:
        service.models()
    assert (caught.value.code, caught.value.results, caught.value.mistakes) == ("http.422", [], [])
