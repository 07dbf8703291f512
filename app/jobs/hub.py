"""Poll the database for new job events, once for all followers of a process.

One task runs one query at each interval for all followed jobs, however many followers there are, and only while there are
any. A follower that takes its events too slowly delays nobody: it is dropped, reads the rest from the database itself, and
then joins again.

Tenants stay apart: a follower gets the events of one job, and whether the caller may see that job was checked before.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from app.domain.errors import TooManyFollowersError
from app.infra.job_repository import JobRepository
from app.infra.outages import DATABASE_AWAY
from app.infra.tables import JobEventRow
from app.infra.tenancy import Sessions

Answer = TypeVar("Answer")

OUTAGE_PAUSE_SECONDS = 1.0
"""Pause between two attempts while the database is away."""
PAGE_EVENTS = 1000
"""Events that one query returns; the next query follows at once where there are more."""
MAX_WAITING_EVENTS = 200
"""Events that wait for one follower; a follower with more is dropped."""
RETRY_SECONDS = 5
"""When a refused follower may try again."""


class Follower:
    """One event stream.

    Args:
        job_id: of the job that it follows.
        last_id: of the last event that it has.
    """

    def __init__(self, job_id: str, last_id: int) -> None:
        self.job_id = job_id
        self.last_id = last_id
        self.failure: Exception | None = None
        self.is_over = False
        """Whether nothing more comes: it was too slow, the process ends, or the query failed."""
        self._waiting: deque[JobEventRow] = deque()
        self._changed = asyncio.Event()

    @property
    def num_waiting(self) -> int:
        """Events that it has not taken yet."""
        return len(self._waiting)

    async def events(self) -> AsyncIterator[JobEventRow]:
        """Yield the events as they come, until nothing more comes.

        Raises:
            Exception: what the query raised, unless that was an outage.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting:
                yield self._waiting.popleft()
            if self.failure is not None:
                raise self.failure
            if self.is_over:
                return

    def put(self, event: JobEventRow) -> None:
        """Add an event that it does not have yet; the follower is over when too many wait."""
        if event.id > self.last_id:
            self.last_id = event.id
            self._waiting.append(event)
            self.is_over = len(self._waiting) >= MAX_WAITING_EVENTS
            self._changed.set()

    def end(self, failure: Exception | None = None) -> None:
        """Send nothing more; the events that wait can still be taken."""
        self.failure, self.is_over = failure, True
        self._changed.set()


class EventHub:
    """The followers of one process; used from the event loop alone.

    Args:
        readers: sessions bound to no tenant.
        poll_seconds: pause between two queries.
        max_followers: of one tenant.
        stopping: set once the process is asked to end.
    """

    def __init__(self, readers: Sessions, poll_seconds: float, max_followers: int, stopping: threading.Event) -> None:
        self._readers = readers
        self._poll_seconds = poll_seconds
        self._max_followers = max_followers
        self._stopping = stopping
        self._num_of_tenant: Counter[str] = Counter()
        self.followers: set[Follower] = set()
        """Open now."""
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def place(self, tenant_id: str) -> Iterator[None]:
        """Count an event stream of a tenant while it is open.

        Raises:
            TooManyFollowersError: the tenant has as many as it may.
        """
        if self._num_of_tenant[tenant_id] >= self._max_followers:
            raise TooManyFollowersError(
                expected=f"at most {self._max_followers} open event streams",
                got=f"{self._num_of_tenant[tenant_id]} open ones, and this one",
                remedy="Close a stream that you no longer need, or ask GET /v1/jobs now and then. Whoever runs the service can "
                "change VTT_MAX_FOLLOWERS",
                retry_after_seconds=RETRY_SECONDS,
            )
        self._num_of_tenant[tenant_id] += 1
        try:
            yield
        finally:
            self._num_of_tenant[tenant_id] -= 1
            if not self._num_of_tenant[tenant_id]:
                del self._num_of_tenant[tenant_id]

    @contextmanager
    def follower(self, job_id: str, last_id: int) -> Iterator[Follower]:
        """Yield a follower that gets the events of a job after an id."""
        follower = Follower(job_id, last_id)
        self.followers.add(follower)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._poll())
        try:
            yield follower
        finally:
            self.followers.discard(follower)
            if not self.followers and self._task is not None:
                self._task.cancel()
                self._task = None

    async def read(self, query: Callable[[], Answer]) -> Answer | None:
        """Run a query in a thread, and again while the database is away.

        Returns:
            What the query returns; None if the process is asked to end before that.
        """
        while not self._stopping.is_set():
            try:
                return await run_in_threadpool(query)
            except DATABASE_AWAY:
                await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
        return None

    async def _poll(self) -> None:
        failure = None
        try:
            while True:
                last_ids = self._last_ids()
                events = await self.read(partial(self._query, last_ids))
                if events is None:
                    break
                self.dispatch(events, last_ids)
                if len(events) < PAGE_EVENTS:
                    await asyncio.sleep(self._poll_seconds)
        except Exception as error:  # noqa: BLE001
            failure = error
        for follower in list(self.followers):
            follower.end(failure)

    def _last_ids(self) -> dict[str, int]:
        last_ids: dict[str, int] = {}
        for follower in self.followers:
            if not follower.is_over:
                last_ids[follower.job_id] = min(follower.last_id, last_ids.get(follower.job_id, follower.last_id))
        return last_ids

    def _query(self, last_ids: dict[str, int]) -> list[JobEventRow]:
        if not last_ids:
            return []
        with self._readers() as session:
            return JobRepository(session).events_after_each(last_ids, PAGE_EVENTS)

    def dispatch(self, events: list[JobEventRow], last_ids: Mapping[str, int]) -> None:
        """Give the events to the followers of their jobs.

        A follower that came during the query may have fewer events than the query began after. It gets nothing now, since it
        would miss those in between.
        """
        ready: dict[str, list[Follower]] = {}
        for follower in self.followers:
            if follower.last_id >= last_ids.get(follower.job_id, math.inf):
                ready.setdefault(follower.job_id, []).append(follower)
        for event in events:
            for follower in ready.get(event.job_id, []):
                if not follower.is_over:
                    follower.put(event)
