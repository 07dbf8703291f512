"""Count the processor cores that this process may use, within the quota of its container.

Source: Linux, Documentation/admin-guide/cgroup-v2.rst (`cpu.max`); cgroup-v1 `cpu.cfs_quota_us`; `sched_setaffinity(2)`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def usable_cores(root: Path = ROOT) -> int:
    """Return how many cores this process may use, at least 1.

    The minimum of its affinity and the quotas of its control groups, rounded down: with more threads than the quota, the
    others only wait.

    Args:
        root: folder of `proc` and `sys`.
    """
    quotas = [int(quota) for quota in _quotas(root)]
    return max(1, min([_affinity(), *quotas]))


def shared_cores() -> int:
    """Return half of the usable cores, at least 1, for each of two processes that compute at the same time."""
    return max(1, usable_cores() // 2)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quota, in cores, of every control group that this process is in."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            for folder in _upwards(root / "sys/fs/cgroup", path):
                quota, _, period = _read(folder / "cpu.max").partition(" ")
                yield from _cores(quota, period)
        elif "cpu" in controllers.split(","):
            for folder in _upwards(root / "sys/fs/cgroup" / controllers, path):
                yield from _cores(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a control group and of each one above it; in a container, only the highest may be visible."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:length])


def _cores(quota: str, period: str) -> Iterator[float]:
    if quota.strip().isdecimal() and period.strip().isdecimal() and int(period):  # else `max`, -1 or no such file
        yield int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
