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
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import LONGEST_RETRY_SECONDS, OverloadedError, TooManyAtOnceError

DISPLACED_AFTER_SECONDS = 1.0
"""How long a body may arrive before another request can take its place."""
SMOOTHING = 0.1
"""Weight of the newest request in the estimate of a request's seconds."""


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


def _counted_with(kind: PlaceKind) -> tuple[PlaceKind, ...]:
    return CHANGING if kind in CHANGING else (kind,)
