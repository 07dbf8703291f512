"""Keep Python's garbage collector from looking again and again at what a process imports.

Modules stay until the process ends. While torch is imported, a full collection comes each time that there are a quarter more
objects than before. It looks at all of them, in the end for a tenth of a second; the last one is made when the process ends.
"""

from __future__ import annotations

import atexit
import gc
import sys
from typing import Any

_IMPORT = "_find_and_load"
"""Function of Python's import system that is on the stack while a module is imported."""
_OLDEST = 2
"""Generation of a full collection."""


def spare_imports() -> None:
    """Let full collections skip what is there when one comes in the middle of an import, and what is left at the end."""
    if _skip_in_import not in gc.callbacks:
        gc.callbacks.append(_skip_in_import)
        atexit.register(_skip_at_end)


def _skip_at_end() -> None:
    """Let the last collection find nothing, unless a package takes what is left for leaks."""
    # Triton is written with nanobind, which then prints a page of them.
    if "triton" in sys.modules:
        gc.unfreeze()
    else:
        gc.freeze()


def _skip_in_import(phase: str, facts: dict[str, Any]) -> None:
    """Take what there is out of a collection that an import has set off."""
    if phase != "start" or facts["generation"] < _OLDEST:
        return
    frame = sys._getframe()  # noqa: SLF001 - the way to walk a stack, which is as public as it is old
    while frame is not None:
        if frame.f_code.co_name == _IMPORT:
            gc.freeze()
            return
        frame = frame.f_back  # type: ignore[assignment]
