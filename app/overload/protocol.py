"""Add time limits and a limit on connections to uvicorn's HTTP protocol.

uvicorn limits only the time between two requests. This protocol also limits the time for the head of a request, for the rest
of a refused body, and for a client to read its answer. `body_pace.py` limits the time for other bodies.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from app.domain.errors import OverloadedError, RequestTooSlowError, TooManyAtOnceError
from app.error_handlers import ProblemResponse, headers_of, problem_of, status_of
from app.overload.connections import ConnectionTable
from app.overload.request_limit_middleware import address_group
from vtt_core.contract.errors import VttError


@dataclass(frozen=True)
class ConnectionTimes:
    """How slow a client may be, apart from the body of its request."""

    head_seconds: float
    """Time for the whole head, from the start of the connection or the first byte of a further request."""
    refused_body_seconds: float
    """Time in which the rest of a refused body is read and thrown away, so that its sender reads the answer."""
    answer_seconds: float
    """Time in which a client must read at least a part of a waiting answer."""
    answer_bytes_per_second: float
    """Size of that part: this rate over `answer_seconds`."""


class _Wait(Enum):
    """What an idle connection waits for."""

    HEAD = auto()
    REFUSED_BODY = auto()
    CLOSING = auto()


class GuardedProtocol(H11Protocol):
    """One connection; `make_protocol` sets the class attributes."""

    times: ConnectionTimes
    find_table: Callable[[], ConnectionTable]
    is_proxy: Callable[[str], bool]

    _wait: _Wait | None = None
    _wait_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept or refuse the connection."""
        super().connection_made(transport)
        self._table = type(self).find_table()
        address = self.client[0] if self.client else ""
        try:
            self._table.admit(self, None if type(self).is_proxy(address) else address_group(address))
        except (OverloadedError, TooManyAtOnceError) as error:
            self._refuse(error)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the table."""
        self._table.remove(self)
        for timer in (self._wait_timer, self._answer_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read data of the client."""
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        super().on_response_complete()
        self._watch()

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection after a long pause between two requests."""
        super().timeout_keep_alive_handler()
        self._watch()

    def pause_writing(self) -> None:
        """Start to time a client that does not keep up with reading its answer."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """Stop timing a client that has caught up."""
        super().resume_writing()
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None

    def make_room(self) -> None:
        """Close this idle connection to make room for another one."""
        self.transport.close()
        self._watch()

    def _watch(self) -> None:
        """Start or stop the timer for what the connection waits for."""
        wait = self._what_it_waits_for()
        self._table.note(self, is_waiting=self.cycle is None or self.cycle.response_complete)
        if wait is self._wait:
            return
        self._wait = wait
        if self._wait_timer is not None:
            self._wait_timer.cancel()
            self._wait_timer = None
        if wait is _Wait.CLOSING:
            self._await_reading()
        elif wait is not None:
            seconds = self.times.head_seconds if wait is _Wait.HEAD else self.times.refused_body_seconds
            self._wait_timer = self.loop.call_later(seconds, self._give_up)

    def _what_it_waits_for(self) -> _Wait | None:
        if self.transport.is_closing():
            return _Wait.CLOSING
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        if self.conn.their_state is h11.SEND_BODY:
            return _Wait.REFUSED_BODY
        is_first = self.cycle is None
        return _Wait.HEAD if is_first or self.conn.trailing_data[0] else None  # else uvicorn's own timer runs

    def _give_up(self) -> None:
        if self._wait is _Wait.HEAD and self.conn.trailing_data[0]:
            self._refuse(
                RequestTooSlowError(
                    expected=f"a complete request head within {self.times.head_seconds:g} s",
                    got=f"only {len(self.conn.trailing_data[0])} bytes of it",
                    remedy="Send the request again over a faster connection",
                )
            )
        self.transport.close()
        self._watch()

    def _refuse(self, error: VttError) -> None:
        """Send an error without a request, and close the connection."""
        response = ProblemResponse(problem_of(error), headers=headers_of(error) | {"Connection": "close"})
        status = HTTPStatus(status_of(type(error)))
        head = h11.Response(status_code=status, headers=response.raw_headers, reason=status.phrase.encode())
        for event in (head, h11.Data(data=bytes(response.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _await_reading(self) -> None:
        if self._answer_timer is None:
            size = _num_unread(self.transport)
            self._answer_timer = self.loop.call_later(self.times.answer_seconds, self._check_reading, size)

    def _check_reading(self, size_before: int) -> None:
        self._answer_timer = None
        num_read = size_before - _num_unread(self.transport)
        if num_read < self.times.answer_seconds * self.times.answer_bytes_per_second:
            self.transport.abort()
        else:
            self._await_reading()


def _num_unread(transport: asyncio.Transport) -> int:
    """Return how many bytes of answers the client's machine has not acknowledged.

    This includes the kernel's queue, which may hold megabytes and takes more only after a large part of it has been sent.
    """
    try:
        queued = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):  # the socket is closed, or the kernel does not support this
        queued = bytes(4)
    return transport.get_write_buffer_size() + int.from_bytes(queued, sys.byteorder)


def make_protocol(
    times: ConnectionTimes, find_table: Callable[[], ConnectionTable], is_proxy: Callable[[str], bool]
) -> type[GuardedProtocol]:
    """Return the protocol class of one server, for uvicorn.

    Args:
        times: how slow a client may be.
        find_table: returns the table of connections; called once the application has started.
        is_proxy: returns whether an address is that of a trusted proxy.
    """
    attributes = {"times": times, "find_table": staticmethod(find_table), "is_proxy": staticmethod(is_proxy)}
    return type("ServerProtocol", (GuardedProtocol,), attributes)
