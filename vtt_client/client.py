"""The client that waits: one connection to a service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from vtt_client.calls import Operation, Pause, Retries, Step, attempts
from vtt_client.connection import TIMEOUT_SECONDS, connection
from vtt_client.errors import unknown_answer
from vtt_client.following import Follower, JobEvent, is_event_stream
from vtt_client.methods import Methods, Waits

Result = TypeVar("Result")


class Client(Methods, Waits):
    """A service, asked one thing after another.

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
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(**connection(url, key), transport=transport)
        self._retries, self._on_wait, self._timeout_seconds = retries, on_wait, timeout_seconds

    def __enter__(self) -> Self:
        """Use the client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def follow(self, job_id: str) -> Iterator[JobEvent]:
        """Yield the events of a job from its beginning to its end; a lost connection is made anew.

        Args:
            job_id: of a job.

        Raises:
            RefusedError: the service refuses.
            UnreachableError: it does not answer any more.
        """
        follower = Follower(job_id, self._retries)
        while not follower.has_ended:
            self._taken(follower.pause)
            try:
                with self._http.stream(**follower.call().arguments(self._timeout_seconds)) as answer:
                    if answer.is_success:
                        if not is_event_stream(answer):
                            answer.read()
                            raise unknown_answer("the events of a job", answer)
                        for sent in httpx2.EventSource(answer):
                            yield follower.event(sent)
                            if follower.has_ended:
                                return
                        follower.failed(None)
                    else:
                        answer.read()
                        follower.failed(answer)
            except httpx2.TransportError as error:
                follower.failed(error)

    def carry_out(self, operation: Operation[Result]) -> Result:
        """Say an operation to the service, sending again what may be sent again; return what comes of it."""
        running = attempts(operation, self._retries)
        try:
            step = next(running)
            while True:
                step = running.send(self._taken(step))
        except StopIteration as end:
            result: Result = end.value
            return result

    def _taken(self, step: Step) -> httpx2.Response | httpx2.TransportError | None:
        if isinstance(step, Pause):
            if step.reason and self._on_wait is not None:
                self._on_wait(step)
            time.sleep(step.seconds)
            return None
        try:
            return self._http.request(**step.arguments(self._timeout_seconds))
        except httpx2.TransportError as error:
            return error
