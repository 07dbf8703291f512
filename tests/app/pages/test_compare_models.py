"""A model, or two side by side, on photographs with known classes, in a browser without scripts."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from app.infra.settings import Role
from tests.app.pages.conftest import Browser, csrf_in
from tests.fixtures.http_api import LABELS, Api, FakeEngine, MakeApi, encode_image, encode_zip
from tests.fixtures.manifests import make_manifest
from vtt_core.contract.serving import Prediction


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


class RefusingEngine(FakeEngine):
    """Calls every image none of these whose first pixel has an even red."""

    def predict(self, *args: Any, **options: Any) -> list[Prediction]:
        images = args[3]
        reds = [image.getpixel((0, 0))[0] for image in images]
        return [replace(one, none_of_these=red % 2 == 0) for one, red in zip(super().predict(*args), reds, strict=True)]


@pytest.fixture
def refusing(make_api: MakeApi) -> Browser:
    return Browser(make_api(role=Role.ALL, engine=RefusingEngine()))


def measured_alone(browser: Browser, archive: bytes) -> tuple[str, str]:
    """The model, and where what was measured is."""
    model = browser.api.publish()
    csrf = csrf_in(browser.open(f"/models/measure?model={model}").text)
    fields = {"csrf": csrf, "model": model, "name": "field trip"}
    files = [("archive", ("held.zip", archive))]
    answer = browser.api.client.post("/models/compare", data=fields, files=files, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return model, answer.headers["location"]


def test_one_model_is_measured_without_its_refusals_and_with_them(refusing: Browser) -> None:
    model, shown = measured_alone(refusing, images(10, 4))
    page = refusing.open(shown).text
    assert shown.startswith("/models/measure?")
    assert "it is right for 10 of 14 photographs." in page
    # Five of the ten cats and two of the four dogs are refused.
    assert "it is right for 5, wrong for 2, and refuses 7 as “none of these”, of which it would otherwise have got 5" in page
    assert page.count("It was refused as “none of these”") == 2
    assert "<img" not in page
    assert "as it was set, it refused 7 of them" in refusing.open(f"/models/{model}").text


def test_two_models_are_compared_without_their_refusals_and_with_them(refusing: Browser) -> None:
    pair = [refusing.api.publish(), refusing.api.publish()]
    page = refusing.open(measured(refusing, pair, images(10, 4))).text
    assert page.count("refuses 7 as “none of these”, of which it would otherwise have got 5") == 2


def test_a_model_that_cannot_refuse_says_so(browser: Browser) -> None:
    _, shown = measured_alone(browser, images(10, 4))
    assert "It cannot say “none of these”." in browser.open(shown).text


def test_what_was_measured_of_one_model_is_on_its_page_and_can_be_deleted(browser: Browser) -> None:
    model, shown = measured_alone(browser, images(10, 4))
    assert "Measured on 14 photographs “field trip”: 71\N{NO-BREAK SPACE}% right" in browser.open(f"/models/{model}").text
    fields = {"one": model, "evaluation": shown.rsplit("=", 1)[1]}
    assert (
        browser.send("/models/compare/delete", page="/models", **fields).headers["location"] == f"/models/measure?model={model}"
    )
    assert "field trip" not in browser.open(f"/models/{model}").text


def test_folders_that_are_no_classes_are_named_beside_the_classes(browser: Browser, models: list[str]) -> None:
    csrf = csrf_in(browser.open(address(models)).text)
    files = [("archive", ("held.zip", encode_zip({"lion/1.png": encode_image(1), "wolf/1.png": encode_image(2)})))]
    answer = browser.api.client.post("/models/compare", data={"csrf": csrf, "model": models}, files=files)
    assert answer.status_code == 422
    assert "Rename the folders like the classes of the model" in answer.text
    assert "&#39;lion&#39;" in answer.text
    assert "&#39;cat&#39;" in answer.text
    assert models[0] not in answer.text
    assert "form field" not in answer.text


def test_classes_that_a_model_does_not_know_are_said_not_to_count(browser: Browser) -> None:
    archive = encode_zip({"cat/1.png": encode_image(1), "lion/1.png": encode_image(2)})
    _, shown = measured_alone(browser, archive)
    assert "1 more photograph is of a class that it does not know (lion)" in browser.open(shown).text


def test_differences_are_listed_in_words(browser: Browser, models: list[str]) -> None:
    measured(browser, models, images(3, 2))
    assert "No difference can be seen: A may be better by up to" in browser.open(address(models)).text


def test_mistakes_have_pictures_only_where_the_images_were_kept(browser: Browser) -> None:
    model = browser.api.publish()
    files = [("archive", ("held.zip", images(1, 2)))]
    answer = browser.api.client.post(f"/v1/models/{model}/evaluations?keep_images=true", files=files)
    page = browser.open(f"/models/measure?model={model}&evaluation={answer.json()['evaluations'][0]['id']}").text
    links = re.findall(r'<img src="([^"]+)"', page)
    assert len(links) == 2
    assert all(browser.api.client.get(link).status_code == 200 for link in links)


def test_what_was_measured_of_another_model_is_not_shown(browser: Browser) -> None:
    _, shown = measured_alone(browser, images(3, 2))
    other = browser.api.publish()
    page = browser.open(f"/models/measure?model={other}&evaluation={shown.rsplit('=', 1)[1]}").text
    assert "This was measured of another model." in page
    assert "if it must choose" not in page
