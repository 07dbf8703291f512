"""Stream what happens to a job.

Each follower looks into the database every half second: no thread is held between two looks, any API
process can answer, and a follower that comes back goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi.sse import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from app.domain.jobs import JobState
from app.infra.jobs import JobRepository
from app.infra.outages import DATABASE_AWAY
from app.infra.tenancy import Sessions
from app.wiring import Resources

OUTAGE_PAUSE_SECONDS = 1.0
"""Before the next look into a database that is away."""


async def follow(resources: Resources, job_id: str, last_event_id: int) -> AsyncIterator[ServerSentEvent]:
    """Yield the job's events after an id until it has ended; the last one always names the final state.

    A process that is asked to end closes the stream earlier; the follower comes back with the last id. A database
    that is away for a moment only holds up the stream.

    Args:
        resources: where to read, how long to pause between two looks, and whether the process ends.
        job_id: of a job that exists.
        last_event_id: 0 for all events.
    """
    while not resources.stopping.is_set():
        try:
            events, final = await run_in_threadpool(_look, resources.readers, job_id, last_event_id)
        except DATABASE_AWAY:
            await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
            continue
        for event in events:
            yield event
            last_event_id = int(event.id or last_event_id)
        if final is not None:
            if not events:
                yield final
            return
        if not events:
            await asyncio.sleep(resources.settings.event_poll_seconds)


def _look(readers: Sessions, job_id: str, last_event_id: int) -> tuple[list[ServerSentEvent], ServerSentEvent | None]:
    """Return the new events, and the final state once nothing comes after them."""
    with readers() as session:
        jobs = JobRepository(session)
        rows = jobs.events_after(job_id, last_event_id)
        events = [ServerSentEvent(data=row.payload, event=row.kind, id=str(row.id)) for row in rows]
        if rows:
            last = rows[-1]
            has_ended = last.kind == "state" and JobState(last.payload["state"]).is_final
            return events, events[-1] if has_ended else None
        job = jobs.get(job_id)
        if not JobState(job.state).is_final:
            return [], None
        # The follower has seen everything before; it is told the end again.
        return [], ServerSentEvent(data={"state": job.state, "attempt": job.attempt}, event="state", id=str(last_event_id))
