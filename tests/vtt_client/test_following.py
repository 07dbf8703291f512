"""A follower goes on where a lost connection stopped."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from vtt_client import Client, NotFoundError, Retries, UnreachableError

END = b'id: 2\nevent: state\ndata: {"state": "succeeded"}\n\n'
HEADERS = {"content-type": "text/event-stream"}
QUICK = Retries(most=3, first_pause_seconds=0.01)


def client_of(*answers: httpx2.Response | httpx2.TransportError) -> tuple[Client, list[str | None]]:
    """Return a client of a scripted service, and the list of the last ids that it sends."""
    asked: list[str | None] = []
    script = iter(answers)

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("Last-Event-ID"))
        found = next(script)
        if isinstance(found, httpx2.TransportError):
            raise found
        return found

    return Client("http://service", transport=httpx2.MockTransport(answer), retries=QUICK), asked


def cut() -> Iterator[bytes]:
    yield b': ping\n\nid: 1\nevent: progress\ndata: {"step":\ndata: 1}\n\n'
    raise httpx2.RemoteProtocolError("cut")


def test_an_interrupted_stream_goes_on_after_the_last_event() -> None:
    client, asked = client_of(
        httpx2.Response(200, headers=HEADERS, content=cut()),
        httpx2.Response(503, headers={"Retry-After": "0"}, json={"code": "overloaded"}),
        httpx2.Response(200, headers=HEADERS, content=b": the process ends\n\n"),
        httpx2.Response(200, headers=HEADERS, content=END),
    )
    events = list(client.follow("job_1"))
    assert [(event.id, event.kind, event.data) for event in events] == [
        ("1", "progress", {"step": 1}),
        ("2", "state", {"state": "succeeded"}),
    ]
    assert asked == [None, "1", "1", "1"]


def test_a_service_that_stays_away_is_unreachable_in_the_end() -> None:
    client, asked = client_of(*(httpx2.ConnectError("refused") for _ in range(4)))
    with pytest.raises(UnreachableError):
        list(client.follow("job_1"))
    assert len(asked) == 4


def test_an_unknown_job_is_told_at_once() -> None:
    client, asked = client_of(httpx2.Response(404, json={"code": "not_found"}))
    with pytest.raises(NotFoundError):
        list(client.follow("job_1"))
    assert len(asked) == 1
