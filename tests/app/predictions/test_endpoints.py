"""Predictions over HTTP."""

from __future__ import annotations

import pytest

from app.infra.settings import Role
from app.predictions.predictor import Predictor
from app.uploads import form
from tests.fixtures.http_api import Api, FakeEngine, MakeApi, encode_image
from vtt_core.contract.serving import AnswerOptions

IMAGE = ("images", ("a.png", encode_image(5)))


def test_every_image_gets_the_probability_of_every_class(api: Api) -> None:
    model_id = api.publish()
    answer = api.client.post(f"/v1/models/{model_id}/predict", files=[IMAGE, ("images", ("b.jpg", encode_image(6)))])
    assert answer.status_code == 200
    said = {"status": 200, "label": "cat", "probabilities": {"cat": 0.9, "dog": 0.1}}
    said |= dict.fromkeys(("none_of_these", "familiarity", "negative_probability", "prediction_set", "coverage"))
    assert answer.json() == {
        "model": {"id": model_id, "name": "", "backbone": "mini"},
        "predictions": [{"file": "a.png", **said}, {"file": "b.jpg", **said}],
    }


def test_the_model_is_named_by_alias_or_by_a_form_field(api: Api) -> None:
    model_id = api.publish()
    api.client.put("/v1/aliases/current", json={"model_id": model_id})
    by_path = api.client.post("/v1/models/current/predict", files=[IMAGE])
    by_field = api.client.post("/predict", data={"model": "current"}, files=[IMAGE])
    assert by_path.json() == by_field.json()
    assert by_path.json()["model"]["id"] == model_id


@pytest.mark.slow
def test_an_adapter_is_read_once(api: Api) -> None:
    model_id = api.publish()
    for _ in range(3):
        assert api.client.post(f"/v1/models/{model_id}/predict", files=[IMAGE]).status_code == 200
    assert api.engine.num_loads == 1


def test_a_refused_image_has_a_reason_and_no_answer(api: Api) -> None:
    files = [IMAGE, ("images", ("b.png", b"text"))]
    good, bad = api.client.post(f"/v1/models/{api.publish()}/predict", files=files).json()["predictions"]
    assert set(bad) == {"file", "status", "code", "expected", "got", "remedy"}
    assert not set(good) & {"code", "expected", "got", "remedy"}


@pytest.mark.parametrize("path", ["/v1/models/current/predict", "/predict"])
def test_what_is_asked_for_reaches_the_engine(api: Api, path: str) -> None:
    api.client.put("/v1/aliases/current", json={"model_id": api.publish()})
    data = {"model": "current"} if path == "/predict" else None
    for parameters, expected in (
        ({}, AnswerOptions()),
        ({"coverage": 0.5, "false_rejects": 0.5}, AnswerOptions(0.5, 0.5)),
        ({"coverage": "0.99", "false_rejects": "1e-3"}, AnswerOptions(0.99, 0.001)),
    ):
        answer = api.client.post(path, params=parameters, data=data, files=[IMAGE])
        assert (answer.status_code, api.engine.options) == (200, expected)


@pytest.mark.parametrize("path", ["/v1/models/current/predict", "/predict"])
def test_a_share_out_of_range_is_refused_with_the_range(api: Api, path: str) -> None:
    api.client.put("/v1/aliases/current", json={"model_id": api.publish()})
    data = {"model": "current"} if path == "/predict" else None
    for parameter, value, limit in (
        ("coverage", "0.49", "0.5"),
        ("coverage", "1", "0.99"),
        ("coverage", "nan", "0.99"),
        ("coverage", "ninety", "a valid number"),
        ("false_rejects", "0", "0.001"),
        ("false_rejects", "0.51", "0.5"),
        ("false_rejects", "inf", "0.5"),
    ):
        answer = api.client.post(path, params={parameter: value}, data=data, files=[IMAGE])
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
        assert answer.json()["expected"].startswith(f"the parameter `{parameter}` to be ")
        assert answer.json()["expected"].endswith(limit)
        assert answer.json()["got"] == repr(value)


def test_the_threshold_of_the_model_counts_where_the_request_has_none(api: Api) -> None:
    model_id = api.publish()
    path = f"/v1/models/{model_id}/predict"
    for set_to, asked, expected in ((0.02, None, 0.02), (0.02, 0.1, 0.1), (None, None, 0.05)):
        assert api.client.patch(f"/v1/models/{model_id}", json={"false_rejects": set_to}).status_code == 200
        parameters = {} if asked is None else {"false_rejects": asked}
        assert api.client.post(path, params=parameters, files=[IMAGE]).status_code == 200
        assert api.engine.options == AnswerOptions(false_rejects=expected)


@pytest.mark.parametrize(
    ("data", "files", "expected"),
    [
        ({}, [IMAGE], "model"),
        ({"model": "current"}, [("image", ("a.png", encode_image(5)))], "`images`"),
        ({"model": "current", "images": "a.png"}, [IMAGE], "`images`"),
    ],
)
def test_a_wrong_form_is_refused(
    api: Api, data: dict[str, str], files: list[tuple[str, tuple[str, bytes]]], expected: str
) -> None:
    api.client.put("/v1/aliases/current", json={"model_id": api.publish()})
    answer = api.client.post("/predict", data=data, files=files)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    assert expected in answer.json()["expected"]


def test_more_images_than_allowed_are_refused(api: Api) -> None:
    answer = api.client.post(f"/v1/models/{api.publish()}/predict", files=[IMAGE] * 66)
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")


@pytest.mark.parametrize("number", [65, 66, 500])
def test_too_many_images_are_told_as_images_and_not_as_form_fields(api: Api, number: int) -> None:
    answer = api.client.post(f"/v1/models/{api.publish()}/predict", files=[("images", ("a", encode_image(1)))] * number)
    assert answer.json()["expected"] == "at most 64 images in a request"


def test_the_advice_for_a_wrong_form_is_one_that_works(api: Api) -> None:
    model_id = api.publish()
    for request in ({"json": {}}, {"content": b"x"}, {"files": [("label", ("a.jpg", encode_image(1)))]}, {"files": []}):
        refused = api.client.post(f"/v1/models/{model_id}/predict", **request).json()
        assert "-F images=@photo.jpg" in refused["remedy"], refused
        assert "label=" not in refused["remedy"]


def test_only_unreadable_images_give_a_problem(api: Api) -> None:
    answer = api.client.post(f"/v1/models/{api.publish()}/predict", files=[("images", ("a.png", b"text"))])
    assert (answer.status_code, answer.json()["code"]) == (422, "images.nothing_usable")
    assert answer.json()["results"][0]["code"] == "image.not_an_image"


def test_a_process_that_could_not_load_its_engine_says_why(make_api: MakeApi) -> None:
    def fail() -> FakeEngine:
        raise RuntimeError("no such device")

    api = make_api()
    model_id = api.publish()
    api.context.predictor = Predictor(fail, "mini")
    api.context.predictor.start()
    api.context.predictor.wait(10)
    answer = api.client.post(f"/v1/models/{model_id}/predict", files=[IMAGE])
    assert (answer.status_code, answer.json()["code"]) == (503, "predictions.not_ready")
    assert "no such device" in answer.json()["got"]
    assert int(answer.headers["retry-after"]) > 0


def test_a_full_queue_refuses_a_prediction_before_its_form_is_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    model_id = api.publish()
    api.client.post(f"/v1/models/{model_id}/predict", files=[IMAGE])
    monkeypatch.setattr(form.SpooledForm, "__init__", None)  # nothing may come so far
    api.context.bounds.predictions.num_units = 10_000
    for path in (f"/v1/models/{model_id}/predict", "/predict"):
        answer = api.client.post(path, files=[IMAGE])
        assert (answer.status_code, answer.json()["code"]) == (503, "service.overloaded")
        assert answer.headers["retry-after"] in answer.json()["remedy"]


def test_a_process_that_only_predicts_sees_what_another_has_published_and_deleted(make_api: MakeApi) -> None:
    published = make_api()
    model_id = published.publish()
    apart = make_api(role=Role.PREDICT, engine=FakeEngine())
    assert apart.client.post(f"/v1/models/{model_id}/predict", files=[IMAGE]).status_code == 200
    published.client.delete(f"/v1/models/{model_id}")
    assert apart.client.post(f"/v1/models/{model_id}/predict", files=[IMAGE]).status_code == 410
