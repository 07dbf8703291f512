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


def test_a_second_model_of_a_set_or_of_its_copy_gets_a_name_that_is_not_taken(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    browser.send(f"/sets/{set_id}/name", name="mine")
    assert 'name="name" value="mine"' in browser.open(f"/sets/{set_id}/start").text
    browser.send(f"/sets/{set_id}/start", name="mine")
    assert 'name="name" value="mine 2"' in browser.open(f"/sets/{set_id}/start").text
    copy = browser.send(f"/sets/{set_id}/copy").headers["location"]
    browser.send(f"/sets/{set_id}/start", name="mine 2")
    assert 'name="name" value="mine 3"' in browser.open(f"{copy}/start").text


def test_backbones_are_in_groups_with_the_size_of_their_images_and_the_recommended_one_first(
    api: Api, browser: Browser
) -> None:
    page = browser.open(f"/sets/{api.upload()}/start").text
    groups = re.findall(r'<optgroup label="([^"]+)">(.*?)</optgroup>', page)
    assert groups[0][0] == "Comes with this service"
    assert ">mini, images of 48 px</option>" in groups[0][1]
    assert groups[1][1].startswith(
        '<option value="ViT-B-16-quickgelu/openai">ViT-B-16-quickgelu/openai, images of 224 px (recommended)'
    )
    assert page.index("More choices, for experts") < page.index("Start learning")


def test_what_forbids_a_start_is_said_before_the_button(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    browser.send(f"/sets/{set_id}/delete-class", label="dog")
    page = browser.open(f"/sets/{set_id}/start").text
    assert page.index("at least two classes") < page.index("Start learning")
    assert browser.send(f"/sets/{set_id}/start").status_code == 422
