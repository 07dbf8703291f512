"""Summarise the outcomes of `vtt bench load`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.cli.bench.load_run import PROBES, Outcome

REFUSALS = (429, 503)
"""Statuses that ask a client to try again later."""
PERCENTILES = (50, 95, 99)


def sum_up(outcomes: Sequence[Outcome], elapsed_seconds: float) -> dict[str, Any]:
    """Return rates, latencies by kind, errors and refusals; requests to health endpoints appear only among the kinds.

    Args:
        outcomes: of all requests.
        elapsed_seconds: from the first request to the last answer.
    """
    asked = [outcome for outcome in outcomes if outcome.kind not in PROBES]
    kinds = sorted({outcome.kind for outcome in outcomes})
    return {
        "elapsed_seconds": elapsed_seconds,
        "requests": len(asked),
        "requests_per_second": len(asked) / elapsed_seconds,
        "accepted_per_second": sum(outcome.is_accepted for outcome in asked) / elapsed_seconds,
        "accepted_ms": _latencies([outcome for outcome in asked if outcome.is_accepted]),
        "statuses": _statuses(asked),
        "failures": dict(Counter(outcome.failure for outcome in outcomes if outcome.failure)),
        "refusals": _refusals(asked),
        "kinds": {kind: _of_kind([outcome for outcome in outcomes if outcome.kind == kind]) for kind in kinds},
    }


def _of_kind(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "requests": len(outcomes),
        "statuses": _statuses(outcomes),
        "accepted_ms": _latencies([outcome for outcome in outcomes if outcome.is_accepted]),
        "other_ms": _latencies([outcome for outcome in outcomes if not outcome.is_accepted]),
    }


def _statuses(outcomes: Sequence[Outcome]) -> dict[str, int]:
    return {str(status): number for status, number in sorted(Counter(outcome.status for outcome in outcomes).items())}


def _latencies(outcomes: Sequence[Outcome]) -> dict[str, float] | None:
    if not outcomes:
        return None
    milliseconds = 1e3 * np.array([outcome.seconds for outcome in outcomes])
    values = np.percentile(milliseconds, PERCENTILES)
    figures = {f"p{number}": float(value) for number, value in zip(PERCENTILES, values, strict=True)}
    return figures | {"max": float(milliseconds.max())}


def _refusals(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    refused = [outcome for outcome in outcomes if outcome.status in REFUSALS]
    waits = [float(outcome.retry_after) for outcome in refused if outcome.retry_after.isdecimal()]
    return {
        "share": len(refused) / max(1, len(outcomes)),
        "number": len(refused),
        "with_retry_after": len(waits),
        "retry_after_seconds": [min(waits), max(waits)] if waits else None,
    }
