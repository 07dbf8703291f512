import json
import time
from pathlib import Path

import pytest

from app.domain.errors import QueueUnavailableError
from app.domain.messages import EpisodesMessage, FinetuneMessage
from app.infra.queue import QUEUE_NAME, JobQueue, connect_redis


@pytest.mark.services
def test_a_message_names_the_task_and_the_job(broker_url: str) -> None:
    queue = JobQueue(broker_url)
    queue.ping()
    queue.send(FinetuneMessage("job_1"))
    assert queue.depth() == 1
    with connect_redis(broker_url) as client:
        [raw] = client.lrange(QUEUE_NAME, 0, -1)  # type: ignore[misc]
    message = json.loads(raw)
    assert message["headers"]["task"] == "finetune.run"
    assert message["content-type"] == "application/json"
    queue.close()


@pytest.mark.services
def test_episodes_have_a_queue_of_their_own(broker_url: str) -> None:
    queue = JobQueue(broker_url)
    queue.send(EpisodesMessage("b1", 3))
    assert (queue.depth(), queue.depth(EpisodesMessage.queue_name)) == (0, 1)
    queue.close()


@pytest.mark.slow
def test_a_broker_out_of_reach_is_reported_soon(tmp_path: Path) -> None:
    queue = JobQueue(f"redis+socket://{tmp_path}/none.sock")
    started = time.monotonic()
    for call in (queue.ping, queue.depth, lambda: queue.send(FinetuneMessage("job_1"))):
        with pytest.raises(QueueUnavailableError, match="VTT_BROKER_URL"):
            call()
    assert time.monotonic() - started < 10
    queue.close()
