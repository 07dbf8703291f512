"""A process takes a bounded number of requests, and health is not among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx2
import pytest
from PIL import Image

from app.domain.errors import OverloadedError, TooManyAtOnceError
from app.infra.workers import LiveWorker
from app.overload.request_limit import PlaceBounds, PlaceKind, RequestLimit
from app.overload.request_limit_middleware import address_group, client_of, kind_of
from tests.app.access.conftest import MakeCaller
from tests.fixtures.http_api import Api, FakeEngine, MakeApi, encode_image
from tests.fixtures.waiting import wait_until
from vtt_core.contract.serving import AnswerOptions, Prediction

IMAGE = ("images", ("a.png", encode_image(5)))


@dataclass
class HeldEngine(FakeEngine):
    """Answers once it is let go."""

    gate: Event = field(default_factory=Event)
    num_waiting: int = 0

    def predict(
        self,
        model_id: str,
        backbone_id: str,
        load_files: Callable[[], Mapping[str, bytes]],
        images: Sequence[Image.Image],
        options: AnswerOptions,
    ) -> list[Prediction]:
        self.num_waiting += 1
        assert self.gate.wait(60)
        return super().predict(model_id, backbone_id, load_files, images, options)


@pytest.fixture
def engine() -> Iterator[HeldEngine]:
    held = HeldEngine()
    yield held
    held.gate.set()


def predict_at_once(api: Api, pool: ThreadPoolExecutor, number: int) -> list[Any]:
    path = f"/v1/models/{api.publish()}/predict"
    return [pool.submit(api.client.post, path, files=[IMAGE]) for _ in range(number)]


def check_refused(answer: httpx2.Response, expected: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["expected"] == expected
    assert int(answer.headers["retry-after"]) >= 1


def test_requests_beyond_the_limit_are_refused_and_the_accepted_answered(make_api: MakeApi, engine: HeldEngine) -> None:
    api = make_api(engine=engine, max_requests=3, client_share=1.0)
    with ThreadPoolExecutor(3) as pool:
        accepted = predict_at_once(api, pool, 3)
        wait_until(lambda: engine.num_waiting == 3)
        for _ in range(2):
            refused = api.client.post("/v1/support-sets", files={"cat": ("a.png", encode_image())})
            assert (refused.status_code, refused.json()["code"]) == (429, "access.too_many_at_once")
            check_refused(refused, "at most 3 requests that change something or predict at once from one client")
        assert api.client.get("/v1/jobs").status_code == 200  # reads have places of their own
        assert 'vtt_refused_requests_total{line="any"} 2.0' in api.client.get("/metrics").text
        engine.gate.set()
        assert [request.result().status_code for request in accepted] == [200] * 3
    assert api.upload()


def test_the_places_of_all_clients_together_are_bounded(make_api: MakeApi) -> None:
    api = make_api(max_requests=2)
    held = [api.context.bounds.requests.take(PlaceKind.READING, f"10.0.0.{number}") for number in range(2)]
    refused = api.client.get("/v1/jobs")
    assert (refused.status_code, refused.json()["code"]) == (503, "service.overloaded")
    check_refused(refused, "at most 2 requests that read at once")
    api.context.bounds.requests.release(held[0])
    assert api.client.get("/v1/jobs").status_code == 200


def test_a_valid_key_is_a_client_of_its_own(locked: Api, make_caller: MakeCaller) -> None:
    """Two keys behind one address do not take each other's places, and one key has one share from all addresses."""
    limit = locked.context.bounds.requests
    first, second = make_caller("first"), make_caller("second")
    key_id = first["Authorization"].split("_")[1]
    held = [limit.take(PlaceKind.READING, "10.0.0.1") for _ in range(128)]
    for place in held:
        place.give_to(f"key {key_id}")
    refused = locked.client.get("/v1/jobs", headers=first)
    assert (refused.status_code, refused.json()["code"]) == (429, "access.too_many_at_once")
    assert locked.client.get("/v1/jobs", headers=second).status_code == 200
    assert limit.take(PlaceKind.READING, "10.0.0.1").client == "10.0.0.1"  # the address has its places back


def test_an_invalid_key_takes_no_place_of_the_valid_one(locked: Api, make_caller: MakeCaller) -> None:
    headers = make_caller("first")
    forged = {"Authorization": headers["Authorization"][:-3] + "xyz"}
    assert locked.client.get("/v1/jobs", headers=forged).status_code == 401
    assert locked.client.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.slow
def test_health_answers_while_more_predictions_wait_than_there_are_threads(make_api: MakeApi, engine: HeldEngine) -> None:
    api = make_api(engine=engine, batch_max_images=30)
    with ThreadPoolExecutor(80) as pool:
        accepted = predict_at_once(api, pool, 80)
        wait_until(lambda: engine.num_waiting == 60)
        api.context.workers.announce(LiveWorker("machine:1", "cpu", "mini", None))
        assert api.client.get("/livez").status_code == 200
        assert api.client.get("/readyz").status_code == 200
        assert 'vtt_refused_requests_total{line="predict"} 0.0' in api.client.get("/metrics").text
        assert api.client.get("/v1/jobs").status_code == 200
        engine.gate.set()
        assert {request.result().status_code for request in accepted} == {200}


def make_limit(max_requests: int, share: float = 1.0, stopwatch: Callable[[], float] = lambda: 0.0) -> RequestLimit:
    return RequestLimit(PlaceBounds(max_requests, share), stopwatch)


def test_followers_reads_and_changes_are_counted_apart() -> None:
    limit = make_limit(1)
    for kind in (PlaceKind.FOLLOWING, PlaceKind.READING, PlaceKind.WRITING):
        limit.take(kind, "a")
        with pytest.raises(TooManyAtOnceError):
            limit.take(kind, "a")
        with pytest.raises(OverloadedError):
            limit.take(kind, "b")
    assert limit.num_refused == 6


def test_one_client_has_its_share_and_leaves_the_rest_to_others() -> None:
    limit = make_limit(4, 0.5)
    for kind in (PlaceKind.ARRIVING, PlaceKind.WRITING):
        limit.take(kind, "slow")
    for kind in (PlaceKind.ARRIVING, PlaceKind.WRITING):
        with pytest.raises(TooManyAtOnceError, match="at most 2 .* from one client, got 2 open ones, and this one"):
            limit.take(kind, "slow")
    limit.take(PlaceKind.ARRIVING, "other")
    limit.take(PlaceKind.READING, "slow")


def test_a_complete_body_moves_its_request_to_those_in_work() -> None:
    limit = make_limit(2)
    place = limit.take(PlaceKind.ARRIVING, "a")
    place.note_complete_body()
    place.note_complete_body()
    assert (limit.num_open(PlaceKind.ARRIVING), limit.num_open(PlaceKind.WRITING)) == (0, 1)
    limit.release(place)
    assert [limit.num_open(kind) for kind in PlaceKind] == [0] * 4


def test_the_wait_that_is_asked_for_follows_the_work_and_not_the_clients_slowness() -> None:
    clock = iter([0.0, 5000.0, 6000.0, 6000.0, 6000.0])
    limit = make_limit(1, stopwatch=lambda: next(clock))
    place = limit.take(PlaceKind.ARRIVING, "a")
    place.note_complete_body()
    limit.release(place)
    limit.take(PlaceKind.WRITING, "a")
    with pytest.raises(OverloadedError) as refused:
        limit.take(PlaceKind.WRITING, "b")
    assert refused.value.retry_after_seconds == 100
    with pytest.raises(TooManyAtOnceError) as refused_client:
        limit.take(PlaceKind.WRITING, "a")
    assert refused_client.value.retry_after_seconds == 100


@pytest.mark.parametrize(
    ("method", "path", "headers", "kind"),
    [
        ("GET", "/v1/jobs", {}, PlaceKind.READING),
        ("HEAD", "/v1/jobs", {"content-length": "9"}, PlaceKind.READING),
        ("GET", "/v1/jobs/job_1/events", {}, PlaceKind.FOLLOWING),
        ("POST", "/v1/jobs", {"content-length": "9"}, PlaceKind.ARRIVING),
        ("POST", "/v1/jobs", {"transfer-encoding": "chunked"}, PlaceKind.ARRIVING),
        ("POST", "/v1/jobs/job_1/cancel", {}, PlaceKind.WRITING),
        ("POST", "/v1/jobs/job_1/cancel", {"content-length": "0"}, PlaceKind.WRITING),
        ("DELETE", "/v1/models/mdl_1", {}, PlaceKind.WRITING),
    ],
)
def test_the_head_of_a_request_tells_its_kind(method: str, path: str, headers: dict[str, str], kind: PlaceKind) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert kind_of({"type": "http", "method": method, "path": path, "headers": raw}) is kind


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_the_addresses_of_one_customer_are_one_client(address: str, group: str) -> None:
    assert address_group(address) == group
    assert client_of({"type": "http", "client": (address, 1)}) == group


def test_a_request_without_an_address_has_a_client_too() -> None:
    assert client_of({"type": "http", "client": None}) == "unknown"
