"""Evaluations over HTTP, with an engine that says what the image's first pixel tells it to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from PIL import Image

from app.infra.access_repository import AccessRepository
from app.infra.clock import utc_now
from app.infra.settings import Role, Settings
from tests.fixtures.http_api import Api, FakeEngine, MakeApi, encode_image, encode_zip
from tests.fixtures.manifests import make_manifest
from vtt_core.contract.limits import Limits
from vtt_core.contract.serving import AnswerOptions, Prediction

LABELS = ("cat", "dog")
CAT, DOG, STRANGE = 0, 1, 2


class PixelEngine(FakeEngine):
    """Sees a cat, a dog or none of them by the red of the first pixel, modulo 3; a model with three labels sees only cats."""

    def predict(
        self,
        model_id: str,
        backbone_id: str,
        load_files: Callable[[], Mapping[str, bytes]],
        images: Sequence[Image.Image],
        options: AnswerOptions = AnswerOptions(),  # noqa: B008  (frozen)
    ) -> list[Prediction]:
        self.num_images_at_once = max(getattr(self, "num_images_at_once", 0), len(images))
        self.options = options
        labels = self.adapter(model_id, backbone_id, load_files)
        return [self._say(labels, image.getpixel((0, 0))[0] % 3, options) for image in images]  # type: ignore[index]

    def _say(self, labels: Sequence[str], seen: int, options: AnswerOptions) -> Prediction:
        said = labels[0] if seen == STRANGE or len(labels) > 2 else labels[seen]
        shares = {said: 0.8} | {label: 0.2 / (len(labels) - 1) for label in labels if label != said}
        return Prediction(shares, none_of_these=seen == STRANGE, prediction_set=(said,), coverage=options.coverage)


def shade(seen: int, number: int) -> bytes:
    """An image that the engine sees so; every number gives another one."""
    return encode_image(seen + 3 * number)


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    return make_api(role=Role.ALL, engine=PixelEngine())


@pytest.fixture
def model(api: Api) -> str:
    return api.publish()


def files(**classes: Sequence[bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [(label, (f"{place}.png", content)) for label, several in classes.items() for place, content in enumerate(several)]


FIVE = files(cat=[shade(CAT, 1), shade(CAT, 2), shade(DOG, 3)], dog=[shade(DOG, 4), shade(DOG, 5)])


def evaluate(api: Api, model: str, parts: Any = FIVE, **params: Any) -> Response:
    return api.client.post(f"/v1/models/{model}/evaluations", files=parts, params=params)


def one(answer: Response) -> dict[str, Any]:
    assert answer.status_code in (201, 207), answer.text
    (evaluation,) = answer.json()["evaluations"]
    return dict(evaluation)


def three_classes() -> dict[str, bytes]:
    manifest = make_manifest(("cat", "dog", "cow"))
    return {"manifest.json": json.dumps(manifest.to_json()).encode(), "adapter.safetensors": b"tensors"}


def test_the_numbers_are_of_the_images_that_were_sent(api: Api, model: str) -> None:
    answer = evaluate(api, model, name="field trip", coverage=0.8)
    found = one(answer)
    assert (answer.status_code, answer.headers["location"]) == (201, found["links"]["self"])
    assert found["accuracy"]["accuracy"] == 0.8
    assert found["accuracy"]["low"] < 0.8 < found["accuracy"]["high"]
    assert found["confusion"] == [[2, 1], [0, 2]]
    cat, dog = found["per_class"]
    assert (cat["support"], cat["precision"], cat["recall"]) == (3, 1.0, pytest.approx(2 / 3))
    assert (dog["support"], dog["precision"], dog["f1"]) == (2, pytest.approx(2 / 3), pytest.approx(0.8))
    assert found["calibration_error"] == pytest.approx(0)
    assert found["prediction_sets"]["promised"] == 0.8
    assert found["prediction_sets"]["covered"]["share"] == 0.8
    assert (found["none_of_these"]["share"], found["name"], found["model"]) == (0.0, "field trip", model)
    assert [(wrong["image"], wrong["said"], wrong["link"]) for wrong in found["mistakes"]] == [("2.png", "dog", None)]
    assert answer.json()["refused"] == []


def test_it_is_listed_shown_and_deleted(api: Api, model: str) -> None:
    found = one(evaluate(api, model))
    for path in ("/v1/evaluations", f"/v1/models/{model}/evaluations"):
        (item,) = api.client.get(path).json()["items"]
        assert item == {name: found[name] for name in item}
    assert api.client.get(f"/v1/evaluations/{found['id']}").json() == found
    assert found["images"] == []
    assert api.client.delete(f"/v1/evaluations/{found['id']}").status_code == 204
    assert api.client.get(f"/v1/evaluations/{found['id']}").status_code == 404
    assert api.client.get("/v1/evaluations").json()["items"] == []


def test_a_zip_has_a_folder_a_class_and_is_measured_on_val(api: Api, model: str) -> None:
    archive = encode_zip(
        {
            "train/cat/a.png": shade(DOG, 1),
            "train/dog/a.png": shade(CAT, 2),
            "val/cat/b.png": shade(CAT, 3),
            "val/dog/b.png": shade(DOG, 4),
        }
    )
    answer = evaluate(api, model, [("archive", ("photos.zip", archive))])
    assert one(answer)["accuracy"]["num_images"] == 2
    assert one(answer)["accuracy"]["accuracy"] == 1.0
    assert "'val' (2 images). 'train' was not used" in answer.json()["notices"][0]


def test_more_images_of_a_class_than_a_support_set_takes_are_measured_a_few_at_a_time(api: Api, model: str) -> None:
    found = one(evaluate(api, model, files(cat=[shade(CAT, place) for place in range(40)])))
    assert found["accuracy"]["num_images"] == 40
    assert api.engine.num_images_at_once == 8  # type: ignore[attr-defined]


def test_images_of_unknown_classes_are_told_apart(api: Api, model: str) -> None:
    strangers = files(dogs=[shade(STRANGE, 8)], zebra=[shade(STRANGE, 6), shade(DOG, 7)])
    answer = evaluate(api, model, [*FIVE, *strangers])
    found = one(answer)
    assert (found["accuracy"]["num_images"], found["num_images"]) == (5, 8)
    assert found["unknown"]["labels"] == {"dogs": 1, "zebra": 2}
    assert found["unknown"]["told"]["share"] == pytest.approx(2 / 3)
    (notice,) = answer.json()["notices"]
    assert "'dogs', perhaps 'dog'" in notice


def test_upper_and_lower_case_are_the_same(api: Api, model: str) -> None:
    assert one(evaluate(api, model, files(Cat=[shade(CAT, 1)], DOG=[shade(DOG, 2)])))["accuracy"]["num_images"] == 2


def test_images_of_no_class_of_the_model_are_refused_before_any_is_read(api: Api, model: str) -> None:
    answer = evaluate(api, model, files(zebra=[b"no image"]))
    assert (answer.status_code, answer.json()["code"]) == (422, "evaluation.unknown_classes")
    assert "'cat', 'dog'" in answer.json()["expected"]
    assert answer.json()["got"] == "images of 'zebra'"


def test_what_cannot_be_used_has_a_reason_and_the_others_are_measured(api: Api, model: str) -> None:
    bad = [
        ("cat", ("text.png", b"no image")),
        ("dog", ("twice.png", shade(DOG, 4))),
        ("cat", ("both.png", shade(DOG, 5))),
        ("x" * 200, ("long.png", shade(CAT, 9))),
    ]
    answer = evaluate(api, model, [*FIVE, *bad])
    assert (answer.status_code, one(answer)["accuracy"]["num_images"]) == (207, 5)
    assert {refused["file"]: refused["code"] for refused in answer.json()["refused"]} == {
        "text.png": "image.not_an_image",
        "twice.png": "support_set.duplicate_image",
        "both.png": "support_set.conflicting_labels",
        "long.png": "support_set.bad_label",
    }


@pytest.mark.parametrize(
    ("parts", "status", "code"),
    [
        ([("cat", ("a.png", b"no image"))], 422, "images.nothing_usable"),
        ([("archive", ("a.zip", b"no zip"))], 422, "archive.not_a_zip"),
        ([("cat", (None, "a text"))], 422, "images.nothing_usable"),
    ],
)
def test_without_a_usable_image_nothing_is_stored(api: Api, model: str, parts: Any, status: int, code: str) -> None:
    answer = evaluate(api, model, parts, keep_images=True)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert api.client.get("/v1/evaluations").json()["items"] == []
    assert api.blobs("evaluations") == []


def test_more_images_than_an_evaluation_takes_are_refused_with_the_limit(make_api: MakeApi, settings: Settings) -> None:
    api = make_api(role=Role.ALL, engine=PixelEngine(), limits=Limits(max_evaluation_images=3))
    model = api.publish()
    archive = encode_zip({f"cat/{place}.png": shade(CAT, place) for place in range(4)})
    for parts in (FIVE, [("archive", ("a.zip", archive))]):
        answer = evaluate(api, model, parts)
        assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
        assert answer.json()["expected"] == "at most 3 images in an evaluation"


def test_kept_images_are_shown_without_metadata_and_go_with_the_evaluation(api: Api, model: str) -> None:
    answer = evaluate(api, model, keep_images=True)
    found = one(answer)
    assert found["has_images"]
    assert api.client.get(f"/v1/evaluations/{found['id']}").json() == found
    assert [(image["label"], image["file"]) for image in found["images"]] == [
        *(("cat", f"{place}.png") for place in range(3)),
        *(("dog", f"{place}.png") for place in range(2)),
    ]
    (mistake,) = found["mistakes"]
    image = api.client.get(mistake["link"])
    assert (image.status_code, image.headers["content-type"], image.content) == (200, "image/png", shade(DOG, 3))
    assert api.client.get(f"/v1/evaluations/{found['id']}/images/img_none").status_code == 404
    assert len(api.blobs("evaluations")) == 5
    assert api.client.delete(f"/v1/evaluations/{found['id']}").status_code == 204
    assert api.blobs("evaluations") == []


def test_nothing_is_kept_unless_asked(api: Api, model: str) -> None:
    found = one(evaluate(api, model))
    assert not found["has_images"]
    assert api.blobs("evaluations") == []
    missing = api.client.get(f"/v1/evaluations/{found['id']}/images/img_1").json()
    assert "keep_images=true" in missing["remedy"]


def test_several_models_are_compared_on_the_same_images(api: Api, model: str) -> None:
    other = api.publish(files=three_classes())
    parts = [*FIVE, *files(cow=[shade(CAT, 9)])]
    answer = api.client.post("/v1/evaluations", params={"model": [model, other, model], "keep_images": True}, files=parts)
    assert answer.status_code == 201, answer.text
    first, second = answer.json()["evaluations"]
    assert (first["compared"], first["data_sha256"]) == (None, second["data_sha256"])
    assert (first["accuracy"]["num_images"], second["accuracy"]["num_images"]) == (5, 6)
    compared = second["compared"]
    assert (compared["model"], compared["num_images"]) == (model, 5)
    assert (compared["num_only_this"], compared["num_only_other"], compared["difference"]) == (1, 2, pytest.approx(-0.2))
    assert compared["low"] < compared["difference"] < compared["high"]
    assert compared["p_value"] == 1.0
    assert api.client.get(second["mistakes"][0]["link"]).status_code == 200
    assert len(api.blobs("evaluations")) == 6
    api.client.delete(first["links"]["self"])
    left = api.client.get(second["links"]["self"]).json()
    assert (left["has_images"], left["images"], left["mistakes"][0]["link"]) == (False, [], None)


@pytest.mark.parametrize("number", [0, 9])
def test_one_to_eight_models_are_compared(api: Api, model: str, number: int) -> None:
    answer = api.client.post("/v1/evaluations", params={"model": [model] * number}, files=FIVE)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


def test_an_evaluation_stays_when_its_model_is_deleted(api: Api, model: str) -> None:
    found = one(evaluate(api, model, keep_images=True))
    assert api.client.delete(f"/v1/models/{model}").status_code == 204
    assert api.client.get(found["links"]["self"]).json()["accuracy"] == found["accuracy"]
    assert api.client.get(found["mistakes"][0]["link"]).status_code == 200
    assert [item["id"] for item in api.client.get("/v1/evaluations").json()["items"]] == [found["id"]]
    assert api.client.get(f"/v1/models/{model}/evaluations").status_code == 410
    assert evaluate(api, model).status_code == 410


def test_kept_images_count_in_the_quota_of_bytes(make_api: MakeApi) -> None:
    from app.domain.access import Quotas, Scope

    api = make_api(role=Role.ALL, engine=PixelEngine(), require_keys=True)
    with api.context.sessions.begin() as session:
        access = AccessRepository(session)
        tenant = access.ensure_tenant("first", utc_now())
        key = access.create_key(tenant.id, "", frozenset(Scope), utc_now())
    api.client.headers["Authorization"] = f"Bearer {key.text}"
    model = api.publish()
    found = one(evaluate(api, model, keep_images=True))
    with api.context.sessions.begin() as session:
        access = AccessRepository(session)
        access.set_quotas(access.tenant("first"), Quotas(max_bytes=3000))
    answer = evaluate(api, model, keep_images=True)
    assert (answer.status_code, answer.json()["code"]) == (403, "access.quota_exceeded")
    assert evaluate(api, model).status_code == 201
    assert len(api.blobs("tenants")) == len(api.blobs(f"tenants/{tenant.id}/support-sets")) + 5
    assert api.client.delete(found["links"]["self"]).status_code == 204


def test_a_full_queue_refuses_before_the_form_is_read(api: Api, model: str) -> None:
    queue = api.context.bounds.evaluations
    queue.calibrate(1.0, 10)
    queue.num_units = 100
    answer = evaluate(api, model)
    assert (answer.status_code, answer.json()["code"]) == (503, "service.overloaded")


@pytest.mark.slow
@pytest.mark.parametrize(("role", "status"), [(Role.CONTROL, 404), (Role.PREDICT, 201), (Role.ALL, 201)])
def test_the_roles_with_a_backbone_answer(make_api: MakeApi, role: Role, status: int) -> None:
    model = make_api(role=Role.ALL).publish()
    api = make_api(role=role, engine=PixelEngine())
    assert evaluate(api, model).status_code == status


def test_the_proxy_sends_evaluations_to_the_role_that_has_the_backbone() -> None:
    caddyfile = (Path(__file__).parents[3] / "deploy" / "Caddyfile").read_text()
    sent_on = next(line for line in caddyfile.splitlines() if "@predict path" in line).split()
    assert {"*/evaluations", "/v1/evaluations/*"} <= set(sent_on)
