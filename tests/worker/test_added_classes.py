"""A job that adds a class to a model: no step, the tower as it is, a new model beside the old one."""

from collections.abc import Callable
from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import select

from app.domain.jobs import JobState
from app.infra.clock import utc_now
from app.infra.job_repository import JobRepository, NewJob
from app.infra.model_repository import ModelRepository
from app.infra.tables import JobRow, ModelRow, SupportImageRow, SupportSetRow
from tests.worker.conftest import add_job, make_images
from tests.worker.test_attempt import adapter_files
from vtt_core.adapter.files import Adapter, adapter_from_files
from vtt_core.contract.recipe import FinetuneRecipe
from worker.attempt import attempt_job
from worker.context import WorkerContext

ReadJob = Callable[[str], JobRow]


def add_extended_set(context: WorkerContext) -> None:
    """Add `set_2`: the images of `set_1`, and those of its red class turned green as a class of its own."""
    images = make_images()
    for label, encoded in images[::2]:
        assert label == "red square"
        red, green, blue = Image.open(BytesIO(encoded)).split()
        turned = BytesIO()
        Image.merge("RGB", (green, red, blue)).save(turned, "PNG")
        images.append(("green square", turned.getvalue()))
    with context.session_factory.begin() as session:
        session.add(SupportSetRow(id="set_2", empty_labels=[], created_at=utc_now()))
        session.flush()
        for position, (label, encoded) in enumerate(images):
            key = f"support-sets/set_2/img_{position}"
            context.store.put(key, encoded)
            facts = {"size_bytes": len(encoded), "width": 40, "height": 40, "image_format": "PNG", "created_at": utc_now()}
            row = {"id": f"img_2{position}", "support_set_id": "set_2", "label": label, "position": position, "blob_key": key}
            session.add(SupportImageRow(**row, **facts, file_name=f"{position}.png", sha256=f"{position:064}"))


def add_class(context: WorkerContext, base_id: str) -> str:
    """Queue the job that adds the green class."""
    add_extended_set(context)
    with context.session_factory.begin() as session:
        recipe = FinetuneRecipe.from_json(session.get_one(ModelRow, base_id).recipe)
        new_job = NewJob("set_2", "mini", recipe, 7, "0" * 64, base_model_id=base_id)
        return JobRepository(session).create(new_job, utc_now())[0].id


def model_of(context: WorkerContext, job_id: str) -> ModelRow:
    with context.session_factory() as session:
        return session.scalars(select(ModelRow).where(ModelRow.job_id == job_id, ~ModelRow.is_interim)).one()


def adapter_of(context: WorkerContext, model: ModelRow) -> Adapter:
    return adapter_from_files(adapter_files(context, model))


@pytest.fixture
def base(context: WorkerContext) -> ModelRow:
    job_id = add_job(context.session_factory)
    attempt_job(context, job_id)
    return model_of(context, job_id)


@pytest.mark.slow
def test_the_new_model_has_the_old_tower_and_one_more_class(context: WorkerContext, read_job: ReadJob, base: ModelRow) -> None:
    job_id = add_class(context, base.id)
    attempt_job(context, job_id)
    row, model = read_job(job_id), model_of(context, job_id)
    assert (row.state, row.num_steps, row.step) == (JobState.SUCCEEDED, 0, 0)
    assert (model.labels, base.labels) == (["red square", "blue square", "green square"], ["red square", "blue square"])
    old, new = adapter_of(context, base), adapter_of(context, model)
    assert new.lora.rank == old.lora.rank > 0
    assert all((new.lora.matrices()[name] == matrix).all() for name, matrix in old.lora.matrices().items())
    assert new.manifest.head is not None
    assert new.manifest.head.added_labels == ("green square",)
    assert model.metrics["expected_accuracy"] is None
    assert "'green square'" in model.metrics["advice"][0]
    with context.session_factory() as session:
        assert ModelRepository(session).get(base.id).deleted_at is None
        events = JobRepository(session).events_after(job_id, 0)
    assert [event.payload.get("state") for event in events] == ["queued", "running", "verifying", "succeeded"]
    assert context.store.folders("jobs") == []


def test_a_model_that_was_deleted_in_the_meantime_fails_the_job(
    context: WorkerContext, read_job: ReadJob, base: ModelRow
) -> None:
    job_id = add_class(context, base.id)
    with context.session_factory.begin() as session:
        ModelRepository(session).delete(base.id, utc_now())
    attempt_job(context, job_id)
    row = read_job(job_id)
    assert row.error is not None
    assert (row.state, row.error["code"], row.attempt) == (JobState.FAILED, "gone", 1)
