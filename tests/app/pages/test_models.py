"""The list of models, in a browser without scripts."""

from __future__ import annotations

import pytest

from tests.app.pages.conftest import Browser
from tests.fixtures.http_api import Api

EXPECTED = {"expected_accuracy": {"accuracy": 0.84, "low": 0.75, "high": 0.91, "num_images": 30}}


@pytest.fixture
def model(api: Api) -> str:
    return api.publish(metrics=EXPECTED)


def test_without_a_model_the_page_says_where_to_begin(browser: Browser) -> None:
    page = browser.open("/models")
    assert page.status_code == 200
    assert "There is no model yet" in page.text


def test_a_model_is_shown_with_its_classes_and_its_accuracy(browser: Browser, model: str) -> None:
    page = browser.open("/models").text
    assert "cat, dog" in page
    assert ">84\N{NO-BREAK SPACE}%<" in page
    assert "75\N{NO-BREAK SPACE}% to 91\N{NO-BREAK SPACE}%" in page
    assert f'href="/models/{model}/try"' in page
    assert "fine-tuned with VtT" in page


def test_a_model_is_renamed(api: Api, browser: Browser, model: str) -> None:
    answer = browser.send(f"/models/{model}/name", page="/models", name="Barn animals", in_list="yes")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/models#{model}")
    assert api.client.get(f"/v1/models/{model}").json()["name"] == "Barn animals"
    assert "Barn animals</a>" in browser.open("/models").text


def test_a_name_that_cannot_be_is_refused_in_words(api: Api, browser: Browser, model: str) -> None:
    answer = browser.send(f"/models/{model}/name", page="/models", name="a" * 201)
    assert answer.status_code == 422
    assert "What to do:" in answer.text
    assert api.client.get(f"/v1/models/{model}").json()["name"] == ""


def test_a_model_is_pinned_and_let_go(api: Api, browser: Browser, model: str) -> None:
    for pinned, expected in (("yes", True), ("no", False)):
        assert browser.send(f"/models/{model}/pin", page="/models", pinned=pinned).status_code == 303
        assert api.client.get(f"/v1/models/{model}").json()["pinned"] is expected


def test_an_alias_is_added_and_removed(api: Api, browser: Browser, model: str) -> None:
    assert browser.send(f"/models/{model}/aliases", page="/models", alias="barn").status_code == 303
    assert "<code>barn</code>" in browser.open("/models").text
    refused = browser.send(f"/models/{model}/aliases", page="/models", alias="barn!")
    assert refused.status_code == 422
    assert "What to do:" in refused.text
    assert browser.send(f"/models/{model}/aliases/delete", page="/models", alias="barn").status_code == 303
    assert api.client.get("/v1/aliases/barn").status_code == 404


def test_a_model_is_deleted_after_a_question(api: Api, browser: Browser, model: str) -> None:
    assert "This cannot be undone" in browser.open("/models").text
    assert browser.send(f"/models/{model}/delete", page="/models").headers["location"] == "/models"
    assert api.client.get(f"/v1/models/{model}").status_code == 410


@pytest.mark.parametrize("form", ["name", "pin", "aliases", "aliases/delete", "delete"])
def test_forms_of_other_pages_are_refused(api: Api, browser: Browser, model: str, form: str) -> None:
    browser.open("/models")
    before = api.client.get(f"/v1/models/{model}").json()
    assert api.client.post(f"/models/{model}/{form}", data={"name": "x", "alias": "x"}).status_code == 403
    assert api.client.get(f"/v1/models/{model}").json() == before
