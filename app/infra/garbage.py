"""Keep Python's garbage collector from looking again and again at what a process imports.

Modules stay until the process ends. While torch is imported, a full collection comes each time that there are a quarter more
objects than before. It looks at all of them, in the end for a tenth of a second; the last one is made when the process ends.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence
from types import ModuleType

_OLDEST = 2
"""Generation of a full collection."""


class _Sparing:
    """Is asked for every module before it is imported, and finds none.

    A callback of the collector would see each collection, but what a signal raises in one is lost, Ctrl-C too.
    """

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Take what there is out of all collections, if the next full one is near."""
        if gc.get_count()[_OLDEST] >= gc.get_threshold()[_OLDEST] - 1:
            gc.freeze()


def spare_imports() -> None:
    """Let full collections that come in the middle of imports skip what was there before."""
    if _Sparing not in sys.meta_path:
        sys.meta_path.insert(0, _Sparing)
        atexit.register(_look_at_the_end)


def spare_what_is_there() -> None:
    """Let collections skip what a program has made up to now, such as a backbone; without `spare_imports` it does nothing."""
    if _Sparing in sys.meta_path:
        gc.freeze()


def _look_at_the_end() -> None:
    """Let the last collection look at everything, if what it leaves would be reported as leaks: by Triton, with nanobind."""
    if "triton" in sys.modules:
        gc.unfreeze()
