"""Where numba keeps compiled loops on disk, and when it compiles them anew: also after a change of a file of helpers.

By itself, numba looks at the file of the loop alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numba.core import caching

HELPERS = tuple(sorted(Path(__file__).parent.glob("*.py")))
"""Files that loops take helpers from."""


class _Stamped:
    """Adds the helpers' files to what a cached loop must agree with."""

    def get_source_stamp(self) -> Any:
        """Return times of change and sizes, of the loop's file first."""
        facts = [path.stat() for path in HELPERS]
        return super().get_source_stamp(), *((one.st_mtime, one.st_size) for one in facts)  # type: ignore[misc]


class Named(_Stamped, caching.UserProvidedCacheLocator):
    """In the folder that NUMBA_CACHE_DIR names."""


class InTree(_Stamped, caching.InTreeCacheLocator):
    """Beside the file."""


class UserWide(_Stamped, caching.UserWideCacheLocator):
    """In the user's cache folder."""


LOCATORS = ",".join(f"{__name__}.{locator.__name__}" for locator in (Named, InTree, UserWide))
"""As `numba.config.CACHE_LOCATOR_CLASSES` wants them. The first that can be written is used."""
