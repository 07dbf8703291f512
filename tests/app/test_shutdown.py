"""Who is asked to end knows it at once, and still ends."""

from __future__ import annotations

import signal
import threading

import pytest

from app.shutdown import noticing_shutdown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_sets_the_flag_and_reaches_the_handler_before(number: signal.Signals) -> None:
    reached: list[int] = []
    before = signal.signal(number, lambda number, frame: reached.append(number))
    try:
        stopping = threading.Event()
        with noticing_shutdown(stopping):
            assert not stopping.is_set()
            signal.raise_signal(number)
        assert stopping.is_set()
        assert reached == [number]
        signal.raise_signal(number)
        assert reached == [number, number]
    finally:
        signal.signal(number, before)


def test_another_thread_changes_no_handler() -> None:
    handlers: list[object] = []

    def enter() -> None:
        with noticing_shutdown(threading.Event()):
            handlers.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [before]
