"""The client for programs that do other things while they wait: the same as `client.py`, with `await`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from vtt_client.calls import Operation, Pause, Retries, Step, attempts
from vtt_client.connection import TIMEOUT_SECONDS, connection
from vtt_client.errors import unknown_answer
from vtt_client.following import Follower, JobEvent, is_event_stream
from vtt_client.methods import Awaits, Methods

Result = TypeVar("Result")


class AsyncClient(Methods, Awaits):
    """A service, asked several things at once.

    Args:
        url: address of the service.
        key: API key; None where the service asks for none.
        retries: how often a request is sent again.
        on_wait: told each pause before a request is sent again; its text says why and how long.
        timeout_seconds: for a connection, and between two parts of an answer.
        transport: sends the requests; None for the network.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retries: Retries = Retries(),  # noqa: B008 - it cannot be changed
        on_wait: Callable[[Pause], None] | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx2.AsyncClient(**connection(url, key), transport=transport)
        self._retries, self._on_wait, self._timeout_seconds = retries, on_wait, timeout_seconds

    async def __aenter__(self) -> Self:
        """Use the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection."""
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def follow(self, job_id: str) -> AsyncIterator[JobEvent]:
        """Yield the events of a job from its beginning to its end; a lost connection is made anew.

        Args:
            job_id: of a job.

        Raises:
            RefusedError: the service refuses.
            UnreachableError: it does not answer any more.
        """
        follower = Follower(job_id, self._retries)
        while not follower.has_ended:
            await self._taken(follower.pause)
            try:
                async with self._http.stream(**follower.call().arguments(self._timeout_seconds)) as answer:
                    if answer.is_success:
                        if not is_event_stream(answer):
                            await answer.aread()
                            raise unknown_answer("the events of a job", answer)
                        async for sent in httpx2.EventSource(answer):
                            yield follower.event(sent)
                            if follower.has_ended:
                                return
                        follower.failed(None)
                    else:
                        await answer.aread()
                        follower.failed(answer)
            except httpx2.TransportError as error:
                follower.failed(error)

    async def carry_out(self, operation: Operation[Result]) -> Result:
        """Say an operation to the service, sending again what may be sent again; return what comes of it."""
        running = attempts(operation, self._retries)
        try:
            step = next(running)
            while True:
                step = running.send(await self._taken(step))
        except StopIteration as end:
            result: Result = end.value
            return result

    async def _taken(self, step: Step) -> httpx2.Response | httpx2.TransportError | None:
        if isinstance(step, Pause):
            if step.reason and self._on_wait is not None:
                self._on_wait(step)
            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._http.request(**step.arguments(self._timeout_seconds))
        except httpx2.TransportError as error:
            return error
