"""How long an answer asks to wait, and what comes of it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from vtt_client import AsyncClient, BusyError, Client, Retries
from vtt_client.calls import Pause
from vtt_client.retry_after import asked_seconds, in_words

PAGE = {"items": [], "next_cursor": None}


def busy(wait: str, status: int = 429) -> httpx2.Response:
    return httpx2.Response(status, headers={"Retry-After": wait}, json={})


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("0", 0.0), ("-5", None), ("soon", None), ("nan", None), ("", None)])
def test_seconds_are_read_and_what_says_nothing_is_none(text: str, seconds: float | None) -> None:
    assert asked_seconds(busy(text)) == seconds


def test_a_date_is_read() -> None:
    later = datetime.now(UTC) + timedelta(seconds=1000)
    asked = asked_seconds(busy(format_datetime(later, usegmt=True)))
    assert asked is not None
    assert 900 < asked <= 1000
    assert asked_seconds(busy("Wed, 21 Oct 2015 07:28:00 GMT")) == 0


@pytest.mark.parametrize("wait", ["99999999", "Wed, 21 Oct 2065 07:28:00 GMT", "9" * 400])
@pytest.mark.parametrize("is_followed", [False, True])
def test_a_wait_beyond_the_bound_ends_with_the_error(wait: str, is_followed: bool) -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return busy(wait)

    with Client("http://service", transport=httpx2.MockTransport(answer)) as client:
        with pytest.raises(BusyError, match="asks to wait"):
            list(client.follow("job_1")) if is_followed else client.models()
    assert len(asked) == 1


def test_whoever_asked_is_told_that_it_waits_and_how_long() -> None:
    told: list[Pause] = []
    answers = [busy("0"), httpx2.ConnectError("refused"), httpx2.Response(200, json=PAGE)]

    def answer(request: httpx2.Request) -> httpx2.Response:
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    transport = httpx2.MockTransport(answer)
    with Client("http://service", transport=transport, retries=Retries(3, 0.01), on_wait=told.append) as client:
        client.models()
    assert [pause.reason for pause in told] == ["The service is busy (status 429)", "No answer (ConnectError)"]
    assert str(Pause(90, "Busy")) == "Busy: trying again in 90 s"


def test_the_other_client_tells_it_too() -> None:
    told: list[Pause] = []
    answers = [busy("0"), httpx2.Response(200, json=PAGE)]

    async def ask() -> None:
        transport = httpx2.MockTransport(lambda _: answers.pop(0))
        async with AsyncClient("http://service", transport=transport, on_wait=told.append) as client:
            await client.models()

    asyncio.run(ask())
    assert len(told) == 1


def test_a_time_is_said_in_a_unit_that_can_be_grasped() -> None:
    said = [in_words(seconds) for seconds in (0.5, 90, 600, 9000, 99999999)]
    assert said == ["0.5 s", "90 s", "10 minutes", "2 hours", "1157 days"]
