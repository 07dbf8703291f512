"""Images of many bands: a job learns from the bands of its set, and its model reads every later image so."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from app.domain.access import blob_folder
from app.domain.exports import ExportState
from app.infra.batch_blobs import BatchBlobs, SentImage
from app.infra.clock import utc_now
from app.infra.export_repository import ExportRepository
from app.infra.job_repository import JobRepository, NewJob
from app.infra.tables import ExportRow, ModelRow, SupportImageRow, SupportSetRow
from tests.fixtures.band_images import LABELS, SIDE, WISH, band_tiff, plain_png
from tests.fixtures.rows import add_batch
from tests.worker.test_attempt import adapter_files
from vtt_core.adapter.files import Adapter, adapter_from_files
from vtt_core.contract.exports import ExportKind
from vtt_core.contract.recipe import DEFAULT_PRESET, make_recipe
from worker.attempt import attempt_job
from worker.batch import run_batch_chunk
from worker.context import WorkerContext
from worker.export import run_export

Image = tuple[str, bytes]
TAUGHT = [(label, number) for label in LABELS for number in range(3)]


def add_set(context: WorkerContext, set_id: str, images: Iterable[Image], bands: list[int] | None) -> None:
    stretch = None if bands is None else list(WISH.stretch)
    with context.session_factory.begin() as session:
        session.add(SupportSetRow(id=set_id, empty_labels=[], bands=bands, stretch=stretch, created_at=utc_now()))
        session.flush()
        for position, (label, encoded) in enumerate(images):
            key = f"support-sets/{set_id}/{position}"
            context.store.put(key, encoded)
            session.add(
                SupportImageRow(
                    id=f"{set_id}_{position}",
                    support_set_id=set_id,
                    label=label,
                    position=position,
                    file_name=f"{position}",
                    sha256=f"{position:064}",
                    size_bytes=len(encoded),
                    width=SIDE,
                    height=SIDE,
                    image_format="TIFF",
                    blob_key=key,
                    created_at=utc_now(),
                )
            )


def learn(context: WorkerContext, set_id: str, base_model_id: str | None = None) -> ModelRow:
    recipe = make_recipe("frozen", DEFAULT_PRESET, {}, backbone_id="mini")
    with context.session_factory.begin() as session:
        asked = NewJob(set_id, "mini", recipe, 7, "0" * 64, base_model_id=base_model_id)
        job, _ = JobRepository(session).create(asked, utc_now())
    attempt_job(context, job.id)
    with context.session_factory() as session:
        return session.query(ModelRow).filter(ModelRow.job_id == job.id).one()


def adapter_of(context: WorkerContext, model: ModelRow) -> Adapter:
    return adapter_from_files(adapter_files(context, model))


@pytest.fixture
def model(context: WorkerContext) -> ModelRow:
    add_set(context, "set_bands", [(label, band_tiff(label, number)) for label, number in TAUGHT], [4, 3, 2])
    return learn(context, "set_bands")


def batch_of(context: WorkerContext, model: ModelRow, name: str, images: list[bytes]) -> list[dict[str, object]]:
    BatchBlobs(context.store, f"batches/{name}").put_images(0, [SentImage("a", image) for image in images])
    with context.session_factory.begin() as session:
        add_batch(session, model.id, num_chunks=1, images_a_chunk=len(images), batch_id=name)
    run_batch_chunk(context, name)
    return list(BatchBlobs(context.store, f"batches/{name}").results(1))


@pytest.mark.slow
def test_the_model_is_that_of_the_plain_pictures_and_says_how_it_reads_bands(context: WorkerContext, model: ModelRow) -> None:
    add_set(context, "set_plain", [(label, plain_png(label, number)) for label, number in TAUGHT], None)
    plain = learn(context, "set_plain")
    assert model.bands == {"bands": [4, 3, 2], "black": [100] * 3, "white": [4180] * 3}
    assert plain.bands is None
    of_bands, of_plain = adapter_of(context, model), adapter_of(context, plain)
    assert of_bands.manifest.tensors_sha256 == of_plain.manifest.tensors_sha256
    assert of_bands.manifest.bands is not None
    assert (of_bands.manifest.bands.to_json(), of_bands.manifest.format_version) == (model.bands, 3)
    in_bands = batch_of(context, model, "bat_1", [band_tiff(label, 8) for label in LABELS])
    in_colours = batch_of(context, plain, "bat_2", [plain_png(label, 8) for label in LABELS])
    assert [one["label"] for one in in_bands] == list(LABELS)
    assert in_bands == in_colours
    (refused,) = batch_of(context, plain, "bat_3", [band_tiff(LABELS[0], 8)])
    assert refused["code"] == "image.unsupported_kind"


@pytest.mark.slow
def test_a_class_that_is_added_is_seen_as_the_tower_has_learnt_to_see(context: WorkerContext, model: ModelRow) -> None:
    more = [(label, band_tiff(label, number)) for label, number in TAUGHT] + [("dark", band_tiff(LABELS[0], 7))]
    add_set(context, "set_more", more, [4, 3, 2])
    with context.session_factory.begin() as session:
        session.get_one(SupportSetRow, "set_more").stretch = [10, 90]
    extended = learn(context, "set_more", model.id)
    assert (extended.labels, extended.bands) == ([*LABELS, "dark"], model.bands)


@pytest.mark.slow
def test_an_export_is_compared_on_the_bands(context: WorkerContext, model: ModelRow) -> None:
    with context.session_factory.begin() as session:
        asked = ExportRepository(session).ask(model, ExportKind.OPEN_CLIP, blob_folder(model.tenant_id), None, utc_now())
        export_id = asked[0].id
    run_export(context, export_id)
    with context.session_factory() as session:
        row = session.get_one(ExportRow, export_id)
    assert (row.state, row.error) == (ExportState.SUCCEEDED, None)
    assert row.report is not None
    assert row.report["agreement"]["num_images"] == len(TAUGHT)
