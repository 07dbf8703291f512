"""End a command cleanly at Ctrl-C: one line, exit code 130, no traceback, and no file that is half written.

`main` listens for SIGINT; a command that starts processes also listens for the signals with which others end it. `vtt up`,
`vtt api` and `vtt worker` have handlers of their own: for them a signal is the usual end.

A signal that comes in the middle of an import waits for its end. Where torch calls Python while it is loaded, an exception
aborts the process; and of a torch that is half loaded, Python may crash when it ends.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from app.cli.console import stderr_console

SIGNAL_EXIT = 128
"""Exit code of a process that a signal ended, less the number of the signal."""
_SECONDS_BETWEEN_LOOKS = 0.05
"""How often to look whether an import has ended."""


class _Signals:
    """What came in this process; handlers have no other place to leave it."""

    came: int | None = None
    is_held_back = False


def end_on(*numbers: int) -> None:
    """Raise KeyboardInterrupt from now on when one of these signals comes, through every `finally`."""
    signal.signal(signal.SIGALRM, _look_again)
    for number in numbers:
        signal.signal(number, _interrupt)


def end_on_ctrl_c() -> None:
    """Do so for SIGINT, unless whoever started the command wants it ignored, as shells do in the background."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        end_on(signal.SIGINT)


def end_at_once() -> None:
    """Let Ctrl-C end the process from now on. While Python ends, an exception would be printed as a traceback."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def held_back() -> Iterator[None]:
    """Let a signal wait until the block has ended, so that what is written in it is whole."""
    _Signals.is_held_back = True
    try:
        yield
    finally:
        _Signals.is_held_back = False
    if _Signals.came is not None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt


def exit_code_of_signal() -> int | None:
    """Return the exit code if a signal came, and say so in one line; None if none came."""
    if _Signals.came is None:
        return None
    # A second one while Python ends would print a traceback.
    signal.signal(_Signals.came, signal.SIG_DFL)
    name = "Ctrl-C" if _Signals.came == signal.SIGINT else signal.Signals(_Signals.came).name
    stderr_console().print(f"stopped by {name}", style="yellow", markup=False)
    return SIGNAL_EXIT + _Signals.came


def _interrupt(number: int, frame: FrameType | None) -> None:
    _Signals.came = number
    is_importing = _is_importing(frame)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS_BETWEEN_LOOKS if is_importing else 0)
    if not (is_importing or _Signals.is_held_back):
        raise KeyboardInterrupt


def _look_again(number: int, frame: FrameType | None) -> None:
    if _Signals.came is not None:
        _interrupt(_Signals.came, frame)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False
