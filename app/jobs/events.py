"""Stream what happens to a job.

A follower first reads the events that it has missed, then waits in the hub for new ones. Any API process can answer, and a
follower that reconnects continues where it stopped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from fastapi.sse import ServerSentEvent

from app.dependencies import AppContext
from app.domain.jobs import JobState
from app.infra.job_repository import JobRepository
from app.infra.tables import JobEventRow
from app.infra.tenancy import Sessions

PAGE_EVENTS = 500
"""Missed events that one query reads."""


async def follow(context: AppContext, job_id: str, last_event_id: int) -> AsyncIterator[ServerSentEvent]:
    """Yield the job's events after an id until it has ended; the last one is always the final state.

    A process that is asked to end closes the stream earlier; the follower reconnects with the last id. While the
    database is away the stream only pauses.

    Args:
        context: of the request.
        job_id: of a job that exists and that the caller may see.
        last_event_id: 0 for all events. If it is beyond the job's last event, the follower waits for the next one; a job that
            has ended sends its final state again.
    """
    hub, last_id = context.hub, last_event_id
    while (page := await hub.read(partial(_missed, context.readers, job_id, last_id))) is not None:
        events, last_id = page
        for event in events:
            yield _to_send(event)
            if _is_end(event):
                return
        if len(events) >= PAGE_EVENTS:
            continue
        with hub.follower(job_id, last_id) as follower:
            async for event in follower.events():
                yield _to_send(event)
                if _is_end(event):
                    return
                last_id = event.id


def _missed(readers: Sessions, job_id: str, last_id: int) -> tuple[list[JobEventRow], int]:
    """Return the next events after an id, and the id that the follower has then reached."""
    with readers() as session:
        jobs = JobRepository(session)
        if events := jobs.events_after(job_id, last_id, PAGE_EVENTS):
            return events, events[-1].id
        newest = jobs.newest_event(job_id)
    if newest is None:
        return [], 0
    if newest.id > last_id:  # it came between the two queries, and the hub will send it
        return [], last_id
    return [newest] if _is_end(newest) else [], newest.id


def _is_end(event: JobEventRow) -> bool:
    return event.kind == "state" and JobState(event.payload["state"]).is_final


def _to_send(event: JobEventRow) -> ServerSentEvent:
    return ServerSentEvent(data=event.payload, event=event.kind, id=str(event.id))
