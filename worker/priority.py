"""Let everything else on the machine go first: a job may use all cores, and a prediction still does not wait for it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

NICENESS = 10
"""Of a worker; 0 is usual, 19 the lowest priority. Source: nice(2)."""
AUTOGROUP = Path("/proc/self/autogroup")
"""Niceness of the session, where Linux shares the cores between sessions first. Source: sched(7), "The autogroup feature"."""


def yield_to_others() -> None:
    """Lower the priority of this process and of the threads that it starts, where the system allows it."""
    with suppress(OSError):
        os.nice(NICENESS)
    with suppress(OSError):
        AUTOGROUP.write_text(str(NICENESS), encoding="ascii")
