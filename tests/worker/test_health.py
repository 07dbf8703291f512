import os
import socket
import subprocess
import sys

import pytest

from app.infra.workers import LiveWorker, WorkerRegistry

pytestmark = pytest.mark.services


def exit_code(broker_url: str) -> int:
    command = [sys.executable, "-m", "worker.health"]
    return subprocess.run(command, env=os.environ | {"VTT_BROKER_URL": broker_url}, check=False, timeout=60).returncode


def test_a_worker_that_shows_signs_of_life_is_alive_and_another_machines_is_none_of_ours(broker_url: str) -> None:
    registry = WorkerRegistry(broker_url)
    registry.announce(LiveWorker("elsewhere:1:abc", "cpu", None, None))
    assert exit_code(broker_url) == 1
    registry.announce(LiveWorker(f"{socket.gethostname()}:1:abc", "cpu", None, None))
    assert exit_code(broker_url) == 0
    registry.close()


def test_without_redis_no_worker_is_started_again(closed_port: int) -> None:
    assert exit_code(f"redis://127.0.0.1:{closed_port}/0") == 0
