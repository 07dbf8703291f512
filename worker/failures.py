"""Say what ended an attempt that should not have ended so."""

from __future__ import annotations

from app.domain.errors import JobCrashedError, OutOfMemoryError


def out_of_memory(error: BaseException, device: str) -> OutOfMemoryError:
    """Return the error for a device or machine with too little memory."""
    return OutOfMemoryError(
        expected=f"enough memory on {device!r}",
        got=str(error)[:500] or type(error).__name__,
        remedy="Use a smaller backbone or batch_size (VTT_BATCH_MAX_IMAGES for predictions), or a device with more memory",
    )


def crashed(error: Exception) -> JobCrashedError:
    """Return the error for something that nobody foresaw."""
    return JobCrashedError(
        expected="an attempt without an unexpected error",
        got=f"{type(error).__name__}: {str(error)[:500]}",
        remedy="Find its id in the worker's log and report the error",
    )
