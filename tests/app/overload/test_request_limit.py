"""A process takes a bounded number of requests, and health is not among them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx
import pytest
from PIL import Image

from app.domain.errors import OverloadedError
from app.infra.workers import LiveWorker
from app.overload.request_limit import RequestLimit
from tests.fixtures.http_api import Api, FakeEngine, FakePrediction, MakeApi, encode_image

IMAGE = ("images", ("a.png", encode_image(5)))


@dataclass
class HeldEngine(FakeEngine):
    """Answers once it is let go."""

    gate: Event = field(default_factory=Event)
    num_waiting: int = 0

    def predict(
        self, model_id: str, backbone_id: str, load_files: Callable[[], Mapping[str, bytes]], images: Sequence[Image.Image]
    ) -> list[FakePrediction]:
        self.num_waiting += 1
        assert self.gate.wait(60)
        return super().predict(model_id, backbone_id, load_files, images)


@pytest.fixture
def engine() -> Iterator[HeldEngine]:
    held = HeldEngine()
    yield held
    held.gate.set()


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def predict_at_once(api: Api, pool: ThreadPoolExecutor, number: int) -> list[Any]:
    path = f"/v1/models/{api.publish()}/predict"
    return [pool.submit(api.client.post, path, files=[IMAGE]) for _ in range(number)]


def check_refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (503, "service.overloaded")
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1


def test_requests_beyond_the_limit_are_refused_and_the_accepted_answered(make_api: MakeApi, engine: HeldEngine) -> None:
    api = make_api(engine=engine, max_requests=3)
    with ThreadPoolExecutor(3) as pool:
        accepted = predict_at_once(api, pool, 3)
        wait_until(lambda: engine.num_waiting == 3)
        for _ in range(2):
            check_refused(api.client.get("/v1/jobs"))
        check_refused(api.client.post("/v1/support-sets", files={"cat": ("a.png", encode_image())}))
        assert 'vtt_refused_requests_total{line="any"} 3.0' in api.client.get("/metrics").text
        engine.gate.set()
        assert [request.result().status_code for request in accepted] == [200] * 3
    assert api.client.get("/v1/jobs").status_code == 200


def test_health_answers_while_more_predictions_wait_than_there_are_threads(make_api: MakeApi, engine: HeldEngine) -> None:
    api = make_api(engine=engine, batch_max_images=30)
    api.resources.workers.announce(LiveWorker("machine:1", "cpu", "mini", None))
    with ThreadPoolExecutor(80) as pool:
        accepted = predict_at_once(api, pool, 80)
        wait_until(lambda: engine.num_waiting == 60)
        assert api.client.get("/livez").status_code == 200
        assert api.client.get("/readyz").status_code == 200
        assert 'vtt_refused_requests_total{line="predict"} 0.0' in api.client.get("/metrics").text
        assert api.client.get("/v1/jobs").status_code == 200
        engine.gate.set()
        assert {request.result().status_code for request in accepted} == {200}


def test_followers_of_jobs_are_counted_apart() -> None:
    limit = RequestLimit(1, lambda: 0.0)
    with limit.count(is_stream=True):
        limit.check(is_stream=False)
        with pytest.raises(OverloadedError):
            limit.check(is_stream=True)
    limit.check(is_stream=True)


def test_the_wait_that_is_asked_for_follows_the_length_of_requests() -> None:
    clock = iter([0.0, 1000.0])
    limit = RequestLimit(1, lambda: next(clock))
    with limit.count(is_stream=False):
        pass
    limit._running[False] = 1
    with pytest.raises(OverloadedError) as refused:
        limit.check(is_stream=False)
    assert refused.value.retry_after_seconds == 100
