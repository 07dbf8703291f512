"""Followers look into the database and hold no thread between two looks."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.exc import OperationalError

from app.infra.job_repository import JobRepository
from app.jobs import hub
from app.jobs.events import follow
from tests.fixtures.http_api import Api


def test_many_followers_of_a_waiting_job_need_no_thread_each(api: Api) -> None:
    job_id = api.start_job()

    async def watch() -> list[str]:
        states = []
        async for event in follow(api.context, job_id, 0):
            states.append(event.data["state"])
        return states

    async def watch_all() -> list[list[str]]:
        watching = [asyncio.create_task(watch()) for _ in range(60)]
        await asyncio.sleep(0.2)
        cancelled = await asyncio.to_thread(api.client.post, f"/v1/jobs/{job_id}/cancel")
        assert cancelled.status_code == 202
        return await asyncio.gather(*watching)

    assert asyncio.run(watch_all()) == [["queued", "cancelled"]] * 60


def test_a_process_that_is_asked_to_end_closes_its_streams(api: Api) -> None:
    job_id = api.start_job()

    async def watch() -> list[str]:
        states = []
        async for event in follow(api.context, job_id, 0):
            states.append(event.data["state"])
            api.context.stopping.set()
        return states

    assert asyncio.run(watch()) == ["queued"]


def test_a_stream_outlives_a_database_that_is_away_for_a_moment(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = api.start_job()
    api.client.post(f"/v1/jobs/{job_id}/cancel")
    events_after, failures = JobRepository.events_after, []

    def fail_twice(self: JobRepository, *arguments: object) -> list:
        if len(failures) < 2:
            failures.append(1)
            raise OperationalError("SELECT", {}, ConnectionResetError())
        return events_after(self, *arguments)

    monkeypatch.setattr(JobRepository, "events_after", fail_twice)
    monkeypatch.setattr(hub, "OUTAGE_PAUSE_SECONDS", 0.01)

    async def watch() -> list[str]:
        return [event.data["state"] async for event in follow(api.context, job_id, 0)]

    assert asyncio.run(watch()) == ["queued", "cancelled"]
