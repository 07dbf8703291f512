"""Define exports: a model in a form that other programs read, made once in the background.

queued ──claim──> running ──> succeeded
                     └──> failed ──asked for again──> queued
"""

from __future__ import annotations

from enum import StrEnum

MAX_EXPORT_ATTEMPTS = 3
"""Attempts after which an export fails that has crashed, lost its worker or found the disk full every time."""


class ExportState(StrEnum):
    """State of an export."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


OPEN_EXPORT_STATES = frozenset({ExportState.QUEUED, ExportState.RUNNING})
"""States in which a worker may claim the export."""
