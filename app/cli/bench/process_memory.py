"""Record the memory of a service's processes while it is under load."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import psutil

Sample = tuple[float, dict[str, float]]
"""Seconds since the start, and MB by process name."""
COMMANDS = ("api", "worker", "up")
"""Subcommands of `vtt`, by which its processes are named."""
MODULES = {"worker": "worker", "app.cli.api": "api"}
"""What `vtt up` starts, and the names of these processes."""
MODULE_FLAG = "-m"
RESIDENT = re.compile(r"^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


class MemoryCurve:
    """Samples of resident memory, by process.

    Args:
        pid: of `vtt up` on this machine, for it and all its children; None for the process that answers, by its `/metrics`.
        url: of the service.
        headers: of requests to it.
    """

    def __init__(self, pid: int | None, url: str, headers: dict[str, str]) -> None:
        self._pid = pid
        self._url = f"{url.rstrip('/')}/metrics"
        self._headers = headers
        self.samples: list[Sample] = []

    def look(self, seconds: float) -> None:
        """Take a sample; processes that end meanwhile are left out.

        Args:
            seconds: since the start.
        """
        megabytes = self._from_metrics() if self._pid is None else _of_processes(self._pid)
        if megabytes:
            self.samples.append((seconds, megabytes))

    def growth(self) -> dict[str, dict[str, float]]:
        """Return for each process its first and last MB, the means of the second and the last quarter, and MB an hour.

        The slope is that of a straight line through the second half, when caches are warm.
        """
        return {name: _growth(*_series(self.samples, name)) for name in _names(self.samples)}

    def _from_metrics(self) -> dict[str, float]:
        try:
            found = RESIDENT.search(httpx2.get(self._url, headers=self._headers, timeout=10.0, trust_env=False).text)
        except httpx2.HTTPError:
            return {}
        return {"api": float(found[1]) / 1e6} if found else {}


def _of_processes(pid: int) -> dict[str, float]:
    """Return the MB of a process and all its children, summed by name."""
    megabytes: defaultdict[str, float] = defaultdict(float)
    try:
        top = psutil.Process(pid)
        processes = [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return {}
    for process in processes:
        try:
            megabytes[process_name(process.cmdline())] += process.memory_info().rss / 1e6
        except psutil.Error:
            continue
    return dict(megabytes)


def process_name(command: list[str]) -> str:
    """Return the name of a process of the service, from its command line."""
    module = command[command.index(MODULE_FLAG) + 1 :][:1] if MODULE_FLAG in command else []
    if module and module[0] in MODULES:
        return MODULES[module[0]]
    named = [part for part in command[1:] if part in COMMANDS]
    return named[0] if named else Path(command[0].split(" ")[0]).name if command else "?"


def _names(samples: list[Sample]) -> list[str]:
    return sorted({name for _, megabytes in samples for name in megabytes})


def _series(samples: list[Sample], name: str) -> tuple[list[float], list[float]]:
    taken = [(seconds, megabytes[name]) for seconds, megabytes in samples if name in megabytes]
    return [seconds for seconds, _ in taken], [value for _, value in taken]


def _growth(seconds: list[float], megabytes: list[float]) -> dict[str, float]:
    values, number = np.array(megabytes), len(megabytes)
    half = number // 2
    is_line = len(set(seconds[half:])) > 1
    slope = float(np.polyfit(np.array(seconds[half:]) / 3600, values[half:], 1)[0]) if is_line else 0.0
    return {
        "first_mb": megabytes[0],
        "last_mb": megabytes[-1],
        "highest_mb": float(values.max()),
        "second_quarter_mb": float(values[number // 4 : max(half, number // 4 + 1)].mean()),
        "last_quarter_mb": float(values[number - max(1, number // 4) :].mean()),
        "mb_an_hour": slope,
    }


def memory_json(curve: MemoryCurve) -> dict[str, Any]:
    """Return the samples and the growth."""
    return {"curve": [[seconds, megabytes] for seconds, megabytes in curve.samples], "growth": curve.growth()}
