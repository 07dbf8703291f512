"""A model that was restored from a backup predicts the same numbers, in another kind of database and store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from app.cli.main import cli
from app.infra.clock import utc_now
from app.infra.database import SessionFactory, make_engine, make_session_factory, migrate
from app.infra.model_repository import ModelRepository
from app.infra.object_store import ObjectStore
from app.infra.queue import JobQueue
from app.infra.settings import Settings, load_settings
from app.main import create_app
from tests.fixtures.http_api import OWN_URL, encode_image
from tests.worker.conftest import add_job, add_support_set
from worker.attempt import attempt_job
from worker.backbones import BackboneCache
from worker.context import WorkerContext

pytestmark = [pytest.mark.services, pytest.mark.slow]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """Run a command in the environment of a service, and return its JSON."""

    def call(settings: Settings, *words: str) -> dict[str, object]:
        monkeypatch.setenv("VTT_DATABASE_URL", settings.database_url)
        monkeypatch.setenv("VTT_STORE_URL", settings.store_url)
        load_settings.cache_clear()
        result = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        return dict(json.loads(result.stdout))

    return call


def train(settings: Settings) -> None:
    """Create a published model with an alias, and a waiting job."""
    migrate(settings.database_url)
    engine = make_engine(settings.database_url)
    try:
        _train(settings, make_session_factory(engine))
    finally:
        engine.dispose()


def _train(settings: Settings, sessions: SessionFactory) -> None:
    store = ObjectStore(settings.store_url)
    add_support_set(sessions, store)
    context = WorkerContext(settings, sessions, store, JobQueue(settings.broker_url), BackboneCache("cpu"), holder="worker-1")
    job_id = add_job(sessions)
    attempt_job(context, job_id)
    add_job(sessions)
    with sessions.begin() as session:
        models = ModelRepository(session)
        models.point_alias("shapes", models.resolve(job_id).id, utc_now())


def predict(settings: Settings) -> tuple[object, list[str]]:
    """Return the service's predictions for three images, and the states of its jobs."""
    app = create_app(settings)
    with TestClient(app, base_url=OWN_URL) as client:
        app.state.context.predictor.wait()
        images = [("images", (f"{colour}.png", encode_image(colour))) for colour in (0, 90, 200)]
        answer = client.post("/v1/models/shapes/predict", files=images)
        assert answer.status_code == 200, answer.text
        jobs = client.get("/v1/jobs").json()
        return answer.json(), sorted(job["state"] for job in jobs["items"])


@pytest.mark.parametrize("direction", ["sqlite to postgres", "postgres to sqlite"])
def test_a_restored_service_predicts_the_same_numbers(
    direction: str,
    run: Callable[..., dict[str, object]],
    tmp_path: Path,
    postgres_server,
    broker_url: str,
) -> None:
    name = f"backup_{abs(hash(tmp_path)):x}"
    urls = [f"sqlite:///{tmp_path}/vtt.sqlite", postgres_server.create_database(name)]
    if direction == "postgres to sqlite":
        urls.reverse()
    old, new = (
        Settings(data_dir=tmp_path, database_url=url, store_url=f"file://{tmp_path}/blobs-{place}", broker_url=broker_url)
        for place, url in enumerate(urls)
    )
    try:
        train(old)
        before = predict(old)
        backups = tmp_path / "backups"
        backups.mkdir()
        written = run(old, "backup", "--out", str(backups))
        assert Path(str(written["file"])).parent == backups
        restored = run(new, "restore", str(backups))
        assert restored["tables"] == written["tables"]
        assert predict(new) == before
        assert before[1] == ["queued", "succeeded"]
    finally:
        postgres_server.drop_database(name)
