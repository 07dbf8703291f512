"""A part that is down is named, and the others are still looked at."""

from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from app.health.consumption import STALL_SECONDS
from app.health.schemas import Condition
from app.health.service import readiness
from app.infra.clock import utc_now
from app.infra.leases import LeaseRepository
from app.infra.object_store import ObjectStore
from app.infra.workers import LiveWorker
from tests.fixtures.http_api import Api


@pytest.mark.slow
@pytest.mark.services
def test_a_lost_database_and_store_are_named(api: Api, s3_url: str, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection"))

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setattr(api.context, "readers", lost)
    monkeypatch.setattr(api.context, "store", ObjectStore(s3_url))
    answer = readiness(api.context, utc_now())
    assert not answer.is_ready
    assert "server closed" in answer.parts["database"].detail
    assert "Could not connect" in answer.parts["store"].detail
    assert answer.parts["queue"].condition is Condition.OK


def test_jobs_that_no_worker_takes_are_noticed_although_a_worker_is_alive(api: Api) -> None:
    job_id = api.start_job()
    api.context.workers.announce(LiveWorker("machine:1", "cpu", "mini", None))
    assert readiness(api.context, utc_now()).parts["jobs"].condition is Condition.OK
    later = utc_now() + timedelta(seconds=STALL_SECONDS + 60)
    stalled = readiness(api.context, later)
    assert stalled.parts["jobs"].condition is Condition.DEGRADED
    assert "1 queued" in stalled.parts["jobs"].detail
    assert stalled.is_ready, "other requests can be answered all the same"

    waiting_id = api.start_job()
    with api.context.sessions.begin() as session:
        LeaseRepository(session).claim(job_id, "worker", 10, utc_now())
    busy = readiness(api.context, later)
    assert busy.parts["jobs"].condition is Condition.OK, f"{waiting_id} only waits for its turn"
