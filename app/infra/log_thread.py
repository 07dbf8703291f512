"""Write the log in a thread of its own, so that a slow terminal or a long traceback never blocks the event loop."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
from contextlib import suppress

import structlog
from structlog.typing import EventDict, WrappedLogger

MAX_WAITING = 10_000
"""Records that may wait for the thread. More are dropped and counted, so that memory stays bounded if nobody reads the log."""
CLOSE_SECONDS = 5.0
"""How long an ending process waits for the log to be written."""


class LogThreadHandler(logging.Handler):
    """Passes records to a thread that writes them.

    The standard library's QueueHandler and QueueListener do not fit: they format a traceback in the calling thread, and they
    cannot be stopped while their queue is full.

    Args:
        writer: formats and writes a record.
    """

    def __init__(self, writer: logging.Handler) -> None:
        super().__init__()
        self.writer = writer
        self.num_dropped = 0
        """Records that were dropped since the last line about dropped records."""
        self._waiting: queue.Queue[logging.LogRecord | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record with the context of its request, or drop it if the queue is full."""
        record.bound_context = structlog.contextvars.get_contextvars()
        try:
            self._waiting.put_nowait(record)
        except queue.Full:
            self.num_dropped += 1

    def flush(self) -> None:
        """Wait until all records so far are written."""
        if self._thread.is_alive():
            self._waiting.join()
        self.writer.flush()

    def close(self) -> None:
        """Write the waiting records and end the thread; closing again does nothing."""
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
    """Add the context of the thread that made the record, which the writing thread does not have."""
    record = event.get("_record")
    return {**getattr(record, "bound_context", {}), **event}
