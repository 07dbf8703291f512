"""Learn that the process is asked to end before the server waits for open requests."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noticing_shutdown(stopping: threading.Event) -> Iterator[None]:
    """Set the flag at SIGINT and SIGTERM, then call the handlers from before.

    The server waits for open requests before it ends the lifespan, and an event stream stays open for as long as its job
    runs; the flag ends it. Outside the main thread, where Python allows no handlers, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def notice(number: int, frame: FrameType | None) -> None:
        stopping.set()
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    for number in before:
        signal.signal(number, notice)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
