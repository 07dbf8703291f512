import json
from pathlib import Path

import pytest

from app.domain.errors import QueueUnavailableError
from app.infra.queue import connect_redis
from app.infra.workers import LIVENESS_SECONDS, LiveWorker, WorkerRegistry

WORKER = LiveWorker("machine:1:a", "cpu", "mini", None)


@pytest.mark.services
def test_a_worker_is_alive_from_its_announcement_to_its_withdrawal(broker_url: str) -> None:
    registry = WorkerRegistry(broker_url)
    assert registry.live_workers() == []
    registry.announce(WORKER)
    assert registry.live_workers() == [WORKER]
    registry.withdraw(WORKER.holder)
    assert registry.live_workers() == []
    registry.close()


@pytest.mark.services
def test_the_announcement_of_a_silent_worker_expires(broker_url: str) -> None:
    registry = WorkerRegistry(broker_url)
    registry.announce(WORKER)
    with connect_redis(broker_url) as client:
        assert 0 < int(str(client.ttl(f"vtt:worker:{WORKER.holder}"))) <= LIVENESS_SECONDS
    registry.close()


def test_a_broker_out_of_reach_is_named(tmp_path: Path) -> None:
    registry = WorkerRegistry(f"redis+socket://{tmp_path}/none.sock")
    for call in (registry.live_workers, lambda: registry.announce(WORKER), lambda: registry.withdraw("x")):
        with pytest.raises(QueueUnavailableError):
            call()
    registry.close()


@pytest.mark.services
def test_unknown_fields_of_a_newer_worker_are_ignored(broker_url: str) -> None:
    registry = WorkerRegistry(broker_url)
    registry.announce(LiveWorker("machine:1:a", "cpu", "mini", None, cached_backbone_ids=("a/b",)))
    key = "vtt:worker:machine:1:a"
    with connect_redis(broker_url) as client:
        client.set(key, json.dumps(json.loads(client.get(key)) | {"news": 1}))  # type: ignore[arg-type]
    (worker,) = registry.live_workers()
    assert worker.cached_backbone_ids == ("a/b",)
    registry.close()
