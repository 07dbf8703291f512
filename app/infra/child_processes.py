"""Let child processes end with their parent, even when it is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends when the thread that started the process ends."""


def die_with_parent() -> Callable[[], None] | None:
    """Return what a child runs before its program (`preexec_fn`), or None where the system has no such thing.

    Start the child from the main thread: the kernel counts the end of the starting thread as the parent's.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Loaded here, not in the child: between fork and exec only a few calls are safe.
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel
