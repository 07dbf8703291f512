"""One look into the database serves all followers of a process, and a slow one holds up nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from app.domain.errors import TooManyFollowersError
from app.domain.jobs import JobState
from app.infra.clock import utc_now
from app.infra.database import make_reader_factory
from app.infra.job_repository import JobRepository
from app.infra.job_writes import add_event, end_job, lock_job
from app.infra.tables import JobEventRow
from app.jobs import hub as hub_module
from app.jobs.events import follow
from app.jobs.hub import MAX_WAITING_EVENTS, EventHub
from tests.fixtures.http_api import Api, MakeApi

POLL_SECONDS = 0.05


@contextmanager
def counted_statements(word: str = "") -> Iterator[list[str]]:
    """Collect the statements that all engines execute meanwhile."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if word in statement:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def on_each_database(make_api: MakeApi, database_url: str) -> Api:
    return make_api(database_url=database_url, event_poll_seconds=POLL_SECONDS)


def tell(api: Api, job_id: str, *steps: int) -> None:
    with api.context.sessions.begin() as session:
        lock_job(session, job_id)
        for step in steps:
            add_event(session, job_id, "progress", {"step": step}, utc_now())


def end(api: Api, job_id: str) -> None:
    with api.context.sessions.begin() as session:
        row = lock_job(session, job_id)
        assert row is not None
        end_job(session, row, JobState.CANCELLED, utc_now())


async def watch(api: Api, job_id: str, last_id: int = 0) -> list[object]:
    return [event.data.get("step", event.data.get("state")) async for event in follow(api.context, job_id, last_id)]


@pytest.mark.slow
@pytest.mark.parametrize("num_followers", [1, 256])
def test_the_number_of_statements_does_not_grow_with_the_followers(on_each_database: Api, num_followers: int) -> None:
    api = on_each_database
    job_ids = [api.start_job() for _ in range(min(num_followers, 10))]

    async def follow_all() -> tuple[int, float, list[list[object]]]:
        followers = [asyncio.create_task(watch(api, job_ids[place % len(job_ids)])) for place in range(num_followers)]
        while len(api.context.hub.followers) < num_followers:
            await asyncio.sleep(0.01)
        with counted_statements("job_events") as statements:
            start = time.monotonic()
            await asyncio.sleep(20 * POLL_SECONDS)
            num_queries, seconds = len(statements), time.monotonic() - start
        for job_id in job_ids:
            await asyncio.to_thread(tell, api, job_id, 1)
            await asyncio.to_thread(end, api, job_id)
        return num_queries, seconds, await asyncio.gather(*followers)

    assert api.context.reaper is not None
    api.context.reaper.stop()
    num_queries, seconds, seen = asyncio.run(follow_all())
    assert 1 <= num_queries <= seconds / POLL_SECONDS + 2
    assert seen == [["queued", 1, "cancelled"]] * num_followers


def test_the_polling_ends_with_the_last_follower(api: Api) -> None:
    job_id = api.start_job()

    async def come_and_go() -> None:
        follower = asyncio.create_task(watch(api, job_id))
        while not api.context.hub.followers:
            await asyncio.sleep(0.01)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        await asyncio.sleep(2 * POLL_SECONDS)
        with counted_statements("job_events") as statements:
            await asyncio.sleep(5 * POLL_SECONDS)
        assert not statements

    asyncio.run(come_and_go())


@pytest.mark.slow
def test_a_follower_gets_the_events_of_its_job_alone(on_each_database: Api) -> None:
    api = on_each_database
    mine, others = api.start_job(), api.start_job()

    async def follow_both() -> list[list[object]]:
        followers = [asyncio.create_task(watch(api, job_id)) for job_id in (mine, others, mine)]
        await asyncio.sleep(3 * POLL_SECONDS)
        await asyncio.to_thread(tell, api, mine, 1, 2)
        await asyncio.to_thread(tell, api, others, 7)
        await asyncio.to_thread(end, api, mine)
        await asyncio.to_thread(end, api, others)
        return await asyncio.gather(*followers)

    mine_seen = ["queued", 1, 2, "cancelled"]
    assert asyncio.run(follow_both()) == [mine_seen, ["queued", 7, "cancelled"], mine_seen]


@pytest.mark.slow
def test_a_slow_follower_holds_up_nobody_and_misses_nothing(api: Api) -> None:
    job_id = api.start_job()
    steps = list(range(3 * MAX_WAITING_EVENTS))

    async def follow_slowly_and_quickly() -> tuple[list[object], list[object], int]:
        slow = follow(api.context, job_id, 0)
        seen: list[object] = [(await anext(slow)).data["state"]]
        waiting = asyncio.ensure_future(anext(slow))
        quick = asyncio.create_task(watch(api, job_id))
        while len(api.context.hub.followers) < 2:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(tell, api, job_id, *steps)
        seen.append((await waiting).data["step"])  # and takes no more for now
        [follower] = [one for one in api.context.hub.followers if one.num_waiting]
        while not follower.is_over:
            await asyncio.sleep(0.01)
        most = follower.num_waiting
        await asyncio.to_thread(end, api, job_id)
        quickly = await asyncio.wait_for(quick, 30)
        assert follower.num_waiting == most
        seen += [event.data.get("step", event.data.get("state")) async for event in slow]
        return seen, quickly, most

    slowly, quickly, most = asyncio.run(follow_slowly_and_quickly())
    assert slowly == quickly == ["queued", *steps, "cancelled"]
    assert most <= MAX_WAITING_EVENTS


def test_a_follower_that_comes_during_a_query_misses_nothing(api: Api) -> None:
    """The query asked for the events after 9 of the job; a newcomer that has 5 would miss 6 to 9."""

    async def come_late() -> tuple[int, int]:
        hub = api.context.hub
        with hub.follower("job_a", 9) as early, hub.follower("job_a", 5) as late:
            new = JobEventRow(id=10, job_id="job_a", kind="progress", payload={})
            hub.dispatch([new], {"job_a": 9})
            return early.num_waiting, late.num_waiting

    assert asyncio.run(come_late()) == (1, 0)


def test_a_query_that_fails_ends_its_streams_with_the_reason_and_an_outage_does_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = api.start_job()
    query, failures = (
        JobRepository.events_after_each,
        [OperationalError("SELECT", {}, ConnectionResetError()), ZeroDivisionError()],
    )

    def fail(self: JobRepository, last_ids: dict[str, int], limit: int) -> list[JobEventRow]:
        if failures:
            raise failures.pop(0)
        return query(self, last_ids, limit)

    monkeypatch.setattr(JobRepository, "events_after_each", fail)
    monkeypatch.setattr(hub_module, "OUTAGE_PAUSE_SECONDS", 0.01)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(asyncio.wait_for(watch(api, job_id), 30))
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    assert asyncio.run(watch(api, job_id)) == ["queued", "cancelled"]


@pytest.mark.slow
def test_streams_go_on_when_the_database_has_ended_every_connection(make_api: MakeApi, postgres_url: str) -> None:
    api = make_api(database_url=postgres_url, event_poll_seconds=POLL_SECONDS)
    job_id = api.start_job()

    def end_connections() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            [ended] = connection.execute(f"SELECT count(pg_terminate_backend(pid)) {others}").fetchone() or [0]
        assert ended > 0

    async def follow_through() -> list[list[object]]:
        followers = [asyncio.create_task(watch(api, job_id)) for _ in range(3)]
        while len(api.context.hub.followers) < len(followers):
            await asyncio.sleep(0.01)
        for step in (1, 2, 3):
            await asyncio.to_thread(end_connections)
            await asyncio.to_thread(tell, api, job_id, step)
            await asyncio.sleep(2 * POLL_SECONDS)
        await asyncio.to_thread(end, api, job_id)
        return await asyncio.wait_for(asyncio.gather(*followers), 60)

    assert asyncio.run(follow_through()) == [["queued", 1, 2, 3, "cancelled"]] * 3


def test_a_process_that_ends_lets_waiting_followers_go(api: Api) -> None:
    job_id = api.start_job()

    async def stop() -> list[object]:
        follower = asyncio.create_task(watch(api, job_id))
        await asyncio.sleep(0.2)
        api.context.stopping.set()
        return await asyncio.wait_for(follower, 30)

    assert asyncio.run(stop()) == ["queued"]


def test_a_tenant_has_a_bounded_number_of_followers(engine: Engine) -> None:
    hub = EventHub(make_reader_factory(engine), 1.0, 2, threading.Event())
    with hub.place("a"), hub.place("b"):
        with hub.place("a"), pytest.raises(TooManyFollowersError, match="at most 2 open event streams"), hub.place("a"):
            pass
        with hub.place("a"):
            pass
    with hub.place("a"), hub.place("a"):
        pass


def test_a_follower_too_many_is_refused_before_the_stream(make_api: MakeApi) -> None:
    api = make_api(max_followers=1)
    job_id = api.start_job()
    with api.context.hub.place("default"):
        refused = api.client.get(f"/v1/jobs/{job_id}/events")
    assert (refused.status_code, refused.json()["code"]) == (429, "access.too_many_followers")
    assert int(refused.headers["retry-after"]) >= 1
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    for _ in range(3):
        assert api.client.get(f"/v1/jobs/{job_id}/events").status_code == 200
