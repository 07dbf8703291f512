"""Retry while the database, the store or the queue is away: an outage is no reason to give a job up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from app.infra.outages import OUTAGES

PAUSE_SECONDS = 0.5
_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class OutageRetry:
    """Retries an action during an outage, for a limited time.

    Args:
        seconds: how long to retry before the outage is raised.
        check: called between two tries. It may wait, and it raises if there is no point in going on.
    """

    seconds: float
    check: Callable[[], None]

    def wait_for(self, action: Callable[[], _T]) -> _T:
        """Return the result of the action, as soon as it succeeds.

        Args:
            action: must bear a second run, since an outage can hide that the first one succeeded.

        Raises:
            OUTAGES: the outage lasts. Also raises what the action and `check` raise.
        """
        deadline = time.monotonic() + self.seconds
        while True:
            try:
                return action()
            except OUTAGES as error:
                if time.monotonic() >= deadline:
                    raise
                _log.warning("waits_out_an_outage", reason=str(error)[:300])
            time.sleep(PAUSE_SECONDS)
            self.check()
