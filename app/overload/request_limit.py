"""Limit the open requests of a process, in total and for each client, so that no client can shut out the others.

Requests are counted by kind. Those whose body is still arriving cost little and may be slow. Those that read are counted apart
from those that change data, so that the service can still be read while uploads fill it. Event streams stay open for hours and
have a limit of their own. Health checks are not counted.

A client is identified by its address until its key has been checked, then by its key.

Many slow clients together can still reach the limit of arriving bodies. Then a new request takes the place of the body that
arrives most slowly, so slow clients keep nobody out, however many there are.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.domain.errors import LONGEST_RETRY_SECONDS, OverloadedError, RateLimitedError, TooManyAtOnceError
from app.error_handlers import BodyRefusedSignal, ProblemResponse, headers_of, problem_of, status_of
from app.health.schemas import PROBES

STREAM_END = "/events"
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
DISPLACED_AFTER_SECONDS = 1.0
"""How long a body may arrive before another request can take its place."""
SMOOTHING = 0.1
"""Weight of the newest request in the estimate of a request's seconds."""
IPV6_NETWORK_BITS = 64
"""A single IPv6 customer has at least a network of this size, so its addresses count as one client."""


class PlaceKind(StrEnum):
    """What an open request does."""

    ARRIVING = "requests whose body is still arriving"
    READING = "requests that read"
    WRITING = "requests that change something or predict"
    FOLLOWING = "event streams"


CHANGING = (PlaceKind.ARRIVING, PlaceKind.WRITING)
"""The two stages of one request; the share of a client limits both together."""


@dataclass(frozen=True)
class PlaceBounds:
    """How many requests may be open."""

    max_requests: int
    """Open requests of each kind."""
    client_share: float
    """Share of them that one client may have; above 0, at most 1."""

    @property
    def max_of_client(self) -> int:
        """How many requests one client may have; at least one."""
        return math.ceil(self.max_requests * self.client_share)


class Place:
    """One open request.

    Args:
        limit: the limit that counts it.
        kind: what the request does.
        client: the client that sent it.
        since: when the work on it began, by the stopwatch of the limit.
    """

    def __init__(self, limit: RequestLimit, kind: PlaceKind, client: str, since: float) -> None:
        self._limit = limit
        self.kind = kind
        self.client = client
        self.since = since
        self.num_bytes = 0
        """Bytes of the body so far."""
        self.is_displaced = False
        """Whether another request has taken this place."""
        self.wait: asyncio.Timeout | None = None
        """Timeout of the task that waits for more of the body."""

    def displace(self) -> None:
        """Give the place up and stop waiting for the body."""
        self.is_displaced = True
        if self.wait is not None:
            self.wait.reschedule(asyncio.get_running_loop().time())

    def note_complete_body(self) -> None:
        """Count the request as one whose body has arrived."""
        if self.kind is PlaceKind.ARRIVING:
            self._limit.begin_work(self)

    def give_to(self, client: str) -> None:
        """Count the request for another client, once its key has been checked.

        Raises:
            TooManyAtOnceError: that client already has its share.
        """
        if client != self.client:
            self._limit.check_client(self.kind, client)
            self._limit.move(self, self.kind, client)


class RequestLimit:
    """The open requests of a process; used from the event loop alone.

    Args:
        bounds: how many may be open.
        stopwatch: returns monotonic seconds.
    """

    def __init__(self, bounds: PlaceBounds, stopwatch: Callable[[], float]) -> None:
        self._bounds = bounds
        self._stopwatch = stopwatch
        self._open: Counter[PlaceKind] = Counter()
        self._open_of_client: Counter[tuple[PlaceKind, str]] = Counter()
        self._arriving: set[Place] = set()
        self._request_seconds = 0.0
        self.num_refused = 0
        """Refused requests since the start."""

    def check_client(self, kind: PlaceKind, client: str) -> None:
        """Check that a client may open one more request.

        Raises:
            TooManyAtOnceError: the client has its share.
        """
        num_open = sum(self._open_of_client[each, client] for each in _counted_with(kind))
        if num_open < self._bounds.max_of_client:
            return
        self.num_refused += 1
        what = PlaceKind.WRITING if kind in CHANGING else kind
        raise TooManyAtOnceError(
            expected=f"at most {self._bounds.max_of_client} {what} at once from one client",
            got=f"{num_open} open ones, and this one",
            remedy="Wait until some of your requests have been answered, or send fewer at once. A client is a key, or an "
            "address where no key is sent. The operator can change VTT_MAX_REQUESTS and VTT_CLIENT_SHARE",
            retry_after_seconds=min(LONGEST_RETRY_SECONDS, max(1, math.ceil(self._request_seconds))),
        )

    def take(self, kind: PlaceKind, client: str) -> Place:
        """Count a request as open until `release`.

        Raises:
            TooManyAtOnceError: the client has its share.
            OverloadedError: all clients together have as many as allowed.
        """
        self.check_client(kind, client)
        if kind is PlaceKind.ARRIVING and self._open[kind] >= self._bounds.max_requests:
            self._displace_slowest()
        self._check_all(kind)
        place = Place(self, kind, client, self._stopwatch())
        self._count(place, 1)
        return place

    def release(self, place: Place) -> None:
        """Stop counting a request."""
        if place.is_displaced:
            return
        self._count(place, -1)
        if place.kind in {PlaceKind.READING, PlaceKind.WRITING}:
            self._request_seconds += SMOOTHING * (self._stopwatch() - place.since - self._request_seconds)

    def begin_work(self, place: Place) -> None:
        """Count an arriving request as one that is worked on, since its body is complete."""
        place.since = self._stopwatch()
        self.move(place, PlaceKind.WRITING, place.client)

    def move(self, place: Place, kind: PlaceKind, client: str) -> None:
        """Count a request as another kind, or for another client."""
        self._count(place, -1)
        place.kind, place.client = kind, client
        self._count(place, 1)

    def num_open(self, kind: PlaceKind) -> int:
        """Return how many requests of a kind are open."""
        return self._open[kind]

    def _displace_slowest(self) -> None:
        """Free the place of the body that arrives most slowly, if one has arrived for long enough."""
        now = self._stopwatch()
        slow = [place for place in self._arriving if now - place.since >= DISPLACED_AFTER_SECONDS]
        if slow:
            slowest = min(slow, key=lambda place: place.num_bytes / (now - place.since))
            self._count(slowest, -1)
            slowest.displace()

    def _check_all(self, kind: PlaceKind) -> None:
        # Bodies that are still arriving do not keep out requests without a body.
        for each in CHANGING if kind is PlaceKind.ARRIVING else (kind,):
            if self._open[each] >= self._bounds.max_requests:
                self.num_refused += 1
                raise OverloadedError(
                    expected=f"at most {self._bounds.max_requests} {each} at once",
                    got=f"{self._open[each]} open ones, and this one",
                    retry_after_seconds=self._request_seconds,
                )

    def _count(self, place: Place, change: int) -> None:
        self._open[place.kind] += change
        self._open_of_client[place.kind, place.client] += change
        if place.kind is PlaceKind.ARRIVING:
            (self._arriving.add if change > 0 else self._arriving.discard)(place)
        if not self._open_of_client[place.kind, place.client]:
            del self._open_of_client[place.kind, place.client]


class RequestLimitMiddleware:
    """Refuses requests beyond the limits of the process, before their body is read.

    Args:
        app: the application that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 503 beyond the limit of all clients, and 429 beyond that of one."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        limit: RequestLimit = scope["app"].state.context.bounds.requests
        try:
            place = limit.take(kind_of(scope), client_of(scope))
        except (OverloadedError, RateLimitedError) as error:
            headers = headers_of(error) | {"Connection": "close"}
            response = ProblemResponse(problem_of(error, scope["path"]), status_code=status_of(type(error)), headers=headers)
            await response(scope, receive, send)
            return
        try:
            scope.setdefault("state", {})["place"] = place
            await self._app(scope, _noticing_body(receive, place), send)
        finally:
            limit.release(place)


def kind_of(scope: Scope) -> PlaceKind:
    """Return what a request does, according to its head."""
    if scope["path"].endswith(STREAM_END):
        return PlaceKind.FOLLOWING
    if scope["method"] in READING_METHODS:
        return PlaceKind.READING
    headers = Headers(scope=scope)
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0").strip("0 ") != ""
    return PlaceKind.ARRIVING if has_body else PlaceKind.WRITING


def client_of(scope: Scope) -> str:
    """Return the client of a request by its address, which uvicorn takes from a trusted proxy if there is one."""
    client = scope.get("client")
    return address_group(client[0]) if client else "unknown"


def address_group(address: str) -> str:
    """Return the client that an address belongs to: its /64 network for IPv6, else the address itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), IPV6_NETWORK_BITS), strict=False))


def _counted_with(kind: PlaceKind) -> tuple[PlaceKind, ...]:
    return CHANGING if kind in CHANGING else (kind,)


def _noticing_body(receive: Receive, place: Place) -> Receive:
    async def receive_and_note() -> Message:
        if place.kind is not PlaceKind.ARRIVING:
            return await receive()
        message = await _receive_unless_displaced(receive, place)
        place.num_bytes += len(message.get("body", b""))
        if message["type"] == "http.request" and not message.get("more_body", False):
            place.note_complete_body()
        return message

    return receive_and_note


async def _receive_unless_displaced(receive: Receive, place: Place) -> Message:
    try:
        async with asyncio.timeout(0 if place.is_displaced else None) as place.wait:
            return await receive()
    except TimeoutError as error:
        raise BodyRefusedSignal(
            OverloadedError(
                expected="a body that arrives faster, while so many requests are waiting to be received",
                got=f"{place.num_bytes} bytes, the slowest of all",
                retry_after_seconds=1,
            )
        ) from error
    finally:
        place.wait = None
