"""A worker predicts a batch, chunk by chunk."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial

import pytest

from app.domain.access import Quotas
from app.domain.batches import answered_row
from app.domain.errors import RateLimitedError
from app.infra.access_repository import AccessRepository
from app.infra.batch_blobs import BatchBlobs, SentImage
from app.infra.batch_leases import BatchLeases
from app.infra.batch_repository import BatchRepository
from app.infra.clearing import clear_batches
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository, NewJob
from app.infra.object_store import ObjectStore
from app.infra.tables import BatchRow, ModelRow, PredictionRow, TenantRow
from tests.fixtures.rows import add_batch
from tests.worker.conftest import SentMessages, make_images
from vtt_core.contract.errors import VttError
from vtt_core.contract.recipe import DEFAULT_PRESET, make_recipe
from vtt_core.serving.engine import Engine, EngineSettings
from worker.attempt import attempt_job
from worker.batch import run_batch_chunk
from worker.context import WorkerContext

REFUSAL = {"file": "b.png", "status": 422, "code": "image.too_many_bytes", "expected": "", "got": "", "remedy": ""}
CHUNKS = (
    [SentImage(f"{place}.png", encoded) for place, (_, encoded) in enumerate(make_images())],
    [SentImage("a.txt", b"text"), SentImage("b.png", None, REFUSAL)],
)


@pytest.fixture
def model_id(context: WorkerContext, sent: SentMessages) -> str:
    recipe = make_recipe("frozen", DEFAULT_PRESET, {}, backbone_id="mini")
    with context.session_factory.begin() as session:
        job, _ = JobRepository(session).create(NewJob("set_1", "mini", recipe, 7, "0" * 64), utc_now())
    attempt_job(context, job.id)
    with context.session_factory() as session:
        return session.query(ModelRow).filter(~ModelRow.is_interim).one().id


@pytest.fixture
def batch_id(context: WorkerContext, model_id: str) -> str:
    for number, chunk in enumerate(CHUNKS):
        BatchBlobs(context.store, "batches/bat_1").put_images(number, chunk)
    with context.session_factory.begin() as session:
        return add_batch(session, model_id)


def read(context: WorkerContext, batch_id: str) -> BatchRow:
    with context.session_factory() as session:
        return session.get_one(BatchRow, batch_id)


def test_a_batch_is_predicted_a_chunk_a_message_and_its_images_go(
    context: WorkerContext, batch_id: str, sent: SentMessages
) -> None:
    run_batch_chunk(context, batch_id)
    row = read(context, batch_id)
    assert (row.state, row.num_done, row.num_refused, row.holder) == ("running", 4, 0, None)
    assert sent.job_ids == [batch_id]
    assert context.store.keys("batches") == ["batches/bat_1/images/1", "batches/bat_1/results/0"]
    run_batch_chunk(context, batch_id)
    row = read(context, batch_id)
    assert (row.state, row.num_done, row.num_refused, row.needs_clearing) == ("succeeded", 6, 2, False)
    assert sent.job_ids == [batch_id]
    assert context.store.keys("batches") == ["batches/bat_1/results/0", "batches/bat_1/results/1"]
    counted = context.metrics.registry.get_sample_value
    assert counted("vtt_chunk_attempts_total", {"outcome": "succeeded"}) == 2
    assert counted("vtt_background_batch_seconds_count") == 1
    results = list(BatchBlobs(context.store, "batches/bat_1").results(2))
    assert [result["file"] for result in results] == ["0.png", "1.png", "2.png", "3.png", "a.txt", "b.png"]
    assert [result["label"] for result in results[:4]] == [label for label, _ in make_images()]
    assert sum(results[0]["probabilities"].values()) == pytest.approx(1)
    assert (results[4]["code"], results[5]) == ("image.not_an_image", REFUSAL)


@pytest.mark.slow
def test_a_batch_says_what_the_engine_of_predict_says(context: WorkerContext, batch_id: str, model_id: str) -> None:
    run_batch_chunk(context, batch_id)
    with context.session_factory() as session:
        key = session.get_one(ModelRow, model_id).adapter_key
    engine = Engine("cpu", EngineSettings(), time.perf_counter)
    files = {name: context.store.get(f"{key}/{name}") for name in ("manifest.json", "adapter.safetensors")}
    read_bytes = [partial(bytes, image.content or b"") for image in CHUNKS[0]]
    pixels = [one for one in engine.read_images("mini", read_bytes) if not isinstance(one, VttError)]
    expected = engine.predict(model_id, "mini", lambda: files, pixels)
    engine.close()
    results = json.loads(context.store.get("batches/bat_1/results/0"))
    for image, result, prediction in zip(CHUNKS[0], results, expected, strict=True):
        said = answered_row(image.file, prediction)
        assert result["probabilities"] == pytest.approx(said["probabilities"], abs=1e-5)
        assert result["familiarity"] == pytest.approx(said["familiarity"], abs=1e-5)
        assert result["none_of_these"] == said["none_of_these"]


def test_the_same_chunk_twice_gives_the_same_results(context: WorkerContext, batch_id: str) -> None:
    class Died(BaseException):
        """The process ends after the results are in the store."""

    class Store(ObjectStore):
        def put(self, key: str, content: bytes) -> None:
            super().put(key, content)
            if "/results/" in key:
                raise Died

    dying = replace(context, store=Store(context.settings.resolved_store_url), holder="dying")
    with pytest.raises(Died):
        run_batch_chunk(dying, batch_id)
    before = context.store.get("batches/bat_1/results/0")
    assert read(context, batch_id).num_done == 0
    run_batch_chunk(context, batch_id)  # the lease of the other has not expired
    assert read(context, batch_id).num_done == 0
    with context.session_factory.begin() as session:
        session.get_one(BatchRow, batch_id).lease_expires_at = utc_now()
    run_batch_chunk(context, batch_id)
    assert (read(context, batch_id).num_done, context.store.get("batches/bat_1/results/0")) == (4, before)


def test_a_batch_without_its_model_or_images_fails_with_the_reason(context: WorkerContext, batch_id: str) -> None:
    with context.session_factory.begin() as session:
        session.query(ModelRow).update({"deleted_at": utc_now()})
    run_batch_chunk(context, batch_id)
    row = read(context, batch_id)
    assert (row.state, row.error and row.error["code"], row.needs_clearing) == ("failed", "gone", True)


def test_a_cancelled_batch_gets_no_result(context: WorkerContext, batch_id: str, sent: SentMessages) -> None:
    class Store(ObjectStore):
        def put(self, key: str, content: bytes) -> None:
            super().put(key, content)
            with context.session_factory.begin() as session:
                BatchRepository(session).cancel(batch_id, utc_now())

    run_batch_chunk(replace(context, store=Store(context.settings.resolved_store_url)), batch_id)
    assert (read(context, batch_id).state, read(context, batch_id).num_done, sent.job_ids) == ("cancelled", 0, [])


def test_a_batch_that_is_deleted_while_a_worker_predicts_leaves_no_result(context: WorkerContext, batch_id: str) -> None:
    class Store(ObjectStore):
        def put(self, key: str, content: bytes) -> None:
            with context.session_factory.begin() as session:
                row = BatchRepository(session).delete(batch_id, utc_now())
            BatchBlobs(context.store, row.blob_key).clear(keeps_results=False)
            with context.session_factory.begin() as session:
                BatchLeases(session).note_cleared(batch_id, was_deleted=True)
            super().put(key, content)

    run_batch_chunk(replace(context, store=Store(context.settings.resolved_store_url)), batch_id)
    clear_batches(context.session_factory, context.store, utc_now())
    assert context.store.keys("batches") == []
    assert not read(context, batch_id).needs_clearing


def test_a_worker_that_is_asked_to_stop_gives_the_chunk_back(context: WorkerContext, batch_id: str, sent: SentMessages) -> None:
    context.stop.set()
    run_batch_chunk(context, batch_id)
    row = read(context, batch_id)
    assert (row.state, row.attempt, row.holder, sent.job_ids) == ("running", 0, None, [batch_id])


def test_a_tenant_that_has_had_its_predictions_of_this_minute_waits(
    context: WorkerContext, batch_id: str, sent: SentMessages
) -> None:
    asked: list[tuple[int | None, int]] = []

    class Full:
        def count(self, what: str, caller: str, per_minute: int | None, amount: int = 1) -> None:
            asked.append((per_minute, amount))
            raise RateLimitedError(expected="", got="", remedy="", retry_after_seconds=30)

    with context.session_factory.begin() as session:
        AccessRepository(session).set_quotas(session.get_one(TenantRow, "default"), Quotas(max_predictions_per_minute=3))
    run_batch_chunk(replace(context, rates=Full()), batch_id)  # type: ignore[arg-type]
    row = read(context, batch_id)
    assert asked == [(3, 3)]
    assert (row.state, row.num_done, row.attempt, row.holder, sent.job_ids) == ("running", 0, 0, None, [])
    assert row.not_before is not None
    with context.session_factory.begin() as session:
        assert BatchLeases(session).claim(batch_id, "worker-2", 30, utc_now()) is None


def test_predictions_are_kept_as_rows_of_their_tenant_where_the_settings_say_so(context: WorkerContext, batch_id: str) -> None:
    settings = context.settings.model_copy(update={"prediction_retention_days": 1.0})
    run_batch_chunk(replace(context, settings=settings), batch_id)
    with context.session_factory() as session:
        rows = session.query(PredictionRow).all()
    assert sorted(row.label for row in rows) == ["blue square"] * 2 + ["red square"] * 2
    assert {row.tenant_id for row in rows} == {"default"}
