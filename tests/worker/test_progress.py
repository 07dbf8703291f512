from collections.abc import Callable

import pytest
from sqlalchemy.exc import OperationalError

from app.domain.errors import StaleLeaseError
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.tables import JobRow
from tests.worker.conftest import add_job
from vtt_core.contract.progress import StepReport
from worker.context import WorkerContext
from worker.progress import ProgressWriter


def report(step: int, num_steps: int = 100) -> StepReport:
    return StepReport(step, num_steps, 1.0, None, None, False, 3)


@pytest.fixture
def lease(context: WorkerContext) -> Lease:
    job_id = add_job(context.session_factory)
    with context.session_factory.begin() as session:
        held = LeaseRepository(session).claim(job_id, "worker-1", 30, utc_now())
    assert held is not None
    return held


@pytest.fixture
def seconds() -> list[float]:
    """A stopwatch that the test moves: its last entry is the time."""
    return [0.0]


@pytest.fixture
def writer(context: WorkerContext, lease: Lease, seconds: list[float]) -> ProgressWriter:
    return ProgressWriter(context.session_factory, lease, context.clock, lambda: seconds[-1])


def shown_steps(context: WorkerContext, lease: Lease) -> list[int]:
    with context.session_factory() as session:
        events = JobRepository(session).events_after(lease.job_id, 0)
    return [event.payload["step"] for event in events if event.kind == "progress"]


def test_many_steps_a_second_cost_few_writes_and_the_last_is_shown(
    context: WorkerContext, lease: Lease, writer: ProgressWriter, seconds: list[float]
) -> None:
    for step in range(1, 101):
        seconds.append(step / 100)
        writer.show(report(step))
    shown = shown_steps(context, lease)
    assert (shown[0], shown[-1]) == (1, 100)
    assert len(shown) <= 7


def test_the_time_left_follows_the_pace_without_the_first_step(
    lease: Lease, writer: ProgressWriter, seconds: list[float], read_job: Callable[[str], JobRow]
) -> None:
    for step, moment in ((1, 60.0), (2, 61.0), (3, 62.0)):
        seconds.append(moment)
        writer.show(report(step))
    progress = read_job(lease.job_id).progress
    assert progress is not None
    assert progress["seconds_left"] == 97.0


def test_the_first_step_promises_nothing(lease: Lease, writer: ProgressWriter, read_job: Callable[[str], JobRow]) -> None:
    writer.show(report(26))
    progress = read_job(lease.job_id).progress
    assert progress is not None
    assert progress["seconds_left"] is None


def test_a_write_returns_whether_the_job_is_cancelled(context: WorkerContext, lease: Lease, writer: ProgressWriter) -> None:
    with context.session_factory.begin() as session:
        JobRepository(session).request_cancel(lease.job_id, utc_now())
    assert writer.show(report(1))


def test_a_job_that_is_no_longer_ours_is_not_written(context: WorkerContext, lease: Lease, writer: ProgressWriter) -> None:
    with context.session_factory.begin() as session:
        LeaseRepository(session).cancel_by_worker(lease, utc_now())
    with pytest.raises(StaleLeaseError):
        writer.show(report(1))


def test_a_database_that_is_away_costs_only_the_line(writer: ProgressWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise OperationalError("UPDATE", None, Exception("away"))

    monkeypatch.setattr(LeaseRepository, "report_progress", fail)
    assert not writer.show(report(1))
