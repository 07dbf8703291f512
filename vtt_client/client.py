"""The client that waits: one connection to a service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import wraps
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

import httpx2

from vtt_client import operations, predict_operations
from vtt_client.calls import Operation, Pause, Retries, Step, attempts
from vtt_client.connection import TIMEOUT_SECONDS, connection
from vtt_client.following import Follower, JobEvent

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _method(
    operation: Callable[Arguments, Operation[Result]],
) -> Callable[Concatenate[Client, Arguments], Result]:
    """Make a method of an operation."""

    @wraps(operation)
    def method(self: Client, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return self._carry_out(operation(*args, **kwargs))

    return method


class Client:
    """A service, asked one thing after another.

    Args:
        url: address of the service.
        key: API key; None where the service asks for none.
        retries: how often a request is sent again.
        timeout_seconds: for a connection, and between two parts of an answer.
        transport: sends the requests; None for the network.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retries: Retries = Retries(),  # noqa: B008 - it cannot be changed
        timeout_seconds: float = TIMEOUT_SECONDS,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._http = httpx2.Client(**connection(url, key), transport=transport)
        self._retries, self._timeout_seconds = retries, timeout_seconds

    def __enter__(self) -> Self:
        """Use the client."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    upload = _method(operations.upload)
    support_sets = _method(operations.support_sets)
    support_set = _method(operations.support_set)
    train = _method(operations.train)
    job = _method(operations.job)
    cancel = _method(operations.cancel)
    wait = _method(operations.wait)
    models = _method(operations.models)
    model = _method(operations.model)
    aliases = _method(operations.aliases)
    alias = _method(operations.alias)
    point_alias = _method(operations.point_alias)
    delete_alias = _method(operations.delete_alias)
    predict = _method(predict_operations.predict)
    predict_files = _method(predict_operations.predict_files)
    predict_folder = _method(predict_operations.predict_folder)
    evaluate = _method(predict_operations.evaluate)
    download = _method(operations.download)
    delete = _method(operations.delete)

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
            time.sleep(follower.pause_seconds)
            try:
                with self._http.stream(**follower.call().arguments(self._timeout_seconds)) as answer:
                    if answer.is_success:
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

    def _carry_out(self, operation: Operation[Result]) -> Result:
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
            time.sleep(step.seconds)
            return None
        try:
            return self._http.request(**step.arguments(self._timeout_seconds))
        except httpx2.TransportError as error:
            return error
