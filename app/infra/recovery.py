"""Send batches and exports to the workers again that were lost on the way; the reaper does the same for jobs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy.orm import Session

from app.domain.messages import BatchMessage, ExportMessage
from app.infra.batch_leases import BatchLeases
from app.infra.database import SessionFactory
from app.infra.export_leases import ExportLeases
from app.infra.outbox import send_after_commit
from app.infra.queue import JobQueue

_log = structlog.get_logger(__name__)


class Leases(Protocol):
    """The rows of one kind of work."""

    def release_expired(self, now: datetime) -> list[str]:
        """Take work from workers whose lease has expired; return the ids of what needs a message."""

    def waiting(self) -> int:
        """Return how much needs a worker; each has a message in the queue unless it got lost."""

    def unsent(self, now: datetime, after_seconds: float) -> list[str]:
        """Return what waits and whose last message is older than `after_seconds`, and note a new one."""


@dataclass(frozen=True)
class Work:
    """A kind of work that workers hold by a lease."""

    leases: Callable[[Session], Leases]
    message: type[BatchMessage] | type[ExportMessage]


BATCHES, EXPORTS = Work(BatchLeases, BatchMessage), Work(ExportLeases, ExportMessage)


def release_expired_work(work: Work, session_factory: SessionFactory, queue: JobQueue, now: datetime) -> list[str]:
    """Send work again whose lease has expired or whose wait is over, and return its ids; Redis need not answer."""
    with session_factory.begin() as session:
        released = work.leases(session).release_expired(now)
        for work_id in released:
            _log.info("released", work_id=work_id)
            send_after_commit(session, queue, work.message(work_id))
    return released


def resend_vanished_work(
    work: Work, session_factory: SessionFactory, queue: JobQueue, now: datetime, after_seconds: float
) -> list[str]:
    """Resend the lost messages of waiting work and return its ids; raises QueueUnavailableError."""
    depth = queue.depth(work.message.queue_name)
    with session_factory.begin() as session:
        leases = work.leases(session)
        vanished = leases.unsent(now, after_seconds) if depth < leases.waiting() else []
        for work_id in vanished:
            _log.warning("message_vanished", work_id=work_id)
            send_after_commit(session, queue, work.message(work_id))
    return vanished
