"""Try again while the database, the store or the queue is away: nobody's fault, and no reason to give a job up."""

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
    """How long to wait for what is away, and when to stop waiting earlier.

    Args:
        seconds: after which the outage is raised.
        check: is called between two tries, and raises what makes waiting useless; it may itself wait.
    """

    seconds: float
    check: Callable[[], None]

    def wait_for(self, action: Callable[[], _T]) -> _T:
        """Return what the action gives, as soon as it can be done.

        Args:
            action: may be done twice, since an outage can hide that it went well.

        Raises:
            OUTAGES: it is still away; besides, what action and `check` raise.
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
