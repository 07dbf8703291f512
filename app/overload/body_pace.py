"""Limit the time that a request body may take to arrive, so that slow clients do not occupy the service.

Only the time that the service waits for the client counts, not the time that it works on what has arrived. A body may pause
for some seconds, and on average it must keep a minimum rate. There is no limit once the body is complete, since an event
stream may stay open for hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.errors import RequestTooSlowError
from app.error_handlers import BodyRefusedSignal


@dataclass(frozen=True)
class PaceBounds:
    """How slow a body may be."""

    pause_seconds: float
    """Longest pause, and how far a body may fall behind the minimum rate."""
    bytes_per_second: float
    """Minimum rate."""
    total_seconds: float
    """Longest time to wait for the whole body."""


class BodyPace:
    """How much longer the service waits for one body.

    A body starts with an allowance of `pause_seconds`. Waiting reduces it, and bytes increase it, up to the same size. So a
    fast client cannot save time for a long pause.

    Args:
        bounds: how slow the body may be.
    """

    def __init__(self, bounds: PaceBounds) -> None:
        self._bounds = bounds
        self._allowance_seconds = bounds.pause_seconds
        self._waited_seconds = 0.0
        self.num_bytes = 0

    @property
    def seconds_left(self) -> float:
        """How long to wait for the next bytes; at least 0."""
        return max(0.0, min(self._allowance_seconds, self._bounds.total_seconds - self._waited_seconds))

    def note(self, waited_seconds: float, num_bytes: int) -> None:
        """Count a wait and the bytes that ended it."""
        self.num_bytes += num_bytes
        self._waited_seconds += waited_seconds
        earned_seconds = num_bytes / self._bounds.bytes_per_second
        self._allowance_seconds = min(self._bounds.pause_seconds, self._allowance_seconds - waited_seconds + earned_seconds)

    def error(self) -> RequestTooSlowError:
        """Return the error to raise when no time is left."""
        bounds = self._bounds
        return RequestTooSlowError(
            expected=f"a body of at least {bounds.bytes_per_second:g} bytes a second, without a pause of more than "
            f"{bounds.pause_seconds:g} s, and complete within {bounds.total_seconds:g} s",
            got=f"{self.num_bytes} bytes in {self._waited_seconds:.0f} s",
            remedy="Send the request again over a faster connection, or send less in one request",
        )


class BodyPaceMiddleware:
    """Answers 408 to a request whose body arrives too slowly.

    Args:
        app: the application that answers.
        bounds: how slow a body may be.
        stopwatch: returns monotonic seconds.
    """

    def __init__(self, app: ASGIApp, bounds: PaceBounds, stopwatch: Callable[[], float]) -> None:
        self._app = app
        self._bounds = bounds
        self._stopwatch = stopwatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or stop waiting for its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        pace, is_complete = BodyPace(self._bounds), False

        async def receive_in_time() -> Message:
            nonlocal is_complete
            if is_complete:
                return await receive()
            start = self._stopwatch()
            try:
                async with asyncio.timeout(pace.seconds_left):
                    message = await receive()
            except TimeoutError as error:
                pace.note(self._stopwatch() - start, 0)
                raise BodyRefusedSignal(pace.error()) from error
            pace.note(self._stopwatch() - start, len(message.get("body", b"")))
            is_complete = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
