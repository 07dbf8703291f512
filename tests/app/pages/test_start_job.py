"""One button starts a job, and everything else is folded away."""

from __future__ import annotations

import re

from tests.app.pages.conftest import Browser
from tests.fixtures.http_api import Api


def once(browser: Browser, set_id: str) -> str:
    found = re.search(r'name="once" value="(\w+)"', browser.open(f"/sets/{set_id}/start").text)
    assert found is not None
    return found[1]


def test_one_button_starts_a_job_of_the_method_auto(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    page = browser.open(f"/sets/{set_id}/start").text
    assert "This takes some seconds." in page
    answer = browser.send(f"/sets/{set_id}/start", name="pets")
    assert answer.status_code == 303
    job = api.client.get(f"/v1{answer.headers['location']}").json()
    assert (job["method"], job["name"], job["support_set_id"]) == ("auto", "pets", set_id)


def test_the_same_form_sent_twice_starts_one_job(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    token = once(browser, set_id)
    first, second = (browser.send(f"/sets/{set_id}/start", once=token, name="pets") for _ in range(2))
    other = browser.send(f"/sets/{set_id}/start", once=token, name="others")
    assert first.headers["location"] == second.headers["location"] != other.headers["location"]


def test_choices_reach_the_recipe(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    fields = {"method": "clip-lora+vtt", "iterations": "30", "host_learning_rate": "0.001", "head": "ridge", "rank": ""}
    answer = browser.send(f"/sets/{set_id}/start", **fields)
    recipe = api.client.get(f"/v1{answer.headers['location']}").json()["recipe"]
    assert (recipe["iterations"], recipe["host_learning_rate"], recipe["head"]) == (30, 0.001, "ridge")


def test_a_refused_start_shows_the_form_again_as_it_was_filled_in(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    answer = browser.send(f"/sets/{set_id}/start", name="pets", iterations="many")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="pets"' in answer.text
    assert 'value="many"' in answer.text


def test_what_forbids_a_start_is_said_before_the_button(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    browser.send(f"/sets/{set_id}/delete-class", label="dog")
    page = browser.open(f"/sets/{set_id}/start").text
    assert page.index("at least two classes") < page.index("Start learning")
    assert browser.send(f"/sets/{set_id}/start").status_code == 422
