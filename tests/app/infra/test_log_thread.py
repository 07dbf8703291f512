"""What is logged on the event loop is written elsewhere, in order, and never without bound."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from app.infra import log_thread
from app.infra.log_thread import LogThreadHandler


class SlowWriter(logging.Handler):
    """Stands still until it is told to go on, as a terminal that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.threads: set[int] = set()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.go_on.wait(240)
        self.threads.add(threading.get_ident())
        self.messages.append(record.getMessage())


@pytest.fixture
def writer() -> SlowWriter:
    return SlowWriter()


@pytest.fixture
def handler(writer: SlowWriter, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogThreadHandler]:
    monkeypatch.setattr(log_thread, "MAX_WAITING", 5)
    handler = LogThreadHandler(writer)
    yield handler
    writer.go_on.set()
    handler.close()


def log(handler: LogThreadHandler, message: str) -> None:
    handler.handle(logging.LogRecord("a", logging.INFO, __file__, 1, message, None, None))


def test_a_blocked_writer_blocks_no_other_thread_and_memory_stays_bounded(
    handler: LogThreadHandler, writer: SlowWriter
) -> None:
    for number in range(100):
        log(handler, str(number))
    assert handler.num_dropped >= 100 - 5 - 1
    writer.go_on.set()
    handler.flush()
    assert writer.messages[:5] == ["0", "1", "2", "3", "4"]
    assert threading.get_ident() not in writer.threads


def test_a_line_says_how_many_records_were_dropped(handler: LogThreadHandler, writer: SlowWriter) -> None:
    for number in range(100):
        log(handler, str(number))
    num_dropped = handler.num_dropped
    writer.go_on.set()
    handler.close()
    handler.close()
    assert writer.messages[-1] == f"{num_dropped} log records were dropped: the log is read too slowly"
    assert sum("dropped" in message for message in writer.messages) == 1


def test_a_log_that_nobody_reads_does_not_keep_the_process_from_ending(
    handler: LogThreadHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_thread, "CLOSE_SECONDS", 0.05)
    for number in range(100):
        log(handler, str(number))
    closing = threading.Thread(target=handler.close)
    closing.start()
    closing.join(60)
    assert not closing.is_alive()


def test_closing_writes_the_waiting_records(handler: LogThreadHandler, writer: SlowWriter) -> None:
    log(handler, "last words")
    writer.go_on.set()
    handler.close()
    assert writer.messages == ["last words"]
