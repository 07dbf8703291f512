"""How long the service waits for a body, without a clock; tests/hostile/test_slow_clients.py has real connections."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from app.error_handlers import BodyRefusedSignal
from app.overload.body_pace import BodyPace, BodyPaceMiddleware, PaceBounds

BOUNDS = PaceBounds(pause_seconds=10, bytes_per_second=100, total_seconds=60)


def test_a_body_may_pause_as_long_as_the_bound() -> None:
    pace = BodyPace(BOUNDS)
    assert pace.seconds_left == 10
    pace.note(4, 0)
    assert pace.seconds_left == 6
    pace.note(7, 0)
    assert pace.seconds_left == 0


def test_a_byte_a_second_is_too_slow_and_the_minimum_rate_is_not() -> None:
    drip, steady = BodyPace(BOUNDS), BodyPace(BOUNDS)
    for _ in range(11):
        drip.note(1, 1)
        steady.note(1, 100)
    assert drip.seconds_left == 0
    assert steady.seconds_left == 10


def test_a_fast_start_saves_up_no_longer_pause() -> None:
    pace = BodyPace(BOUNDS)
    pace.note(0.1, 10**9)
    assert pace.seconds_left == 10


def test_a_steady_body_ends_at_the_total_time() -> None:
    pace = BodyPace(BOUNDS)
    for _ in range(55):
        pace.note(1, 1000)
    assert pace.seconds_left == 5


def test_the_error_says_what_was_expected_and_what_arrived() -> None:
    pace = BodyPace(BOUNDS)
    pace.note(12, 34)
    assert "100 bytes a second" in pace.error().expected
    assert pace.error().got == "34 bytes in 12 s"


async def answer(receive: Receive, app: object, bounds: PaceBounds = BOUNDS) -> None:
    scope: Scope = {"type": "http"}

    async def send(_message: Message) -> None:
        raise AssertionError("the middleware sends nothing itself")

    middleware = BodyPaceMiddleware(app, bounds, asyncio.get_running_loop().time)  # type: ignore[arg-type]
    await middleware(scope, receive, send)


def test_after_the_body_the_service_listens_without_a_limit() -> None:
    messages = iter([(0.0, {"type": "http.request", "body": b"x"}), (0.3, {"type": "http.disconnect"})])
    seen = []

    async def receive() -> Message:
        pause, message = next(messages)
        await asyncio.sleep(pause)
        return message

    async def app(_scope: Scope, receive_in_time: Receive, _send: Send) -> None:
        seen.extend([await receive_in_time(), await receive_in_time()])

    asyncio.run(answer(receive, app, PaceBounds(0.05, 100, 0.1)))
    assert [message["type"] for message in seen] == ["http.request", "http.disconnect"]


@pytest.mark.slow
def test_the_time_that_the_service_works_itself_does_not_count() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def app(_scope: Scope, receive_in_time: Receive, _send: Send) -> None:
        for _ in range(3):
            await receive_in_time()
            await asyncio.sleep(0.2)

    asyncio.run(answer(receive, app, PaceBounds(0.1, 1e-9, 0.2)))


def test_a_body_that_stops_raises_what_passes_through_its_reader() -> None:
    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    async def app(_scope: Scope, receive_in_time: Receive, _send: Send) -> None:
        await receive_in_time()

    with pytest.raises(BodyRefusedSignal) as refused:
        asyncio.run(answer(receive, app, PaceBounds(0.05, 100, 1)))
    assert refused.value.error.code == "request.too_slow"
    assert refused.value.status_code == 408
