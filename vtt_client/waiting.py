"""Wait for what the service does in the background."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from vtt_client.calls import Operation, Pause
from vtt_client.errors import FailedError
from vtt_client.models import FINAL_STATES, JobFailure

FIRST_LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.2, 3.0
"""Pauses between two looks."""


class Work(Protocol):
    """A job, a batch or an export."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def error(self) -> JobFailure | None: ...  # noqa: D102


AnyWork = TypeVar("AnyWork", bound=Work)


def until_ended(
    look: Callable[[], Operation[AnyWork]],
    failed: type[FailedError],
    progress: Callable[[AnyWork], None] | None,
    timeout_seconds: float | None,
) -> Operation[AnyWork]:
    """Look at some work until it has ended; return it.

    Args:
        look: asks how it is.
        failed: the error of work that ends without success.
        progress: told the work after each look.
        timeout_seconds: None to wait however long it takes.

    Raises:
        FailedError: `failed`: it ends without success.
        TimeoutError: it had not ended in time; it goes on.
    """
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    pause = FIRST_LOOK_SECONDS
    while True:
        found = yield from look()
        if progress is not None:
            progress(found)
        if found.state == "succeeded":
            return found
        if found.state in FINAL_STATES:
            raise _failure(found, failed)
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError(f"{found.id} is still {found.state} after {timeout_seconds} s")
        yield Pause(pause)
        pause = min(LONGEST_LOOK_SECONDS, pause * 1.5)


def _failure(found: Work, failed: type[FailedError]) -> FailedError:
    why, work = found.error, failed.work
    return failed(
        code=why.code if why else f"{work}.{found.state}",
        title=why.title if why else f"{work.capitalize()} {found.state}",
        expected=why.expected if why else f"a {work} that succeeds",
        got=why.got if why else f"{found.id}, which is {found.state}",
        remedy=why.remedy if why else "Start it again",
    )
