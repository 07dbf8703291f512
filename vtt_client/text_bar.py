"""A progress bar of text, for whoever has no other."""

from __future__ import annotations

import sys
from typing import TextIO

WIDTH = 30


class TextBar:
    """A bar on standard error; give it to `progress=`. Where that is no terminal, it writes only the end.

    Args:
        title: before the bar.
        stream: None for standard error.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title, self._stream = title, stream or sys.stderr

    def __call__(self, done: int, total: int) -> None:
        """Show how much is done."""
        is_end = done >= total
        if not is_end and not self._stream.isatty():
            return
        share = done / total if total else 1.0
        bar = "#" * round(WIDTH * share)
        begin = "\r" if self._stream.isatty() else ""
        self._stream.write(f"{begin}{self._title} [{bar:<{WIDTH}}] {100 * share:3.0f} %" + ("\n" if is_end else ""))
        self._stream.flush()
