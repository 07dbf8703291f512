"""Health commands and metrics of the real processes, and a stalled worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.cli.demo import running_service
from app.infra.settings import socket_in
from app.infra.workers import LIVENESS_SECONDS, WorkerRegistry

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def worker_port(monkeypatch: pytest.MonkeyPatch) -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    monkeypatch.setenv("VTT_WORKER_METRICS_PORT", str(port))
    return port


@pytest.fixture
def service(worker_port: int, tmp_path: Path) -> Iterator[str]:
    with running_service(tmp_path / "data") as url:
        yield url


def exit_code(url: str, data_dir: Path, *options: str) -> int:
    port = str(httpx2.URL(url).port)
    environment = {**os.environ, "VTT_DATA_DIR": str(data_dir), "VTT_PORT": port}
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", "health", *options], env=environment, capture_output=True
    ).returncode


def wait_until_unfit(url: str, data_dir: Path) -> None:
    deadline = time.monotonic() + 4 * LIVENESS_SECONDS
    while exit_code(url, data_dir, "--worker") == 0:
        assert time.monotonic() < deadline, "a worker that stands still is still taken for a live one"
        time.sleep(1)


def test_a_worker_has_metrics_and_a_stalled_one_is_noticed(service: str, worker_port: int, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    told = httpx2.get(f"http://127.0.0.1:{worker_port}/metrics", timeout=60, trust_env=False).text
    assert 'vtt_attempts_total{outcome="succeeded"} 0.0' in told
    assert (exit_code(service, data_dir), exit_code(service, data_dir, "--worker")) == (0, 0)

    registry = WorkerRegistry(f"redis+socket://{socket_in(data_dir)}")
    (worker,) = registry.live_workers()
    registry.close()
    pid = int(worker.holder.split(":")[1])
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until_unfit(service, data_dir)
        assert exit_code(service, data_dir) == 1, "one machine without its worker is not ready"
        assert httpx2.get(f"{service}/livez", timeout=60, trust_env=False).status_code == 200
    finally:
        os.kill(pid, signal.SIGCONT)
