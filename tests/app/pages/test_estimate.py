"""The time of a job is that of the last ones of its kind, or is said without a figure."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.infra.tables import JobRow
from app.pages.estimate import estimate
from tests.fixtures.http_api import Api, encode_image
from vtt_core.contract.recipe import make_recipe


def finish(api: Api, seconds: float, num_images: int, **fields: object) -> None:
    """Let a job have taken so long."""
    images = {label: [encode_image(place * 100 + k) for k in range(num_images // 2)] for place, label in enumerate("ab")}
    job_id = api.start_job(api.upload(images), **fields)
    api.publish(job_id)
    with api.context.sessions.begin() as session:
        job = session.get_one(JobRow, job_id)
        assert job.started_at is not None
        job.finished_at = job.started_at + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("method", "backbone_id", "words"),
    [
        ("auto", "mini", "seconds"),
        ("frozen", "ViT-B-32/openai", "seconds"),
        ("auto", "ViT-B-32/openai", "perhaps_minutes"),
        ("coop", "mini", "minutes"),
    ],
)
def test_without_a_job_before_there_is_no_figure(api: Api, method: str, backbone_id: str, words: str) -> None:
    with api.context.readers() as session:
        found = estimate(session, backbone_id, make_recipe(method, backbone_id=backbone_id), 10)
    assert (found.words, found.seconds) == (words, None)


def test_a_job_that_takes_no_steps_lasts_as_its_images_are_many(api: Api) -> None:
    finish(api, seconds=4, num_images=4, method="frozen")
    with api.context.readers() as session:
        found = estimate(session, "mini", make_recipe("frozen", backbone_id="mini"), 8)
    assert (found.words, found.seconds) == ("as_before", pytest.approx(8))


def test_a_fine_tuning_lasts_as_its_steps_are_many(api: Api) -> None:
    finish(api, seconds=50, num_images=4, method="coop", recipe={"iterations": 100})
    finish(api, seconds=1, num_images=4, method="frozen")
    with api.context.readers() as session:
        found = estimate(session, "mini", make_recipe("coop", changes={"iterations": 300}, backbone_id="mini"), 8)
    assert found.seconds == pytest.approx(150)
