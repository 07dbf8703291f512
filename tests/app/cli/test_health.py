"""Exit codes of `vtt health`, against a real Redis and a real API."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from typer.testing import CliRunner

from app.cli.main import cli
from app.infra.settings import Role, Settings
from app.infra.workers import LiveWorker, WorkerRegistry
from app.main import create_app

pytestmark = pytest.mark.services


def check(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["health", *options])
    return result.exit_code, result.stderr


def test_a_worker_counts_by_its_sign_of_life_and_its_host(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_BROKER_URL", broker_url)
    registry = WorkerRegistry(broker_url)
    registry.announce(LiveWorker("elsewhere:1:ab", "cpu", None, None))
    code, said = check("--worker")
    assert code == 1
    assert socket.gethostname() in said
    ours = f"{socket.gethostname()}:7:cd"
    registry.announce(LiveWorker(ours, "cpu", None, "job_1"))
    code, said = check("--worker")
    assert code == 0
    assert "job_1" in said
    registry.withdraw(ours)
    assert check("--worker")[0] == 1


def test_a_broker_that_is_down_says_nothing_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_BROKER_URL", "redis://127.0.0.1:1/0")
    code, said = check("--worker")
    assert code == 0
    assert "Queue unavailable" in said


@pytest.fixture
def port(settings: Settings) -> Iterator[int]:
    """Port of a running API in role control."""
    app = create_app(settings.model_copy(update={"role": Role.CONTROL}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_an_api_that_is_ready_is_fit(port: int, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_HOST", host)
    monkeypatch.setenv("VTT_PORT", str(port))
    code, said = check()
    assert code == 0, said
    assert "database: ok" in said


def test_an_api_that_does_not_answer_is_unfit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTT_PORT", "1")
    assert check()[0] == 1
