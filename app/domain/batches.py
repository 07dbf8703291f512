"""Define batches: many images that a model predicts in the background, chunk by chunk.

queued ──claim──> running ──last chunk──> succeeded
  │                  ├──> failed
  └──> cancelled <───┘

A worker claims a batch for one chunk. Between two chunks a running batch has no holder, and any worker may go on with it.
"""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Any

from vtt_core.contract.errors import VttError
from vtt_core.contract.serving import Prediction

CHUNK_IMAGES = 64
"""Images of a chunk: a worker does nothing else while it predicts them, and repeats at most that many."""
MINI_CHUNK_IMAGES = 256
"""The same on `mini`, which takes less than a second for so many on two cores. Between two chunks pass 10 ms."""
CHUNK_BYTES = 16 * 2**20
"""Bytes of the images of a chunk, which are in memory together; the last image may reach beyond."""
MAX_CHUNK_ATTEMPTS = 3
"""Attempts at one chunk after which a batch fails that has crashed or lost its worker every time."""
ANSWERED, REFUSED = 200, 422


class BatchState(StrEnum):
    """State of a batch."""

    RECEIVING = "receiving"
    """Its images are being stored; nobody sees it yet."""
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the batch has ended."""
        return self in FINAL_BATCH_STATES


FINAL_BATCH_STATES = frozenset({BatchState.SUCCEEDED, BatchState.FAILED, BatchState.CANCELLED})
OPEN_BATCH_STATES = frozenset({BatchState.QUEUED, BatchState.RUNNING})
"""States in which a worker may claim the batch."""


def answered_row(file: str, prediction: Prediction) -> dict[str, Any]:
    """Return the result of an image that was classified."""
    return {"file": file, "status": ANSWERED, "label": next(iter(prediction.probabilities)), **asdict(prediction)}


def refused_row(file: str, error: VttError) -> dict[str, Any]:
    """Return the result of an image that could not be used."""
    facts = {"code": error.code, "expected": error.expected, "got": error.got, "remedy": error.remedy}
    return {"file": file, "status": REFUSED, **facts}
