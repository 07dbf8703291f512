"""Give every request an id that all its log lines carry, and log and count each request once."""

from __future__ import annotations

import re
import time
from http import HTTPMethod
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.ids import REQUEST_PREFIX, new_id
from app.health.metrics import Metrics
from app.health.schemas import PROBES

REQUEST_ID_HEADER = "X-Request-ID"
UNMATCHED = "unmatched"
"""Route of requests to unknown paths, of which there is no end."""
CLIENT_GONE = 499
"""Status of requests whose client disconnected before the answer, as other servers log it."""
_GIVEN_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,100}")
_log = structlog.get_logger(__name__)


class RequestLogMiddleware:
    """The outermost middleware, so that what the others refuse is logged and counted too.

    An id that came with the request is kept if it is harmless in a log, so that it matches a proxy's log. What others bind
    with `structlog.contextvars` in the task of the request is in its line as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose_request_id(Headers(scope=scope).get(REQUEST_ID_HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        # Never unbound: the task ends with the request, and the server logs a crash only after this returns.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        exchange = _Exchange(scope, receive, send, request_id)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception:
            exchange.status = exchange.status or 500
            raise
        finally:
            exchange.close()


def choose_request_id(given: str | None) -> str:
    """Return the id that came with the request, or a new one if none came or it has other characters than an id."""
    return given if given is not None and _GIVEN_ID.fullmatch(given) else new_id(REQUEST_PREFIX)


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self._scope, self._receive, self._send, self._request_id = scope, receive, send, request_id
        self._started_at = time.perf_counter()
        self._answered_at: float | None = None
        self._num_bytes = 0
        self.status: int | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        self._num_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._answered_at = time.perf_counter()
            MutableHeaders(scope=message)[REQUEST_ID_HEADER] = self._request_id
        await self._send(message)

    def close(self) -> None:
        method, route, status = self._scope["method"], _route_of(self._scope), self.status or CLIENT_GONE
        ended_at = time.perf_counter()
        self._count(method if method in HTTPMethod.__members__ else "other", route, status, self._answered_at or ended_at)
        log = _log.debug if route in PROBES else _log.info
        log("request", method=method, route=route, status=status, ms=round(1000 * (ended_at - self._started_at), 1))

    def _count(self, method: str, route: str, status: int, answered_at: float) -> None:
        metrics: Any = getattr(self._scope["app"].state, "metrics", None)
        if not isinstance(metrics, Metrics):  # before the lifespan
            return
        counted = metrics.requests
        counted.http_requests.labels(route, method, str(status)).inc()
        counted.http_request_seconds.labels(route, method).observe(answered_at - self._started_at)
        if self._num_bytes:
            counted.received_bytes.labels(route).inc(self._num_bytes)


def _route_of(scope: Scope) -> str:
    return getattr(scope.get("route"), "path_format", UNMATCHED)
