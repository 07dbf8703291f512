"""Limit the open connections of a process, in total and for each client, so that file descriptors do not run out.

A connection is idle while it waits for the head of a request. If there are too many connections, the one that has been idle
longest is closed to make room. So a client that opens many connections and sends nothing loses its own, and a new client that
sends its request at once is answered.
"""

from __future__ import annotations

import resource
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Protocol

from app.domain.errors import OverloadedError, TooManyAtOnceError

RETRY_SECONDS = 5
"""Retry-After of a refused connection."""
RESERVED_FILES = 256
"""File descriptors for the database (two for each of 64 connections of SQLite), Redis, the store and the libraries."""
FILES_OF_REQUEST = 2
"""For an upload: its temporary file, and a file of the store."""
LARGEST_FILE_LIMIT = 65_536
LEAST_CONNECTIONS = 64


class Connection(Protocol):
    """A connection in the table."""

    def make_room(self) -> None:
        """Close the connection, which is idle."""


@dataclass(frozen=True)
class ConnectionBounds:
    """How many connections may be open."""

    max_connections: int
    max_of_client: int


class ConnectionTable:
    """The open connections of a process; used from the event loop alone.

    Args:
        bounds: how many may be open.
    """

    def __init__(self, bounds: ConnectionBounds) -> None:
        self._bounds = bounds
        self._clients: dict[Connection, str | None] = {}
        self._num_of_client: Counter[str] = Counter()
        # Dictionaries keep the order in which connections began to wait.
        self._waiting: dict[Connection, None] = {}
        self._waiting_of_client: defaultdict[str, dict[Connection, None]] = defaultdict(dict)
        self.num_refused = 0
        """Refused connections since the start."""
        self.num_closed = 0
        """Idle connections that were closed to make room, since the start."""

    def __len__(self) -> int:
        return len(self._clients)

    def admit(self, connection: Connection, client: str | None) -> None:
        """Add a new connection, which is idle until its first request.

        Args:
            connection: the new connection.
            client: the client that opened it; None for a trusted proxy, which serves many clients.

        Raises:
            TooManyAtOnceError: the client has its share of connections, and none of them is idle.
            OverloadedError: there are as many connections as allowed, and none of them is idle.
        """
        if client is not None and self._num_of_client[client] >= self._bounds.max_of_client:
            if not self._close_first(self._waiting_of_client[client]):
                self.num_refused += 1
                raise TooManyAtOnceError(
                    expected=f"at most {self._bounds.max_of_client} connections at once from one address",
                    got=f"{self._bounds.max_of_client} open ones, and this one",
                    remedy="Use your open connections for several requests, or send fewer requests at once",
                    retry_after_seconds=RETRY_SECONDS,
                )
        elif len(self._clients) >= self._bounds.max_connections and not self._close_first(self._waiting):
            self.num_refused += 1
            raise OverloadedError(
                expected=f"at most {self._bounds.max_connections} connections at once",
                got=f"{self._bounds.max_connections} open ones, and this one",
                retry_after_seconds=RETRY_SECONDS,
            )
        self._clients[connection] = client
        if client is not None:
            self._num_of_client[client] += 1
        self.note(connection, is_waiting=True)

    def note(self, connection: Connection, *, is_waiting: bool) -> None:
        """Note whether a connection is idle; does nothing if it is not in the table."""
        if connection not in self._clients or (connection in self._waiting) is is_waiting:
            return
        client = self._clients[connection]
        for waiting in (self._waiting, self._waiting_of_client[client] if client is not None else {}):
            if is_waiting:
                waiting[connection] = None
            else:
                waiting.pop(connection, None)

    def remove(self, connection: Connection) -> None:
        """Remove a connection; does nothing if it is not in the table."""
        self.note(connection, is_waiting=False)
        client = self._clients.pop(connection, None)
        if client is None:
            return
        self._num_of_client[client] -= 1
        if not self._num_of_client[client]:
            del self._num_of_client[client]
            self._waiting_of_client.pop(client, None)

    def _close_first(self, waiting: dict[Connection, None]) -> bool:
        first = next(iter(waiting), None)
        if first is None:
            return False
        self.num_closed += 1
        self.remove(first)
        first.make_room()
        return True


def connection_bounds(max_connections: int, client_share: float, max_requests: int) -> ConnectionBounds:
    """Return limits for which the file descriptors of the process suffice.

    Args:
        max_connections: the limit in the settings.
        client_share: share of the connections that one client may have.
        max_requests: the limit on open requests in the settings.
    """
    soft_limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = soft_limit - RESERVED_FILES - FILES_OF_REQUEST * max_requests
    most = max_connections if soft_limit == resource.RLIM_INFINITY else min(max_connections, max(LEAST_CONNECTIONS, room))
    return ConnectionBounds(most, max(1, int(most * client_share)))


def raise_file_limit() -> None:
    """Let this process open as many files as its hard limit allows; the usual soft limit of 1024 is meant for `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = LARGEST_FILE_LIMIT if hard == resource.RLIM_INFINITY else min(hard, LARGEST_FILE_LIMIT)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
