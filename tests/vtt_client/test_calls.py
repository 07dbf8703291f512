"""What is sent again, and when."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx2
import pytest

from vtt_client import BusyError, Client, Retries, ServiceError, UnreachableError

Answer = httpx2.Response | httpx2.TransportError
PAGE = {"items": [], "next_cursor": None}
JOB = {"support_set_id": "set_1"}
QUICK = Retries(most=3, first_pause_seconds=0.01)


class Script:
    """A service that answers as it is told, and remembers what it was sent."""

    def __init__(self, *answers: Answer) -> None:
        self.answers, self.sent = list(answers), list[httpx2.Request]()

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.sent.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, httpx2.TransportError):
            raise answer
        return answer

    def client(self) -> Client:
        return Client("http://service", transport=httpx2.MockTransport(self), retries=QUICK)


def busy(status: int = 503, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, headers=headers, json={"code": "overloaded", "got": "many requests"})


@pytest.mark.slow
def test_a_busy_service_is_asked_again_after_the_time_that_it_says() -> None:
    script = Script(busy(429, **{"Retry-After": "1"}), httpx2.Response(200, json=PAGE))
    started = time.monotonic()
    assert script.client().models() == []
    assert time.monotonic() - started >= 1


def test_a_service_that_stays_busy_is_an_error_after_the_last_try() -> None:
    script = Script(*(busy() for _ in range(4)))
    with pytest.raises(BusyError) as caught:
        script.client().models()
    assert (caught.value.code, caught.value.got, len(script.sent)) == ("overloaded", "many requests", 4)


def test_a_job_that_may_have_arrived_is_sent_again_with_the_same_key() -> None:
    script = Script(httpx2.ReadError("cut"), httpx2.Response(500, text="oh"))
    with pytest.raises(ServiceError, match=r"http\.500"):
        script.client().train("set_1")
    one, other = script.sent
    assert one.headers["Idempotency-Key"] == other.headers["Idempotency-Key"]


@pytest.mark.parametrize(
    ("act", "num_sent"),
    [
        (lambda client: client.delete("mdl_1"), 1),
        (lambda client: client.upload({"cat": [("a.png", b"")]}), 1),
        (lambda client: client.model("mdl_1"), 4),
    ],
)
def test_only_what_does_no_harm_twice_is_sent_again_after_a_lost_connection(
    act: Callable[[Client], object], num_sent: int
) -> None:
    script = Script(*(httpx2.ReadError("cut") for _ in range(4)))
    with pytest.raises(UnreachableError, match="ReadError"):
        act(script.client())
    assert len(script.sent) == num_sent


def test_an_upload_that_never_left_is_sent_again() -> None:
    script = Script(*(httpx2.ConnectError("refused") for _ in range(4)))
    with pytest.raises(UnreachableError):
        script.client().upload({"cat": [("a.png", b"")]})
    assert len(script.sent) == 4


def test_an_answer_of_something_else_is_told() -> None:
    with pytest.raises(ServiceError, match=r"client\.unknown_answer"):
        Script(httpx2.Response(200, text="<html>")).client().models()


def test_a_pause_grows_and_has_an_end() -> None:
    pauses = [Retries().backoff_seconds(number) for number in range(1, 20)]
    assert pauses[0] <= 0.5
    assert 30 <= pauses[-1] <= 60
