import io
import random
from pathlib import Path

import pytest
from PIL import Image

from app.cli.synthetic_images import make_image
from app.infra.settings import Role, Settings
from app.predictions.make_engine import make_prediction_engine
from tests.fixtures.http_api import Api, FakeEngine, MakeApi, encode_image

LABELS = ("rings", "star", "stripes")


def drawn(label: str, count: int) -> list[bytes]:
    rng, encoded = random.Random(label), []
    for _ in range(count):
        buffer = io.BytesIO()
        make_image(label, rng).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded


def smaller(encoded: bytes) -> bytes:
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(encoded)) as image:
        image.resize((80, 80)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.slow
def test_a_report_names_a_photo_that_is_in_two_classes(make_api: MakeApi, settings: Settings) -> None:
    engine = make_prediction_engine(settings)
    api = make_api(role=Role.ALL, engine=engine)
    images = {label: drawn(label, 4) for label in LABELS}
    images["star"].append(smaller(images["rings"][1]))
    support_set = api.upload(images)

    answer = api.client.post(f"/v1/support-sets/{support_set}/report")

    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["support_set_id"], report["backbone"], report["num_images"]) == (support_set, "mini", 13)
    assert [one["label"] for one in report["classes"]] == list(LABELS)
    assert report["findings"][0]["kind"] == "copies.across_classes"
    assert report["findings"][0]["images"] == ["rings/1.png", "star/4.png"]
    shown = api.client.get(f"/v1/support-sets/{support_set}").json()
    assert not shown["is_frozen"]
    assert report["image_ids"] == {f"{image['label']}/{image['file']}": image["id"] for image in shown["images"]}


def test_images_with_the_same_name_are_told_apart_by_their_ids(api: Api) -> None:
    parts = [("cat", ("a.png", encode_image(1))), ("cat", ("a.png", encode_image(2))), ("dog", ("a.png", encode_image(3)))]
    created = api.client.post("/v1/support-sets", files=parts).json()
    ids = api.client.post(f"/v1/support-sets/{created['id']}/report").json()["image_ids"]
    assert len(ids) == 3
    assert "dog/a.png" in ids
    assert all(image_id in name for name, image_id in ids.items() if name.startswith("cat"))


def test_the_negative_class_is_looked_at_and_is_no_class(api: Api) -> None:
    support_set = api.upload({label: [encode_image(place)] for place, label in enumerate(("cat", "dog", "wall"))})
    api.client.patch(f"/v1/support-sets/{support_set}", json={"negative": "wall"})
    report = api.client.post(f"/v1/support-sets/{support_set}/report").json()
    assert report["num_images"] == 3
    assert [one["label"] for one in report["classes"]] == ["cat", "dog"]


def test_a_frozen_set_can_be_reported_on(api: Api) -> None:
    support_set = api.upload()
    api.start_job(support_set)
    assert api.client.post(f"/v1/support-sets/{support_set}/report").status_code == 200


def test_what_cannot_be_reported_on_is_refused(api: Api) -> None:
    one_class = api.upload({"cat": [encode_image(1), encode_image(2)]})
    deleted = api.upload()
    assert api.client.delete(f"/v1/support-sets/{deleted}").status_code == 204
    answers = [api.client.post(f"/v1/support-sets/{reference}/report") for reference in (one_class, deleted, "set_unknown")]
    assert [answer.json()["code"] for answer in answers] == ["support_set.too_few_classes", "gone", "not_found"]
    assert [answer.status_code for answer in answers] == [422, 410, 404]


def test_a_process_without_a_backbone_is_not_ready(make_api: MakeApi) -> None:
    api = make_api(role=Role.ALL)
    support_set = api.upload()
    assert api.context.predictor is not None
    api.context.predictor._engine = None
    answer = api.client.post(f"/v1/support-sets/{support_set}/report")
    assert (answer.status_code, answer.json()["code"]) == (503, "predictions.not_ready")


def test_a_report_that_would_wait_too_long_is_refused_before_it_begins(api: Api) -> None:
    support_set, queue = api.upload(), api.context.bounds.reports
    queue.calibrate(1.0, 10)
    queue.num_units = 100
    answer = api.client.post(f"/v1/support-sets/{support_set}/report")
    assert (answer.status_code, answer.json()["code"]) == (503, "service.overloaded")
    assert "Retry-After" in answer.headers


@pytest.mark.parametrize(("role", "status"), [(Role.CONTROL, 404), (Role.PREDICT, 200), (Role.ALL, 200)])
def test_the_roles_with_a_backbone_answer(make_api: MakeApi, role: Role, status: int) -> None:
    support_set = make_api(role=Role.ALL).upload()
    api = make_api(role=role, engine=FakeEngine())
    assert api.client.post(f"/v1/support-sets/{support_set}/report").status_code == status


def test_the_proxy_sends_reports_to_the_role_that_has_the_backbone() -> None:
    caddyfile = (Path(__file__).parents[3] / "deploy" / "Caddyfile").read_text()
    assert "@predict path */predict */report " in caddyfile
