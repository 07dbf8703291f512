"""Write the log in a thread of its own, so that a slow terminal or a long traceback never holds up the event loop."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
from contextlib import suppress

import structlog
from structlog.typing import EventDict, WrappedLogger

MAX_WAITING = 10_000
"""Records that wait for the thread. More are dropped and counted: memory stays bounded where nobody reads the log."""
CLOSE_SECONDS = 5.0
"""How long the end of the process waits for a log that nobody reads."""


class LogThreadHandler(logging.Handler):
    """Hands records to a thread that writes them.

    Differs from the standard library's QueueHandler and QueueListener: these format a traceback before they hand it
    on, and cannot be stopped while their queue is full.

    Args:
        writer: formats and writes a record.
    """

    def __init__(self, writer: logging.Handler) -> None:
        super().__init__()
        self.writer = writer
        self.num_dropped = 0
        """Records that found no room, and that no line has told of yet."""
        self._waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record with the context of its request, or drop it where the queue is full."""
        record.bound_context = structlog.contextvars.get_contextvars()
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self.num_dropped += 1

    def flush(self) -> None:
        """Wait until everything that came so far is written."""
        if self._thread.is_alive():
            self._waiting.join()
        self.writer.flush()

    def close(self) -> None:
        """Write what waits and end the thread; closing again does nothing."""
        atexit.unregister(self.close)
        if self._thread.is_alive():
            with suppress(queue.Full):
                self._waiting.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)
        super().close()

    def _write(self) -> None:
        while (record := self._waiting.get()) is not None:
            self.writer.handle(record)
            if self.num_dropped and self._waiting.empty():
                self._tell_of_dropped()
            self._waiting.task_done()

    def _tell_of_dropped(self) -> None:
        message, self.num_dropped = f"{self.num_dropped} log records were dropped: the log is read too slowly", 0
        self.writer.handle(logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None))


def add_bound_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what was bound where the record was made; the thread that writes has no such context."""
    record = event.get("_record")
    return {**getattr(record, "bound_context", {}), **event}
