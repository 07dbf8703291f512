"""Images are decoded in batches that fit into memory, and answered in the order they came."""

from __future__ import annotations

import pytest

from app.predictions import service
from tests.fixtures.http_api import Api, encode_image


def test_large_images_are_answered_in_several_batches_in_their_order(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    predict = api.engine.predict

    def count(model_id, backbone_id, load_files, images):  # type: ignore[no-untyped-def]
        sizes.append(len(images))
        return predict(model_id, backbone_id, load_files, images)

    monkeypatch.setattr(api.engine, "predict", count)
    monkeypatch.setattr(service, "MAX_PIXELS_AT_ONCE", 2 * 16 * 16)
    parts = [("images", (f"{place}.png", encode_image(place) if place != 2 else b"bad")) for place in range(6)]
    answer = api.client.post(f"/v1/models/{api.publish()}/predict", files=parts)
    assert [item["file"] for item in answer.json()["predictions"]] == [f"{place}.png" for place in range(6)]
    assert [item["status"] for item in answer.json()["predictions"]] == [200, 200, 422, 200, 200, 200]
    assert sizes == [2, 2, 1]
