"""Write a job's progress for those who follow it, seldom enough to cost nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.infra.database import SessionFactory
from app.infra.leases import Lease, LeaseRepository
from vtt_core.contract.progress import StepReport

WRITES_PER_SECOND = 5.0
_log = structlog.get_logger(__name__)


class ProgressWriter:
    """Writes a step report at most five times a second, and always the last one.

    Args:
        session_factory: opens the database with the job's row.
        lease: the right to write that row.
        clock: returns the current time, for the row.
        stopwatch: returns monotonic seconds, to measure the pace.
        observe_step: called with the seconds of every step but the attempt's first, which includes warm-up.
    """

    def __init__(
        self,
        session_factory: SessionFactory,
        lease: Lease,
        clock: Callable[[], datetime],
        stopwatch: Callable[[], float],
        observe_step: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._session_factory = session_factory
        self._lease = lease
        self._clock = clock
        self._stopwatch = stopwatch
        self._observe_step = observe_step
        self._shown_at: float | None = None
        self._written_at: float | None = None
        self._first: tuple[int, float] | None = None
        """Step and time of this attempt's first report. The pace is measured from there, since warm-up comes before it."""

    def show(self, report: StepReport) -> bool:
        """Write the report if it is due.

        Returns:
            Whether the user wants the job cancelled, if this call has written.

        Raises:
            StaleLeaseError: the job is no longer this worker's.
        """
        elapsed = self._stopwatch()
        self._first = self._first or (report.step, elapsed)
        if self._shown_at is not None:
            self._observe_step(elapsed - self._shown_at)
        self._shown_at = elapsed
        is_due = self._written_at is None or elapsed - self._written_at >= 1 / WRITES_PER_SECOND
        if not is_due and report.step < report.num_steps:
            return False
        self._written_at = elapsed
        try:
            with self._session_factory.begin() as session:
                return LeaseRepository(session).report_progress(self._lease, report, self._seconds_left(report), self._clock())
        except SQLAlchemyError as error:
            _log.warning("progress_not_written", reason=str(error))
            return False

    def _seconds_left(self, report: StepReport) -> float | None:
        assert self._first is not None
        first_step, first_time = self._first
        if report.step == first_step:
            return None
        pace = (self._stopwatch() - first_time) / (report.step - first_step)
        return round(pace * (report.num_steps - report.step), 2)
