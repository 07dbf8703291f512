"""The protocol without input and output: what is sent, and when it is sent again.

An operation is a generator. It yields a `Call` and gets a good answer, or a `Pause`. `Client` and `AsyncClient` drive it, each
in its own way of waiting, so that what is said to the service is written once.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

import httpx2

from vtt_client.errors import BusyError, UnreachableError, VttClientError, error_of
from vtt_client.retry_after import asked_seconds, in_words

Result = TypeVar("Result")
RETRIED = frozenset({429, 503})
"""Statuses that say: not now. Nothing was done, so any request may be sent again."""
NEVER_ARRIVED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
"""Failures before the request was sent: the service has done nothing."""
LONGEST_PAUSE_SECONDS = 60.0
LONGEST_ASKED_SECONDS = 120.0
"""A service that asks for a longer wait gets no other try: whoever called must decide. Ours asks for at most this."""


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    files: Sequence[tuple[str, Any]] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_repeatable: bool = False
    """Whether sending it twice does no harm, so that it may be sent again after a lost connection."""
    read_seconds: float | None = None
    """How long its answer may take; None for the usual."""

    def arguments(self, timeout_seconds: float) -> dict[str, Any]:
        """Return the arguments of `httpx2.Client.request`."""
        return {
            "method": self.method,
            "url": self.path,
            "params": {name: value for name, value in self.params.items() if value is not None},
            "json": self.json,
            "files": self.files,
            "headers": dict(self.headers),
            "timeout": httpx2.Timeout(timeout_seconds, read=self.read_seconds or timeout_seconds),
        }


@dataclass(frozen=True)
class Pause:
    """Wait, then go on."""

    seconds: float
    reason: str = ""
    """Why, as the beginning of a sentence; empty between two looks at work that goes on."""

    def __str__(self) -> str:
        """Say it to people."""
        return f"{self.reason}: trying again in {in_words(self.seconds)}"


Step: TypeAlias = Call | Pause
Operation: TypeAlias = Generator[Step, httpx2.Response, Result]
"""What is said to the service, as if every call went well."""
Attempt: TypeAlias = Generator[Step, httpx2.Response | httpx2.TransportError | None, Result]
"""The same with failures and repetitions: what a client drives."""


@dataclass(frozen=True)
class Retries:
    """How often a request is sent again, and after what pause."""

    most: int = 5
    first_pause_seconds: float = 0.5

    def pause(self, call: Call, answer: httpx2.Response | httpx2.TransportError, num_failures: int) -> float | None:
        """Return the seconds until the request is sent again; None if it is not.

        Args:
            call: the request.
            answer: what came of it.
            num_failures: attempts that have failed, this one included.
        """
        if num_failures > self.most:
            return None
        if isinstance(answer, httpx2.Response):
            return self.wait_seconds(answer, num_failures) if answer.status_code in RETRIED else None
        is_safe = call.is_repeatable or isinstance(answer, NEVER_ARRIVED)
        return self.backoff_seconds(num_failures) if is_safe else None

    def wait_seconds(self, answer: httpx2.Response, num_failures: int) -> float:
        """Return the pause that an answer asks for by `Retry-After`, or else the usual one.

        Raises:
            BusyError: it asks for more than is waited.
        """
        asked = asked_seconds(answer)
        if asked is None:
            return self.backoff_seconds(num_failures)
        if asked > LONGEST_ASKED_SECONDS:
            raise _too_long(answer, asked)
        return asked

    def backoff_seconds(self, num_failures: int) -> float:
        """Return a pause that doubles with each failure, with a share of chance so that clients do not come together."""
        grown = self.first_pause_seconds * 2.0 ** (num_failures - 1)
        return min(grown, LONGEST_PAUSE_SECONDS) * random.uniform(0.5, 1.0)


def attempts(operation: Operation[Result], retries: Retries) -> Attempt[Result]:
    """Carry out an operation, sending again what may be sent again; errors are thrown into the operation.

    Raises:
        RefusedError: an answer is an error.
        UnreachableError: no answer came.
    """
    try:
        step = next(operation)
        while True:
            if isinstance(step, Pause):
                yield step
                step = next(operation)
                continue
            try:
                answer = yield from _sent(step, retries)
            except VttClientError as error:
                step = operation.throw(error)
            else:
                step = operation.send(answer)
    except StopIteration as end:
        result: Result = end.value
        return result


def _sent(call: Call, retries: Retries) -> Attempt[httpx2.Response]:
    num_failures = 0
    while True:
        answer = yield call
        assert answer is not None
        if isinstance(answer, httpx2.Response) and answer.is_success:
            return answer
        num_failures += 1
        seconds = retries.pause(call, answer, num_failures)
        if seconds is None:
            raise failure_of(answer)
        yield Pause(seconds, reason_of(answer))


def reason_of(answer: httpx2.Response | httpx2.TransportError | None) -> str:
    """Return in words why a request is sent again."""
    if isinstance(answer, httpx2.Response):
        return f"The service is busy (status {answer.status_code})"
    return f"No answer ({type(answer).__name__})" if answer is not None else "The connection was lost"


def _too_long(answer: httpx2.Response, asked: float) -> BusyError:
    error = error_of(answer)
    return BusyError(
        code=error.code,
        title=error.title,
        expected=f"a service that has time within {LONGEST_ASKED_SECONDS:.0f} s",
        got=f"{error.got}; it asks to wait {in_words(asked)} (Retry-After: {answer.headers['Retry-After'][:40]})",
        remedy="Try again later",
        status=error.status,
    )


def failure_of(answer: httpx2.Response | httpx2.TransportError) -> VttClientError:
    """Return the error that a bad answer, or none, stands for."""
    if isinstance(answer, httpx2.Response):
        return error_of(answer)
    return UnreachableError(
        code="client.unreachable",
        title="No answer",
        expected="a service that answers",
        got=f"{type(answer).__name__}: {answer}",
        remedy="Check the address, and whether the service runs; `vtt up` starts one",
    )
