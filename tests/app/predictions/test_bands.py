"""A model that has learnt from some bands reads them in every image that comes to it over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from PIL import Image

from app.infra.settings import Role
from tests.fixtures.band_images import LABELS, band_tiff, plain_image, plain_png
from tests.fixtures.http_api import FAKE_ADAPTER, Api, FakeEngine, MakeApi, encode_zip
from tests.fixtures.manifests import make_manifest
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.manifest import NEWEST_VERSION
from vtt_core.contract.serving import AnswerOptions, Prediction

CHOICE = BandChoice((4, 3, 2), (100, 100, 100), (4180, 4180, 4180))
MANIFEST = replace(make_manifest(LABELS), format_version=NEWEST_VERSION, bands=CHOICE)
OF_BANDS = {**FAKE_ADAPTER, "manifest.json": json.dumps(MANIFEST.to_json()).encode()}


class SeeingEngine(FakeEngine):
    """Remembers the images that it was shown."""

    seen: list[bytes]

    def predict(
        self,
        model_id: str,
        backbone_id: str,
        load_files: Callable[[], Mapping[str, bytes]],
        images: Sequence[Image.Image],
        options: AnswerOptions = AnswerOptions(),  # noqa: B008  (frozen)
    ) -> list[Prediction]:
        self.seen = [image.tobytes() for image in images]
        return super().predict(model_id, backbone_id, load_files, images, options)


@pytest.fixture
def api(make_api: MakeApi) -> Api:
    return make_api(role=Role.ALL, engine=SeeingEngine())


def seen(api: Api) -> list[bytes]:
    assert isinstance(api.engine, SeeingEngine)
    return api.engine.seen


def test_the_model_says_how_and_a_prediction_reads_so(api: Api) -> None:
    model_id = api.publish(files=OF_BANDS)
    assert api.client.get(f"/v1/models/{model_id}").json()["bands"] == CHOICE.to_json()
    files = [("images", ("a.tif", band_tiff(LABELS[0], 0))), ("images", ("a.png", plain_png(LABELS[0], 0)))]
    answer = api.client.post(f"/v1/models/{model_id}/predict", files=files)
    assert answer.status_code == 200, answer.text
    assert seen(api) == [plain_image(LABELS[0], 0).tobytes()] * 2
    assert api.client.post(f"/v1/models/{model_id}/attention", files=files[:1]).status_code == 200


def test_a_model_without_bands_refuses_with_what_to_do(api: Api) -> None:
    model_id = api.publish()
    assert api.client.get(f"/v1/models/{model_id}").json()["bands"] is None
    answer = api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a.tif", band_tiff(LABELS[0], 0)))])
    (refused,) = answer.json()["results"]
    assert (answer.status_code, refused["code"]) == (422, "image.unsupported_kind")
    assert "name the bands where the model is made" in refused["remedy"]


def test_an_evaluation_reads_the_bands_and_keeps_all_of_them(api: Api) -> None:
    model_id = api.publish(files=OF_BANDS)
    zipped = encode_zip({f"{label}/0.tif": band_tiff(label, 0) for label in LABELS})
    parts, asked = {"archive": ("fields.zip", zipped)}, {"keep_images": True}
    answer = api.client.post(f"/v1/models/{model_id}/evaluations", files=parts, params=asked)
    assert (answer.status_code, answer.json()["refused"]) == (201, []), answer.text
    assert set(seen(api)) == {plain_image(label, 0).tobytes() for label in LABELS}
    (kept, *_) = answer.json()["evaluations"][0]["images"]
    stored = api.client.get(kept["link"])
    assert stored.headers["content-type"] == "image/tiff"
    assert b"WGS" not in stored.content
    again = api.client.post(f"/v1/models/{model_id}/predict", files=[("images", ("a.tif", stored.content))])
    assert again.status_code == 200
    assert seen(api)[0] in {plain_image(label, 0).tobytes() for label in LABELS}
