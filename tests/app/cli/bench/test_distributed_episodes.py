"""`vtt bench episodes --distributed` over a real Redis and real workers: the result of one process, also when a worker dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.cli.bench import distributed_episodes
from app.cli.bench.common import use_threads
from app.cli.bench.episodes import EpisodesRequest, run_request
from app.cli.bench.logged_run import LOG_FILE
from app.cli.synthetic_images import write_folders
from app.domain.errors import ServiceRefusedError
from app.domain.messages import EpisodesMessage
from app.infra.object_store import ObjectStore
from app.infra.queue import JobQueue, connect_redis
from app.infra.redis_server import PrivateRedis
from app.infra.settings import load_settings
from app.infra.workers import LiveWorker, WorkerRegistry
from tests.fixtures.waiting import wait_until
from vtt_core.bench.episodes.episode_log import EpisodeLine, decode_lines
from vtt_core.contract.errors import UnknownBackboneError

pytestmark = [pytest.mark.services, pytest.mark.slow]
METHODS = "zero-shot,linear-probe,clip-lora,clip-lora+vtt"


class Workers:
    """Real worker processes on one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._processes: list[subprocess.Popen[bytes]] = []
        self.registry = WorkerRegistry(load_settings().resolved_broker_url)

    def start(self, number: int) -> None:
        environment = {**os.environ, "VTT_DATA_DIR": str(self._data_dir), "VTT_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
        self._processes += [subprocess.Popen([sys.executable, "-m", "worker"], env=environment) for _ in range(number)]

    def kill_one_at_work(self) -> LiveWorker:
        """Kill a worker that computes a chunk, as soon as there is one."""
        at_work: list[LiveWorker] = []

        def is_one_at_work() -> bool:
            at_work.extend(worker for worker in self.registry.live_workers() if worker.job_id is not None)
            return bool(at_work)

        wait_until(is_one_at_work)
        pid = int(at_work[0].holder.split(":")[1])
        [process] = [process for process in self._processes if process.pid == pid]
        process.kill()
        process.wait()
        return at_work[0]

    def end(self) -> None:
        self.registry.close()
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    data_dir = tmp_path / "data"
    for name in [name for name in os.environ if name.startswith("VTT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("VTT_DATA_DIR", str(data_dir))
    monkeypatch.setattr(distributed_episodes, "POLL_SECONDS", 0.1)
    with PrivateRedis(data_dir):
        started = Workers(data_dir)
        yield started
        started.end()


@pytest.fixture
def request_for(tmp_path: Path) -> Callable[..., EpisodesRequest]:
    def make(**changes: Any) -> EpisodesRequest:
        images = tmp_path / "images"
        if not images.exists():
            write_folders(images, num_images=4)
        values = EpisodesRequest(
            data=str(images),
            names=None,
            backbone="mini",
            way=3,
            shot=1,
            query=2,
            episodes=4,
            methods=METHODS,
            seed=1,
            by_patient=False,
            iterations=3,
            device="cpu",
            threads=1,
        )
        return replace(values, **changes)

    return make


def lines_of(folder: Path) -> dict[tuple[str, int], EpisodeLine]:
    """Return what a log holds, without seconds."""
    lines = [replace(line, seconds=0.0) for line in decode_lines((folder / LOG_FILE).read_bytes())]
    assert len({(line.method, line.episode) for line in lines}) == len(lines)
    return {(line.method, line.episode): line for line in lines}


def without_seconds(result: dict[str, Any]) -> dict[str, Any]:
    for values in result["methods"].values():
        assert values.pop("seconds_per_episode") > 0
    return result


def test_two_workers_give_the_result_of_one_process(
    workers: Workers, request_for: Callable[..., EpisodesRequest], tmp_path: Path
) -> None:
    workers.start(2)
    request = request_for()
    use_threads(request.threads)  # as the command does: sums depend by rounding on the number of cores
    alone = run_request(request, tmp_path / "alone")
    spread = run_request(request, tmp_path / "spread", distributed=True)
    assert without_seconds(spread) == without_seconds(alone)
    assert lines_of(tmp_path / "spread") == lines_of(tmp_path / "alone")
    assert ObjectStore(load_settings().resolved_store_url).keys("benchmarks") == []


def test_a_worker_killed_in_the_middle_costs_no_episode(
    workers: Workers, request_for: Callable[..., EpisodesRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed_episodes, "RESEND_SECONDS", 8.0)
    workers.start(2)
    request = request_for(iterations=40, methods="zero-shot,clip-lora+vtt")
    alone = run_request(request, tmp_path / "alone")
    killed: list[LiveWorker] = []

    def kill() -> None:
        killed.append(workers.kill_one_at_work())

    killer = threading.Thread(target=kill)
    killer.start()
    spread = run_request(request, tmp_path / "spread", distributed=True)
    killer.join()
    assert len(killed) == 1
    assert without_seconds(spread) == without_seconds(alone)
    assert lines_of(tmp_path / "spread") == lines_of(tmp_path / "alone")


def test_what_a_worker_cannot_compute_is_said(
    workers: Workers, request_for: Callable[..., EpisodesRequest], tmp_path: Path
) -> None:
    workers.start(1)
    with pytest.raises(ServiceRefusedError, match="a worker with device cuda"):
        run_request(request_for(device="cuda"), tmp_path / "out", distributed=True)


def test_messages_that_got_lost_are_sent_again_but_not_those_that_wait(
    workers: Workers, request_for: Callable[..., EpisodesRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed_episodes, "RESEND_SECONDS", 0.5)
    settings = load_settings()
    queue, said = JobQueue(settings.resolved_broker_url), []
    request = request_for(methods="zero-shot", episodes=2)

    def lose_then_start() -> None:
        wait_until(lambda: queue.depth(EpisodesMessage.queue_name) == 2)
        time.sleep(2)
        said.append(queue.depth(EpisodesMessage.queue_name))
        with connect_redis(settings.resolved_broker_url) as client:
            client.delete(EpisodesMessage.queue_name)
        workers.start(1)

    starter = threading.Thread(target=lose_then_start)
    starter.start()
    result = run_request(request, tmp_path / "out", distributed=True)
    starter.join()
    queue.close()
    assert said == [2]
    assert result["episodes"] == 2


def test_a_backbone_that_no_worker_can_load_is_refused(
    workers: Workers, request_for: Callable[..., EpisodesRequest], tmp_path: Path
) -> None:
    with pytest.raises(UnknownBackboneError):
        run_request(request_for(backbone="tests/fixtures/tiny_clip.json"), tmp_path / "out", distributed=True)
