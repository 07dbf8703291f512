"""Go on reading variables of the environment by their old names until version 0.3, with one warning."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache

RENAMED = {
    "VTT_ALLOW_OPEN": "VTT_ALLOW_UNAUTHENTICATED",
    "VTT_RESEND_SECONDS": "VTT_REQUEUE_AFTER_SECONDS",
    "VTT_SCAN_KERNELS=same-bytes": "VTT_SCAN_KERNELS=reproducible",
}
"""Old name -> new name, of a variable or of one value of a variable."""


def use_new_names(environment: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the environment with new names in place of old ones, and warn of the old ones once in this process.

    Args:
        environment: value by name in lower case. Where a variable is set by both names, the new one wins.
    """
    renamed = dict(environment)
    found = []
    for old, new in RENAMED.items():
        (old_name, _, old_value), (new_name, _, new_value) = old.partition("="), new.partition("=")
        value = renamed.get(old_name.lower())
        if value is not None and value == (old_value or value):
            del renamed[old_name.lower()]
            renamed.setdefault(new_name.lower(), new_value or value)
            found.append(f"{old} is now {new}")
    if found:
        _warn_once(f"{'; '.join(found)}. The old names work until version 0.3")
    return renamed


@lru_cache
def _warn_once(text: str) -> None:
    # Not structlog: settings are read before it is configured, and it would print to standard output then.
    logging.getLogger(__name__).warning(text)
