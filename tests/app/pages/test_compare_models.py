"""Two models side by side, in a browser without scripts."""

from __future__ import annotations

import json

import pytest

from tests.app.pages.conftest import Browser, csrf_in
from tests.fixtures.http_api import LABELS, Api, encode_image, encode_zip
from tests.fixtures.manifests import make_manifest


@pytest.fixture
def models(api: Api) -> list[str]:
    """Two models of the same classes: the engine takes all for the first class, which is another one in each."""
    files = {"manifest.json": json.dumps(make_manifest(LABELS[::-1]).to_json()).encode(), "adapter.safetensors": b"tensors"}
    return [api.publish(), api.publish(api.start_job(api.upload({"dog": [encode_image(8)], "cat": [encode_image(9)]})), files)]


def address(models: list[str], evaluation: str | None = None) -> str:
    return f"/models/compare?model={models[0]}&model={models[1]}" + (f"&evaluation={evaluation}" if evaluation else "")


def images(num_cats: int, num_dogs: int) -> bytes:
    cats = {f"cat/{n}.png": encode_image(100 + n) for n in range(num_cats)}
    return encode_zip(cats | {f"dog/{n}.png": encode_image(200 + n) for n in range(num_dogs)})


def measured(browser: Browser, models: list[str], archive: bytes) -> str:
    csrf = csrf_in(browser.open(address(models)).text)
    fields = {"csrf": csrf, "model": models, "name": "held back"}
    answer = browser.api.client.post(
        "/models/compare", data=fields, files=[("archive", ("held.zip", archive))], follow_redirects=False
    )
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


@pytest.mark.parametrize(("chosen", "said"), [(0, "ticked 0 models"), (1, "ticked one model")])
def test_two_models_must_be_chosen(browser: Browser, models: list[str], chosen: int, said: str) -> None:
    query = "&".join(f"model={model}" for model in models[:chosen])
    assert said in browser.open(f"/models/compare?{query}").text


def test_classes_in_common_are_named(browser: Browser, models: list[str]) -> None:
    assert "<dd>cat, dog</dd>" in browser.open(address(models)).text


def test_the_better_one_is_named_with_the_interval_of_the_difference(browser: Browser, models: list[str]) -> None:
    page = browser.open(measured(browser, models, images(30, 5))).text
    assert "A is better by" in page
    assert "Only A is right for 30 of them, only B for 5" in page
    assert "held back" in page


def test_a_difference_that_cannot_be_seen_is_called_so(browser: Browser, models: list[str]) -> None:
    page = browser.open(measured(browser, models, images(3, 2))).text
    assert "No difference can be seen with 5 photographs." in page


def test_what_was_measured_is_listed_and_deleted_for_both(api: Api, browser: Browser, models: list[str]) -> None:
    shown = measured(browser, models, images(3, 2))
    evaluation = shown.rsplit("=", 1)[1]
    assert f"evaluation={evaluation}" in browser.open(address(models)).text
    browser.send("/models/compare/delete", page="/models", one=models[0], other=models[1], evaluation=evaluation)
    assert api.client.get("/v1/evaluations").json()["items"] == []
    assert browser.open(shown).status_code == 404


def test_numbers_of_other_models_are_not_shown_for_these(api: Api, browser: Browser, models: list[str]) -> None:
    third = api.publish()
    sent = {"params": {"model": [models[0], third]}, "files": [("archive", ("held.zip", images(3, 2)))]}
    for evaluation in api.client.post("/v1/evaluations", **sent).json()["evaluations"]:
        page = browser.open(address(models, evaluation["id"]))
        assert page.status_code == 200
        assert "No difference can be seen" not in page.text


def test_forms_of_other_pages_are_refused(api: Api, browser: Browser, models: list[str]) -> None:
    browser.open(address(models))
    files = [("archive", ("held.zip", images(3, 2)))]
    assert api.client.post("/models/compare", data={"model": models}, files=files).status_code == 403
    assert api.client.get("/v1/evaluations").json()["items"] == []
