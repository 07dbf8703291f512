import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from app.domain.errors import StaleLeaseError
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository
from app.infra.leases import Lease, LeaseRepository
from app.infra.tables import JobRow
from tests.fixtures.logs import LogLines
from tests.fixtures.waiting import wait_until
from tests.worker.conftest import add_job
from worker.context import WorkerContext
from worker.heartbeat import CancelRequestedError, Heartbeat, StopRequestedError


@pytest.fixture
def lease(context: WorkerContext) -> Lease:
    job_id = add_job(context.session_factory)
    with context.session_factory.begin() as session:
        held = LeaseRepository(session).claim(job_id, "worker-1", 1, utc_now())
    assert held is not None
    return held


@pytest.fixture
def heartbeat(context: WorkerContext, lease: Lease) -> Heartbeat:
    return Heartbeat(
        context.session_factory, lease, lease_seconds=30, pause_seconds=0.02, stop=context.stop, clock=context.clock
    )


def wait_for_interruption(heartbeat: Heartbeat) -> None:
    """Let the work ask again and again whether it may go on, until it may not."""

    def ask() -> bool:
        heartbeat.check()
        return False

    wait_until(ask)


def test_a_lease_is_kept_as_long_as_the_context_lasts(
    heartbeat: Heartbeat, lease: Lease, read_job: Callable[[str], JobRow]
) -> None:
    def seconds_left() -> float:
        expiry = read_job(lease.job_id).lease_expires_at
        assert expiry is not None
        return (expiry - utc_now()).total_seconds()

    with heartbeat:
        wait_until(lambda: seconds_left() > 20)
        heartbeat.check()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("heartbeat-")]


def test_a_renewal_notices_a_cancel(context: WorkerContext, heartbeat: Heartbeat, lease: Lease) -> None:
    with heartbeat:
        with context.session_factory.begin() as session:
            JobRepository(session).request_cancel(lease.job_id, utc_now())
        with pytest.raises(CancelRequestedError):
            wait_for_interruption(heartbeat)


def test_a_renewal_notices_a_lost_lease(context: WorkerContext, heartbeat: Heartbeat, lease: Lease) -> None:
    with context.session_factory.begin() as session:
        JobRepository(session).release_expired(utc_now() + timedelta(minutes=1))
    with heartbeat:
        with pytest.raises(StaleLeaseError):
            wait_for_interruption(heartbeat)
        with pytest.raises(StaleLeaseError):
            heartbeat.check()


def test_a_request_to_stop_is_heeded(context: WorkerContext, heartbeat: Heartbeat) -> None:
    context.stop.set()
    with heartbeat, pytest.raises(StopRequestedError):
        heartbeat.check()


def test_a_short_outage_of_the_database_ends_nothing(heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
    renew, failures, renewals = LeaseRepository.renew, [], []

    def renew_after_outage(self: LeaseRepository, *arguments: object) -> bool:
        if len(failures) < 3:
            failures.append(1)
            raise OperationalError("UPDATE", None, Exception("away"))
        renewals.append(renew(self, *arguments))  # type: ignore[arg-type]
        return renewals[-1]

    monkeypatch.setattr(LeaseRepository, "renew", renew_after_outage)
    with heartbeat:
        wait_until(lambda: bool(renewals))
        heartbeat.check()
    assert len(failures) == 3


@pytest.mark.slow
def test_work_waits_while_the_lease_has_expired_and_goes_on_once_it_is_renewed(
    context: WorkerContext, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, is_away = LeaseRepository.renew, threading.Event()
    is_away.set()

    def renew_after_outage(self: LeaseRepository, *arguments: object) -> bool:
        if is_away.is_set():
            raise OperationalError("UPDATE", None, Exception("away"))
        return renew(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LeaseRepository, "renew", renew_after_outage)
    beating = Heartbeat(
        context.session_factory, lease, lease_seconds=0.2, pause_seconds=0.02, stop=context.stop, clock=context.clock
    )
    with beating:
        time.sleep(0.3)
        stepping = threading.Thread(target=beating.check)
        stepping.start()
        stepping.join(0.3)
        assert stepping.is_alive()
        is_away.clear()
        stepping.join(60)
        assert not stepping.is_alive()


def test_work_that_waits_heeds_a_request_to_stop(context: WorkerContext, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise OperationalError("UPDATE", None, Exception("away"))

    monkeypatch.setattr(LeaseRepository, "renew", fail)
    with Heartbeat(
        context.session_factory, lease, lease_seconds=0.01, pause_seconds=0.02, stop=context.stop, clock=context.clock
    ) as beating:
        time.sleep(0.05)
        threading.Timer(0.2, context.stop.set).start()
        with pytest.raises(StopRequestedError):
            beating.check()


def test_an_unexpected_error_does_not_end_the_heartbeat(
    heartbeat: Heartbeat, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failures = LeaseRepository.renew, []

    def renew_after_surprise(self: LeaseRepository, *arguments: object) -> bool:
        if not failures:
            failures.append(1)
            raise RuntimeError("nobody thought of this")
        failures.append(0)
        return renew(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LeaseRepository, "renew", renew_after_surprise)
    with heartbeat:
        wait_until(lambda: len(failures) > 1)
    assert failures[:2] == [1, 0]


def test_its_log_lines_carry_the_ids_of_the_attempt(
    context: WorkerContext, lease: Lease, log_lines: LogLines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: object) -> bool:
        raise StaleLeaseError(expected="a", got="b", remedy="c")

    monkeypatch.setattr(LeaseRepository, "renew", lose)
    with structlog.contextvars.bound_contextvars(request_id="proxy-7"):
        heartbeat = Heartbeat(
            context.session_factory, lease, lease_seconds=30, pause_seconds=0.01, stop=context.stop, clock=context.clock
        )
    with heartbeat:
        wait_until(lambda: bool(log_lines.of("lease_lost")))
    assert [line["request_id"] for line in log_lines.of("lease_lost")] == ["proxy-7"]
