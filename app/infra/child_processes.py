"""End child processes together with their parent, even when it is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

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
