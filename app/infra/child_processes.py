"""End child processes together with their parent, even when it is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends when the thread that started the process ends."""


def die_with_parent() -> Callable[[], None] | None:
    """Return the function that a child runs before its program (`preexec_fn`), or None on systems other than Linux.

    Start the child from the main thread: for the kernel, the parent ends when the thread that started the child ends.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Loaded before the fork, since only a few calls are safe between fork and exec.
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


AUTOGROUP = Path("/proc/self/autogroup")
"""Niceness of a session, where Linux shares the cores between sessions first. Source: sched(7), "The autogroup feature"."""


def yielding(niceness: int, before: Callable[[], None] | None) -> Callable[[], None]:
    """Return the function that a child runs before its program, so that other processes on the machine go first.

    Args:
        niceness: above 0 yields; 19 is the most. Source: nice(2).
        before: what the child runs before that.
    """

    def lower_priority() -> None:
        if before is not None:
            before()
        with suppress(OSError):
            os.nice(niceness)
        with suppress(OSError):
            AUTOGROUP.write_text(str(niceness), encoding="ascii")

    return lower_priority
