"""Time alternatives interleaved, in one process: each round calls all of them, so that a noisy machine disturbs all alike."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import torch

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
CPU = torch.device("cpu")
NUM_PEAKS = 3
"""Calls whose memory is looked at; it differs by what the allocator kept."""
RESET_PEAK = "5"
"""What Linux's clear_refs takes for: forget the highest memory so far."""


@dataclass(frozen=True)
class Spread:
    """The middle of some values, and where the middle half of them lies."""

    median: float
    lower: float
    upper: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        lower, _, upper = quantiles(values, n=4, method="inclusive")
        return cls(median(values), lower, upper)


def time_interleaved(
    alternatives: Mapping[str, Callable[[], object]], repeats: int, stopwatch: Callable[[], float]
) -> dict[str, list[float]]:
    """Return the seconds of every call, after one call of each that is not timed.

    Args:
        alternatives: what to call, by name.
        repeats: rounds; in each, every alternative is called once.
        stopwatch: gives monotonic seconds.
    """
    for call in alternatives.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(repeats):
        for name, call in alternatives.items():
            start = stopwatch()
            call()
            seconds[name].append(stopwatch() - start)
    return seconds


def ratio_of_rounds(numerators: Sequence[float], denominators: Sequence[float]) -> Spread:
    """Return the spread of the ratios of two alternatives' times, round by round."""
    return Spread.of([numerator / denominator for numerator, denominator in zip(numerators, denominators, strict=True)])


def peak_bytes(call: Callable[[], object], device: torch.device = CPU) -> int | None:
    """Return how far a call raises the memory in use over what is in use before: the median of a few calls.

    Args:
        call: what to call.
        device: whose memory counts; of a CPU, this process's.

    Returns:
        None where the system cannot tell.
    """
    peak_of_one = _cuda_peak if device.type == "cuda" else _process_peak
    peaks = [peak_of_one(call) for _ in range(NUM_PEAKS)]
    known = [peak for peak in peaks if peak is not None]
    return round(median(known)) if known else None


def _cuda_peak(call: Callable[[], object]) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    return torch.cuda.max_memory_allocated() - before


def _process_peak(call: Callable[[], object]) -> int | None:
    if not CLEAR_REFS.exists():
        return None
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    CLEAR_REFS.write_text(RESET_PEAK)
    before = _status_bytes("VmRSS")
    call()
    return _status_bytes("VmHWM") - before


def _status_bytes(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024
