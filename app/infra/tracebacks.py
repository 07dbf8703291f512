"""Format a traceback that fits on a page and contains no values.

Values of variables can be keys, images or whole request bodies, so they are left out.
"""

from __future__ import annotations

import traceback
from types import TracebackType

MAX_LINES = 60
"""Lines of a traceback together with all its causes."""
MAX_LINE_CHARACTERS = 300
"""Characters of a line; an error message can be as long as what a user sent."""
_FIRST_LINES = 12
"""If lines are left out, this many stay at the top, with the first cause, and the others at the end, with the last error."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def format_page(exc_info: ExcInfo) -> str:
    """Return the traceback of an exception and its causes, at most a page long.

    Args:
        exc_info: as returned by `sys.exc_info()`.
    """
    trace = traceback.TracebackException(*exc_info, limit=-MAX_LINES, capture_locals=False, compact=True)
    lines = [_shorten(line) for block in trace.format() for line in block.splitlines()]
    if len(lines) > MAX_LINES:
        num_last = MAX_LINES - _FIRST_LINES - 1
        num_left_out = len(lines) - _FIRST_LINES - num_last
        lines = [*lines[:_FIRST_LINES], f"  ... {num_left_out} lines left out ...", *lines[-num_last:]]
    return "\n".join(lines)


def _shorten(line: str) -> str:
    return line if len(line) <= MAX_LINE_CHARACTERS else f"{line[: MAX_LINE_CHARACTERS - 3]}..."
