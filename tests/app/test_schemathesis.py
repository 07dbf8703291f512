"""schemathesis walks the whole API over HTTP: no failure inside, and no answer that the description does not have."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
import uvicorn
from sqlalchemy import select
from starlette.types import Message, Receive, Scope, Send

from app.domain.access import Scope as KeyScope
from app.domain.batches import answered_row
from app.infra.access_repository import AccessRepository
from app.infra.batch_blobs import BatchBlobs
from app.infra.batch_leases import BatchLeases
from app.infra.clock import utc_now
from app.infra.export_leases import ExportLeases
from app.infra.settings import Role
from app.infra.tables import BatchRow, ExportRow, JobRow
from app.infra.workers import LiveWorker
from tests.architecture.write_openapi import describe
from tests.fixtures.http_api import Api, MakeApi, encode_image
from vtt_core.contract.serving import Prediction

FOLDER = Path(__file__).parents[1] / "fixtures" / "schemathesis"
RUN_SECONDS = 480
JOB_SECONDS = 2.0
"""How long a job waits before it succeeds: long enough to be cancelled, short enough to be followed to its end."""

ENOUGH_REQUESTS = 4000
"""Requests in which every operation succeeds once, but for those of `BY_CHANCE`; a quiet machine makes more."""
BY_CHANCE = {"POST /v1/evaluations", "GET /v1/evaluations/{evaluation_id}/images/{image_id}"}
"""Operations that may not succeed in a run: their ids are a list, which no link fills, or two links away."""
TESTER = "tester"
"""User agent of the requests that are not Schemathesis's."""


class ServedApi:
    """The application on a port of its own, and a worker that ends every job."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._stopping = threading.Event()
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        config = uvicorn.Config(
            self._counted, interface="asgi3", host="127.0.0.1", port=0, lifespan="off", log_level="warning", access_log=False
        )
        self._server = uvicorn.Server(config)
        self._threads = [threading.Thread(target=self._server.run), threading.Thread(target=self._end_jobs)]

    @property
    def url(self) -> str:
        (listening,) = self._server.servers[0].sockets
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    @property
    def authorization(self) -> str:
        return str(self._api.client.headers["Authorization"])

    def __enter__(self) -> ServedApi:
        for thread in self._threads:
            thread.start()
        while not self._server.started:
            assert self._threads[0].is_alive(), "uvicorn did not start"
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._threads[1].join(30)  # it needs the server until its end
        self._server.should_exit = True
        self._threads[0].join(30)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path_format", "unknown path")
                self.statuses[f"{scope['method']} {path}"][message["status"]] += 1
            await send(message)

        is_tester = (b"user-agent", TESTER.encode()) in scope.get("headers", [])
        await self._api.client.app(scope, receive, send if is_tester else send_counted)

    def _end_jobs(self) -> None:
        while not self._server.started:
            time.sleep(0.01)
        headers = {"Authorization": self.authorization, "User-Agent": TESTER}
        # The queues of the application belong to the event loop of its server. A `TestClient` has a loop of its own, and a
        # request of one loop that waits for one of the other would wait for ever.
        with httpx2.Client(base_url=self.url, headers=headers, timeout=60) as client:
            self._tend(replace(self._api, client=client))  # type: ignore[arg-type]

    def _tend(self, api: Api) -> None:
        context = api.context
        while not self._stopping.wait(JOB_SECONDS / 20):
            context.workers.announce(LiveWorker("tester", "cpu", "mini", None))
            with context.readers() as session:
                waiting = list(session.scalars(select(JobRow).where(JobRow.state == "queued")))
            for row in waiting:
                if row.created_at < utc_now() - timedelta(seconds=JOB_SECONDS):
                    self._publish(api, row.id)
            self._end_batches(api)
            self._end_exports(api)
            if not waiting:
                api.start_job()
            if len(api.client.get("/v1/models").json()["items"]) < 3:
                self._publish(api, api.start_job())
            evaluations = api.client.get("/v1/evaluations?limit=1").json()["items"]
            if not evaluations or not evaluations[0]["has_images"]:  # the newest is the one that links lead to
                self._evaluate(api)
            sets = api.client.get("/v1/support-sets?limit=1").json()["items"]
            if not sets or sets[0]["is_frozen"]:
                api.upload()

    def _end_batches(self, api: Api) -> None:
        """End the batches that have waited long enough, whatever their images show."""
        context = api.context
        with context.readers() as session:
            batches = list(session.scalars(select(BatchRow).where(BatchRow.state == "queued")))
        for row in batches:
            if row.created_at > utc_now() - timedelta(seconds=JOB_SECONDS):
                continue
            with context.sessions.begin() as session:
                lease = BatchLeases(session).claim(row.id, "tester", 60, utc_now())
                if lease is not None:
                    result = answered_row("a.png", Prediction({"cat": 1.0}))
                    BatchBlobs(context.store, row.blob_key).put_results(lease.chunk, [result])
                    BatchLeases(session).finish_chunk(lease, row.num_images, 0, utc_now())

    def _end_exports(self, api: Api) -> None:
        """End the exports that have waited long enough, without the files that a worker would make."""
        with api.context.readers() as session:
            exports = list(session.scalars(select(ExportRow).where(ExportRow.state == "queued")))
        for row in exports:
            if row.created_at > utc_now() - timedelta(seconds=JOB_SECONDS):
                continue
            api.context.store.put(f"{row.blob_key}/README.md", b"")
            with api.context.sessions.begin() as session:
                lease = ExportLeases(session).claim(row.id, "tester", 60, utc_now())
                if lease is not None:
                    ExportLeases(session).succeed(lease, {"files": {"README.md": 0}}, 0, utc_now())

    def _evaluate(self, api: Api) -> None:
        parts = [("cat", ("a.png", encode_image(1))), ("dog", ("b.png", encode_image(2)))]
        api.client.post("/v1/evaluations?model=satellite&keep_images=true", files=parts)

    def _publish(self, api: Api, job_id: str) -> None:
        with suppress(AssertionError):  # somebody has cancelled the job meanwhile
            model_id = api.publish(job_id)
            api.client.put("/v1/aliases/satellite", json={"model_id": model_id})


@pytest.fixture
def served(make_api: MakeApi) -> Iterator[ServedApi]:
    api = make_api(role=Role.ALL, require_keys=True)
    with api.context.sessions.begin() as session:
        access = AccessRepository(session)
        tenant = access.ensure_tenant("tester", utc_now())
        key = access.create_key(tenant.id, "", frozenset(KeyScope), utc_now())
    api.client.headers["Authorization"] = f"Bearer {key.text}"
    api.publish()
    with ServedApi(api) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(540)
def test_no_request_that_schemathesis_makes_of_the_description_gets_an_undocumented_answer(
    served: ServedApi, tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json", "--report-json-path", str(report)]
    command += ["--header", f"Authorization: {served.authorization}"]
    done = subprocess.run(
        command,
        cwd=FOLDER,
        env={**os.environ, "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    described = [f"{method.upper()} {path}" for path, methods in describe()["paths"].items() for method in methods]
    sys.stdout.write(done.stdout[done.stdout.find("= SUMMARY") :] + "\n")
    for operation in described:
        sys.stdout.write(f"{operation:64} {dict(sorted(served.statuses[operation].items()))}\n")
    assert done.returncode == 0, done.stdout + done.stderr
    failed = {operation for operation in described if not any(status < 300 for status in served.statuses[operation])}
    # A machine that is busy elsewhere makes fewer cases in the time that they have.
    if sum(sum(counts.values()) for counts in served.statuses.values()) >= ENOUGH_REQUESTS:
        assert failed - BY_CHANCE == set()
    assert len(failed) < len(described) / 3
