import httpx
import pytest

from app.cli.service_client import ServiceClient, _parse_events
from app.domain.errors import ServiceRefusedError
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet


def client_of(handler: httpx.MockTransport) -> ServiceClient:
    return ServiceClient("http://service", transport=handler)


def test_events_are_parsed_and_comments_skipped() -> None:
    lines = [
        ": hello",
        "",
        "id: 3",
        "event: progress",
        'data: {"step":',
        "data: 1}",
        "",
        "id: 4",
        "event: state",
        "",
        "data: {}",
        "",
    ]
    assert list(_parse_events(iter(lines))) == [("3", "progress", {"step": 1}), ("4", "message", {})]


def test_an_interrupted_stream_goes_on_after_the_last_event() -> None:
    asked: list[str | None] = []

    def interrupted():  # type: ignore[no-untyped-def]
        yield b'id: 1\nevent: progress\ndata: {"step": 1}\n\n'
        raise httpx.RemoteProtocolError("cut")

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers.get("Last-Event-ID"))
        if len(asked) == 1:
            return httpx.Response(200, content=interrupted())
        return httpx.Response(200, content=b'id: 2\nevent: state\ndata: {"state": "succeeded"}\n\n')

    with client_of(httpx.MockTransport(answer)) as client:
        events = list(client.events("job_1"))
    assert events == [("progress", {"step": 1}), ("state", {"state": "succeeded"})]
    assert asked == [None, "1"]


def test_a_support_set_is_sent_with_a_field_per_class() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        return httpx.Response(201, json={"id": "set_1"})

    image = SupportImage(name="cats/one.png", encoded=b"bytes")
    with client_of(httpx.MockTransport(answer)) as client:
        assert client.upload(SupportSet((SupportClass("cats", (image,)),))) == "set_1"
    assert b'name="cats"; filename="one.png"' in bodies[0]


def test_a_problem_document_becomes_an_error_that_says_it() -> None:
    problem = {"code": "backbone.unknown", "expected": "a known one", "got": "'x'", "remedy": "Choose 'mini'"}
    with client_of(httpx.MockTransport(lambda request: httpx.Response(422, json=problem))) as client:
        with pytest.raises(ServiceRefusedError, match="backbone.unknown: 'x'"):
            client.start_job({})


def test_an_answer_that_is_no_json_is_an_error_too() -> None:
    with client_of(httpx.MockTransport(lambda request: httpx.Response(502, text="bad gateway"))) as client:
        with pytest.raises(ServiceRefusedError, match="502"):
            client.job("job_1")
