"""Images are answered in the order they came, whatever became of each."""

from __future__ import annotations

from tests.fixtures.http_api import Api, encode_image


def test_a_bad_image_does_not_move_the_answers_of_the_others(api: Api) -> None:
    parts = [("images", (f"{place}.png", encode_image(place) if place != 2 else b"bad")) for place in range(6)]
    answer = api.client.post(f"/v1/models/{api.publish()}/predict", files=parts)
    assert answer.status_code == 207
    assert [item["file"] for item in answer.json()["predictions"]] == [f"{place}.png" for place in range(6)]
    assert [item["status"] for item in answer.json()["predictions"]] == [200, 200, 422, 200, 200, 200]
    assert (api.engine.batch_counts.batches, api.engine.batch_counts.images) == (1, 5)


def test_a_prediction_tells_the_engine_whether_the_model_is_pinned(api: Api) -> None:
    model_id = api.publish()
    image = ("images", ("a.png", encode_image(1)))
    for method, expected in ((api.client.put, {model_id}), (api.client.delete, set())):
        assert method(f"/v1/models/{model_id}/pin").status_code == 200
        # Another process has missed it and learns it now.
        api.engine.pinned = {model_id} - expected
        api.client.post(f"/v1/models/{model_id}/predict", files=[image])
        assert api.engine.pinned == expected
