"""A worker exports a model, once, and verified."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain.access import blob_folder
from app.domain.errors import DiskFullError
from app.domain.exports import MAX_EXPORT_ATTEMPTS, ExportState
from app.infra.clearing import clear_exports
from app.infra.clock import utc_now
from app.infra.export_leases import ExportLeases
from app.infra.export_repository import ExportRepository
from app.infra.job_repository import JobRepository, NewJob
from app.infra.model_repository import ModelRepository
from app.infra.object_store import ObjectStore
from app.infra.tables import ExportRow, ModelRow
from tests.worker.conftest import SentMessages
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.contract.exports import ExportKind
from vtt_core.contract.recipe import DEFAULT_PRESET, make_recipe
from worker.attempt import attempt_job
from worker.context import WorkerContext
from worker.export import run_export

pytestmark = pytest.mark.slow


@pytest.fixture
def model_id(context: WorkerContext) -> str:
    recipe = make_recipe("frozen", DEFAULT_PRESET, {}, backbone_id="mini")
    with context.session_factory.begin() as session:
        job, _ = JobRepository(session).create(NewJob("set_1", "mini", recipe, 7, "0" * 64), utc_now())
    attempt_job(context, job.id)
    with context.session_factory() as session:
        return session.query(ModelRow).filter(~ModelRow.is_interim).one().id


def ask(context: WorkerContext, model_id: str, kind: ExportKind) -> str:
    with context.session_factory.begin() as session:
        model = session.get_one(ModelRow, model_id)
        row, _ = ExportRepository(session).ask(model, kind, blob_folder(model.tenant_id), None, utc_now())
        return row.id


def read(context: WorkerContext, export_id: str) -> ExportRow:
    with context.session_factory() as session:
        return session.get_one(ExportRow, export_id)


def state_sha256(context: WorkerContext) -> str:
    """Return the hash of the weights that are in memory now."""
    return hash_weights(context.backbones.get("mini").clip.state_dict())


@pytest.mark.parametrize("kind", [ExportKind.OPEN_CLIP, ExportKind.ONNX, ExportKind.WEB])
def test_an_export_is_stored_with_its_agreement_on_the_support_set(
    context: WorkerContext, model_id: str, kind: ExportKind
) -> None:
    export_id = ask(context, model_id, kind)
    run_export(context, export_id)
    row = read(context, export_id)
    assert row.error is None
    assert (row.state, row.holder) == (ExportState.SUCCEEDED, None)
    assert row.report is not None
    stored = {key.removeprefix(f"{row.blob_key}/") for key in context.store.keys(row.blob_key)}
    assert stored == set(row.report["files"])
    assert row.size_bytes == sum(row.report["files"].values())
    assert row.report["agreement"]["num_images"] == 4
    assert row.report["agreement"]["same_top1"] == 1.0
    assert context.job_ids == []
    counted = context.metrics.registry.get_sample_value
    assert counted("vtt_export_attempts_total", {"outcome": "succeeded"}) == 1
    assert counted("vtt_export_seconds_count") == 1


def test_the_backbone_in_memory_is_used_and_stays_as_it_is(
    context: WorkerContext, model_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(backbone_id: str, **_: object) -> Backbone:
        raise AssertionError(f"{backbone_id} was loaded again")

    for module in ("worker.backbones", "worker.export", "vtt_core.exports.source"):
        monkeypatch.setattr(f"{module}.load_backbone", load)
    before = state_sha256(context)
    export_id = ask(context, model_id, ExportKind.ONNX)
    run_export(context, export_id)
    assert read(context, export_id).state == ExportState.SUCCEEDED
    assert state_sha256(context) == before


def test_a_form_that_has_no_place_for_the_model_is_refused_with_the_reason(context: WorkerContext, model_id: str) -> None:
    export_id = ask(context, model_id, ExportKind.PEFT)
    run_export(context, export_id)
    row = read(context, export_id)
    assert (row.state, row.attempt) == (ExportState.FAILED, 1)
    assert row.error is not None
    assert (row.error["code"], "no LoRA" in row.error["got"]) == ("export.unsupported", True)


def test_what_another_worker_holds_is_left_alone(context: WorkerContext, model_id: str) -> None:
    export_id = ask(context, model_id, ExportKind.OPEN_CLIP)
    with context.session_factory.begin() as session:
        assert ExportLeases(session).claim(export_id, "another", 60, utc_now()) is not None
    run_export(context, export_id)
    assert read(context, export_id).holder == "another"


def test_a_stop_hands_it_back_and_does_not_count(context: WorkerContext, model_id: str, sent: SentMessages) -> None:
    export_id = ask(context, model_id, ExportKind.OPEN_CLIP)
    context.stop.set()
    run_export(context, export_id)
    row = read(context, export_id)
    assert (row.state, row.attempt) == (ExportState.QUEUED, 0)
    assert sent.job_ids[-1] == export_id
    assert context.store.keys(row.blob_key) == []


def test_a_model_that_is_deleted_meanwhile_leaves_nothing(context: WorkerContext, model_id: str) -> None:
    export_id = ask(context, model_id, ExportKind.OPEN_CLIP)
    with context.session_factory.begin() as session:
        ModelRepository(session).delete(model_id, utc_now() - timedelta(seconds=1))
    run_export(context, export_id)
    assert read(context, export_id).state == ExportState.FAILED
    assert clear_exports(context.session_factory, context.store) == [export_id]


class SmallDisk(ObjectStore):
    """A store with room for small files only."""

    def put(self, key: str, content: bytes) -> None:
        if len(content) > 200_000:
            raise DiskFullError(expected="room", got="a full disk", remedy="Make room")
        super().put(key, content)


def test_an_export_that_never_fits_on_the_disk_fails_after_some_attempts_and_leaves_nothing(
    context: WorkerContext, model_id: str, sent: SentMessages
) -> None:
    context.settings = context.settings.model_copy(update={"lease_seconds": 0.6})
    context.store = SmallDisk(context.settings.resolved_store_url)
    export_id = ask(context, model_id, ExportKind.OPEN_CLIP)
    num_sent = len(sent.job_ids)
    for attempt in range(1, MAX_EXPORT_ATTEMPTS + 1):
        run_export(context, export_id)
        assert read(context, export_id).attempt == attempt
    row = read(context, export_id)
    assert row.state == ExportState.FAILED
    assert row.error is not None
    assert row.error["code"] == "disk.full"
    assert len(sent.job_ids) == num_sent + MAX_EXPORT_ATTEMPTS - 1
    assert context.store.keys(row.blob_key) == []
