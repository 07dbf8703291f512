import pytest

from app.domain.errors import BlobMissingError, NotFoundError
from app.infra.tables import SupportImageRow, SupportSetRow
from tests.worker.conftest import add_job, make_images
from worker.context import WorkerContext
from worker.pipeline.fetch import fetch_support_set, read_job_spec


def test_a_spec_holds_what_the_job_asks_for(context: WorkerContext) -> None:
    job_id = add_job(context.session_factory, iterations=4, seed=11)
    with context.session_factory() as session:
        spec = read_job_spec(session, job_id)
    assert (spec.backbone_id, spec.seed, spec.recipe.iterations, len(spec.images)) == ("mini", 11, 4, 4)


def test_classes_and_images_keep_the_order_of_their_upload(context: WorkerContext) -> None:
    job_id = add_job(context.session_factory)
    with context.session_factory() as session:
        spec = read_job_spec(session, job_id)
    support_set = fetch_support_set(spec, context.store)
    assert support_set.labels == ("red square", "blue square")
    assert [image.name for image in support_set.classes[1].images] == ["1.png", "3.png"]
    assert [image.encoded for image in support_set.classes[0].images] == [
        encoded for label, encoded in make_images() if label == "red square"
    ]


def test_groups_come_along_and_the_negative_class_is_no_class(context: WorkerContext) -> None:
    job_id = add_job(context.session_factory)
    with context.session_factory.begin() as session:
        session.get_one(SupportSetRow, "set_1").negative_label = "red square"
        session.get_one(SupportImageRow, "img_0").group_name = "patient 1"
        session.get_one(SupportImageRow, "img_3").group_name = "patient 2"
    with context.session_factory() as session:
        support_set = fetch_support_set(read_job_spec(session, job_id), context.store)
    assert support_set.labels == ("blue square",)
    assert [image.group for image in support_set.classes[0].images] == [None, "patient 2"]
    assert [(image.name, image.group) for image in support_set.negatives] == [("0.png", "patient 1"), ("2.png", None)]


def test_a_missing_blob_and_a_missing_job_are_named(context: WorkerContext) -> None:
    job_id = add_job(context.session_factory)
    with context.session_factory() as session:
        spec = read_job_spec(session, job_id)
        with pytest.raises(NotFoundError):
            read_job_spec(session, "job_none")
    context.store.delete("support-sets/set_1/img_0")
    with pytest.raises(BlobMissingError, match="img_0"):
        fetch_support_set(spec, context.store)
