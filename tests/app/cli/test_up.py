import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from app.cli.up import URL_FILE
from tests.fixtures.waiting import command_of, wait_until

pytestmark = [pytest.mark.services, pytest.mark.slow]


def start(data_dir: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app.cli.main", "up", "--port", "0", "--data-dir", str(data_dir)]
    data_dir.mkdir()
    with (data_dir / "up.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


PROGRAMS = {"redis": "redis-server", "worker": "-m worker", "api": "app.cli.api"}


def children_of(process: subprocess.Popen[bytes]) -> dict[str, psutil.Process]:
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        line = " ".join(command_of(child))
        found.update({name: child for name, program in PROGRAMS.items() if program in line})
    return found


def has_new(name: str, old: psutil.Process, process: subprocess.Popen[bytes]) -> bool:
    return children_of(process).get(name, old).pid != old.pid


def is_ready(data_dir: Path) -> bool:
    url_file = data_dir / URL_FILE
    if not url_file.exists():
        return False
    try:
        return httpx2.get(url_file.read_text().strip() + "/readyz", timeout=5.0).status_code == 200
    except httpx2.HTTPError:
        return False


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def service(data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start(data_dir)
    try:
        wait_until(lambda: is_ready(data_dir) or process.poll() is not None)
        assert process.poll() is None, (data_dir / "up.log").read_text()
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def test_a_service_refuses_a_second_one_revives_its_worker_and_stops_whole(
    service: subprocess.Popen[bytes], data_dir: Path
) -> None:
    children = children_of(service)
    assert set(children) == {"redis", "worker", "api"}

    again = [sys.executable, "-m", "app.cli.main", "up", "--port", "0", "--data-dir", str(data_dir)]
    second = subprocess.run(again, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert "data_folder.in_use" in second.stderr
    assert (data_dir / URL_FILE).read_text().strip() in second.stderr

    children["worker"].kill()
    wait_until(lambda: has_new("worker", children["worker"], service))
    children["redis"].kill()
    wait_until(lambda: has_new("redis", children["redis"], service))

    everything = [*children_of(service).values()]
    service.send_signal(signal.SIGINT)
    assert service.wait(60) == 0
    assert not (data_dir / URL_FILE).exists()
    assert [child for child in everything if child.is_running()] == []
    log = (data_dir / "up.log").read_text()
    assert "worker ended (signal SIGKILL)" in log
    assert log.rstrip().endswith("stopped")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_nothing_outlives_a_service_that_is_killed(service: subprocess.Popen[bytes], data_dir: Path) -> None:
    everything = [*children_of(service).values()]
    assert len(everything) == 3
    os.kill(service.pid, signal.SIGKILL)
    service.wait(10)
    _, alive = psutil.wait_procs(everything, timeout=60)
    assert alive == []


def test_a_port_that_is_taken_ends_with_code_2(data_dir: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "app.cli.main", "up", "--port", str(port), "--data-dir", str(data_dir)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2
    assert str(port) in result.stderr


def test_an_open_address_is_refused(data_dir: Path) -> None:
    options = ["up", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(data_dir)]
    result = subprocess.run(
        [sys.executable, "-m", "app.cli.main", *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 2
    assert "VTT_ALLOW_UNAUTHENTICATED" in result.stderr


def test_several_processes_of_the_api_answer_at_one_address(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_API_PROCESSES", "2")
    process = start(data_dir)
    try:
        wait_until(lambda: is_ready(data_dir) or process.poll() is not None)
        url = (data_dir / URL_FILE).read_text().strip()

        def apis() -> list[psutil.Process]:
            return [child for child in psutil.Process(process.pid).children() if "app.cli.api" in command_of(child)]

        first, second = apis()
        wait_until(lambda: answering(url, first) and answering(url, second))
        first.kill()
        wait_until(lambda: len(apis()) == 2 and first.pid not in {child.pid for child in apis()})
        assert all(httpx2.get(f"{url}/livez", timeout=30.0).status_code == 200 for _ in range(20))
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert "api 1 ended (signal SIGKILL)" in (data_dir / "up.log").read_text()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def answering(url: str, api: psutil.Process) -> bool:
    """Whether this process takes the connection of one of a few requests."""
    with httpx2.Client(base_url=url, timeout=60.0) as client:
        client.get("/livez")
        port = httpx2.URL(url).port
        return any(there.laddr.port == port and there.raddr for there in api.net_connections("tcp"))
