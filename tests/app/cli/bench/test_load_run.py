"""Against a real server with an engine that has no torch."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from app.cli.bench.load_mix import Mix, make_images, parse_weights
from app.cli.bench.load_report import REFUSALS
from app.cli.bench.load_run import LoadRun, Outcome
from app.infra.settings import Settings
from app.main import create_app
from tests.fixtures.http_api import Api, FakeEngine
from vtt_core.contract.limits import Limits


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server = uvicorn.Server(uvicorn.Config(create_app(settings, lambda _: FakeEngine()), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def mix_of(api: Api, weights: str = "predict=80,upload=15,job=5") -> Mix:
    return Mix(parse_weights(weights), [api.publish()], deque([api.upload()], maxlen=8), make_images())


def run_load(
    settings: Settings, mix: Mix, *, num_clients: int = 4, rate: float | None = None, seconds: float = 2.0
) -> tuple[list[Outcome], list[float]]:
    looks: list[float] = []
    with serving(settings) as url:
        run = LoadRun(url, {}, mix, seconds=seconds)
        asyncio.run(run.run(num_clients, rate, looks.append, 0.5))
    return run.outcomes, looks


@pytest.mark.slow
@pytest.mark.parametrize("rate", [None, 20.0])
def test_every_request_has_its_outcome_and_health_is_looked_at(api: Api, rate: float | None) -> None:
    mix = mix_of(api)
    settings = api.context.settings.model_copy(update={"limits": Limits()})
    outcomes, looks = run_load(settings, mix, rate=rate, seconds=6.0)
    assert {outcome.status for outcome in outcomes if outcome.kind != "readyz"} <= {200, 201, 202}
    assert {outcome.kind for outcome in outcomes} >= {"predict", "upload", "livez", "readyz"}
    assert sum(outcome.kind == "job" for outcome in outcomes) == len(mix.job_ids)
    assert len(looks) >= 2
    assert looks == sorted(looks)


@pytest.mark.slow
def test_refused_clients_wait_as_they_are_told(api: Api) -> None:
    settings = api.context.settings.model_copy(update={"max_requests": 1})
    outcomes, _ = run_load(settings, mix_of(api, "predict=1"))
    refused = [outcome for outcome in outcomes if outcome.status in REFUSALS and outcome.kind == "predict"]
    assert refused
    assert all(int(outcome.retry_after) >= 1 for outcome in refused)
    assert len(refused) <= 3 * 3, "three clients are refused, and come again after a second each"


@pytest.mark.slow
def test_no_answer_is_an_outcome_too(api: Api) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    run = LoadRun(url, {}, mix_of(api), seconds=0.2)
    asyncio.run(run.run(1, 20.0, lambda seconds: None, 1.0))
    assert {(outcome.status, outcome.failure) for outcome in run.outcomes} == {(0, "ConnectError")}
