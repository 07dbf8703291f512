"""Run one attempt at a job, a chunk of a batch or an export, write how it ended, and count it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog
import torch
from sqlalchemy.orm import Session

from app.domain.errors import DiskFullError, StaleLeaseError
from app.infra.outages import OUTAGES
from vtt_core.contract.errors import VttError
from worker.context import WorkerContext
from worker.failures import crashed, out_of_memory
from worker.heartbeat import Held, StopRequestedError
from worker.metrics import AttemptMetrics, Outcome
from worker.outage_retry import OutageRetry

_T = TypeVar("_T")
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Endings:
    """How a kind of work writes that an attempt did not get to its own end."""

    fail: Callable[[VttError], object]
    """Ends the work with an error that every attempt would meet."""
    give_back: Callable[[VttError | None], object]
    """Gives the lease up, so that the work is tried again. With a reason the attempt counts; the last one ends the work."""
    counts_full_disk: bool = False
    """Whether a full disk counts as an attempt: the work may be what does not fit, and then no wait would end."""


def settle(
    context: WorkerContext, lease: Held, counts: AttemptMetrics, run: Callable[[], Outcome], endings: Endings
) -> Outcome:
    """Make an attempt and return how it ended; this is the only place where errors become states.

    Args:
        context: connections and state of this process.
        lease: the work that this process holds.
        counts: where the attempt is counted.
        run: does the work and writes its own end.
        endings: write the other ends.

    Raises:
        OUTAGES: the end could not be written for the time of a lease; the reaper will send the work again.
    """
    context.job_ids.append(lease.work_id)
    try:
        with counts.attempt() as attempt:
            try:
                attempt.outcome = _run(run, endings, context.backbones.device)
            except StaleLeaseError:
                attempt.outcome = Outcome.LEASE_LOST
                _log.warning("lease_lost")
        return attempt.outcome
    finally:
        context.job_ids.remove(lease.work_id)


def _run(run: Callable[[], Outcome], endings: Endings, device: str) -> Outcome:
    try:
        return run()
    except StaleLeaseError:
        raise
    except StopRequestedError:
        _log.info("handed_back")
        endings.give_back(None)
        return Outcome.REQUEUED
    except OUTAGES as error:
        # The work did not cause the outage, and another worker may not have it: the attempt does not count.
        _log.warning("handed_back_in_an_outage", reason=str(error)[:300])
        endings.give_back(error if endings.counts_full_disk and isinstance(error, DiskFullError) else None)
        return Outcome.REQUEUED
    except VttError as error:
        _log.warning("failed", code=error.code, reason=str(error))
        endings.fail(error)
        return Outcome.FAILED
    except (MemoryError, torch.OutOfMemoryError) as error:
        _log.exception("out_of_memory")
        endings.give_back(out_of_memory(error, device))
        return Outcome.CRASHED
    except Exception as error:
        _log.exception("crashed")
        endings.give_back(crashed(error))
        return Outcome.CRASHED


def transact(context: WorkerContext, action: Callable[[Session], _T]) -> _T:
    """Return what an action does in a transaction of its own, outside a heartbeat.

    In an outage it is tried again for the time of a lease, after which the reaper takes the work.
    """

    def once() -> _T:
        with context.session_factory.begin() as session:
            return action(session)

    return OutageRetry(context.settings.lease_seconds, lambda: None).wait_for(once)
