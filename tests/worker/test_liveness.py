from pathlib import Path

import pytest

from app.domain.errors import QueueUnavailableError
from app.infra.workers import LIVENESS_SECONDS, LiveWorker, WorkerRegistry
from worker import liveness
from worker.liveness import LivenessReporter


class Announcements:
    def __init__(self) -> None:
        self.live: list[str] = []
        self.is_away = False

    def announce(self, worker: LiveWorker) -> None:
        if self.is_away:
            raise QueueUnavailableError(expected="a", got="b", remedy="c")
        self.live.append(worker.holder)

    def withdraw(self, holder: str) -> None:
        self.live = [one for one in self.live if one != holder]


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A stopwatch that the test moves: its last entry is the time."""
    moved = [0.0]
    monkeypatch.setattr(liveness.time, "monotonic", lambda: moved[-1])
    return moved


def make(registry: Announcements, job_id: str | None = None) -> LivenessReporter:
    return LivenessReporter(registry, lambda: LiveWorker("worker", "cpu", None, job_id))  # type: ignore[arg-type]


def test_a_worker_whose_consumer_runs_is_announced(seconds: list[float]) -> None:
    registry = Announcements()
    worker = make(registry)
    for moment in (0.0, 10.0, 20.0):
        seconds.append(moment)
        worker.tick()
        worker.announce()
    assert len(registry.live) == 3


def test_a_worker_whose_consumer_hangs_is_not_announced(seconds: list[float]) -> None:
    registry = Announcements()
    worker = make(registry)
    seconds.append(LIVENESS_SECONDS + 1.0)
    worker.announce()
    assert registry.live == []


def test_a_worker_that_warms_up_stays_announced(seconds: list[float]) -> None:
    registry = Announcements()
    worker = make(registry)
    with worker.held_up():
        seconds.append(LIVENESS_SECONDS + 1.0)
        worker.announce()
    worker.announce()
    assert len(registry.live) == 2
    seconds.append(3 * LIVENESS_SECONDS)
    worker.announce()
    assert len(registry.live) == 2


def test_a_worker_at_a_job_is_announced_although_its_consumer_waits(seconds: list[float]) -> None:
    registry = Announcements()
    worker = make(registry, job_id="job_1")
    seconds.append(600.0)
    worker.announce()
    assert registry.live == ["worker"]


def test_a_broker_that_is_away_stops_nothing() -> None:
    registry = Announcements()
    registry.is_away = True
    make(registry).announce()
    assert registry.live == []


@pytest.mark.services
def test_the_thread_announces_until_it_is_stopped(broker_url: str, tmp_path: Path) -> None:
    registry = WorkerRegistry(broker_url)
    worker = LivenessReporter(registry, lambda: LiveWorker("worker", "cpu", None, None))
    worker.announce()
    worker.start()
    assert [one.holder for one in registry.live_workers()] == ["worker"]
    worker.stop()
    assert registry.live_workers() == []
    registry.close()
