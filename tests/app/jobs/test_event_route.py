"""Followers that leave while events are on their way."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.infra.clock import utc_now
from app.infra.database import make_engine, make_session_factory
from app.infra.tables import JobEventRow
from tests.fixtures.http_api import encode_image
from tests.fixtures.live_api import running_api


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(90)
def test_a_follower_that_leaves_in_the_middle_is_no_error(tmp_path: Path, broker_url: str) -> None:
    with running_api(tmp_path, broker_url) as live, live.client() as client:
        files = [(label, ("a.png", encode_image(number))) for number, label in enumerate(("cat", "dog"))]
        set_id = client.post("/v1/support-sets", files=files).json()["id"]
        job_id = client.post("/v1/jobs", json={"support_set_id": set_id}).json()["id"]
        sessions = make_session_factory(make_engine(f"sqlite:///{tmp_path}/data/vtt.sqlite"))
        with sessions.begin() as session:
            for step in range(400):
                session.add(JobEventRow(job_id=job_id, kind="progress", payload={"step": step}, created_at=utc_now()))
        for _ in range(5):
            with live.client() as follower, follower.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
                assert next(answer.iter_bytes())
        assert client.get("/livez").status_code == 200
        assert "Traceback" not in live.log.read_text()
