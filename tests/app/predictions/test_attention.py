"""Where a model looked, over HTTP."""

from __future__ import annotations

from app.infra.settings import Role
from tests.fixtures.http_api import Api, MakeApi, encode_image
from vtt_core.contract.errors import NotAnImageError

IMAGE = ("images", ("a.png", encode_image(5)))


def test_an_image_gets_a_grid_before_and_one_after_the_training(api: Api) -> None:
    model_id = api.publish()
    answer = api.client.post(f"/v1/models/{model_id}/attention", files=[IMAGE])
    assert answer.status_code == 200
    assert answer.json() == {
        "model": {"id": model_id, "name": "", "backbone": "mini"},
        "file": "a.png",
        "rows": 2,
        "columns": 2,
        "before": [[0.1, 0.2], [0.3, 0.4]],
        "after": [[0.4, 0.3], [0.2, 0.1]],
        "is_tuned": True,
        "is_rollout": True,
    }


def test_a_request_has_one_image(api: Api) -> None:
    answer = api.client.post(f"/v1/models/{api.publish()}/attention", files=[IMAGE, IMAGE])
    assert (answer.status_code, answer.json()["expected"]) == (413, "one image in a request")


def test_an_image_that_cannot_be_read_says_why(api: Api) -> None:
    answer = api.client.post(f"/v1/models/{api.publish()}/attention", files=[("images", ("a.png", b"text"))])
    assert (answer.status_code, answer.json()["code"]) == (422, NotAnImageError.code)


def test_the_role_that_predicts_answers_it(make_api: MakeApi) -> None:
    api = make_api(role=Role.ALL)
    model_id = api.publish()
    predicting = make_api(role=Role.PREDICT)
    assert predicting.client.post(f"/v1/models/{model_id}/attention", files=[IMAGE]).status_code == 200
