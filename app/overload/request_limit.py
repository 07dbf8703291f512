"""Bound the requests that a process works on at once, so that its memory and its health do not depend on its clients.

uvicorn's own limit counts health too, and answers without a problem document and without `Retry-After`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from app.domain.errors import OverloadedError
from app.error_handlers import ProblemResponse, headers_of, problem_of, status_of
from app.health.schemas import PROBES

STREAM_END = "/events"
"""Followers of jobs stay for minutes and cost little: they are counted apart."""
SMOOTHING = 0.1
"""Weight of the newest request in the estimate of a request's seconds."""


class RequestLimit:
    """The requests that are being worked on; used from the event loop alone.

    Args:
        max_requests: at once; as many followers of jobs may come beside them.
        stopwatch: gives monotonic seconds.
    """

    def __init__(self, max_requests: int, stopwatch: Callable[[], float]) -> None:
        self._max_requests = max_requests
        self._stopwatch = stopwatch
        self._running: Counter[bool] = Counter()
        self._request_seconds = 0.0
        self.num_refused = 0
        """Requests since the start."""

    def check(self, *, is_stream: bool) -> None:
        """Refuse one more request beyond the limit.

        Raises:
            OverloadedError: there are as many as may be.
        """
        if self._running[is_stream] < self._max_requests:
            return
        self.num_refused += 1
        raise OverloadedError(
            expected=f"less than {self._max_requests} requests at once",
            got="as many",
            retry_after_seconds=self._request_seconds,
        )

    @contextmanager
    def count(self, *, is_stream: bool) -> Iterator[None]:
        """Count a request while it is worked on."""
        self._running[is_stream] += 1
        start = self._stopwatch()
        try:
            yield
        finally:
            self._running[is_stream] -= 1
            if not is_stream:
                self._request_seconds += SMOOTHING * (self._stopwatch() - start - self._request_seconds)


class RequestLimitMiddleware:
    """Refuses requests beyond the process's limit, before anything of them is read.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503 beyond the limit."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        limit: RequestLimit = scope["app"].state.resources.bounds.requests
        is_stream = scope["path"].endswith(STREAM_END)
        try:
            limit.check(is_stream=is_stream)
        except OverloadedError as error:
            problem = problem_of(error, scope["path"])
            response = ProblemResponse(problem, status_code=status_of(type(error)), headers=headers_of(error))
            await response(scope, receive, send)
            return
        with limit.count(is_stream=is_stream):
            await self._app(scope, receive, send)
