"""An image set can be looked at and changed with forms alone."""

from __future__ import annotations

import re
from typing import Any

from tests.app.pages.conftest import Browser
from tests.fixtures.http_api import Api, encode_image


def stored(api: Api, set_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = api.client.get(f"/v1/support-sets/{set_id}").json()
    return answer


def labels(api: Api, set_id: str) -> list[str]:
    return [one["label"] for one in stored(api, set_id)["classes"]]


def test_a_set_is_shown_by_class_with_what_the_service_reads(api: Api, browser: Browser) -> None:
    set_id = api.upload({"AnnualCrop": [encode_image(1), encode_image(2)], "forest": [encode_image(3)]})
    page = browser.open(f"/sets/{set_id}").text
    assert page.count("/thumbnail?side=256") == 3
    assert "a photo of a <strong>forest</strong>." in page
    assert "Use “annual crop”" in page
    assert "With one image, nobody can tell" in page
    assert f'href="/sets/{set_id}/start"' in page


def test_the_list_shows_each_set_with_its_first_images(api: Api, browser: Browser) -> None:
    assert "You have no image sets yet" in browser.open("/sets").text
    set_id = api.upload({name: [encode_image(10 * place + k) for k in range(2)] for place, name in enumerate("abc")})
    page = browser.open("/sets").text
    assert f'href="/sets/{set_id}"' in page
    assert "3 classes, 6 images" in page
    assert page.count("/thumbnail?side=256") == 3


def test_a_set_without_a_name_is_called_after_its_classes(api: Api, browser: Browser) -> None:
    set_id = api.upload({name: [encode_image(place)] for place, name in enumerate(["cat", "dog"])})
    browser.send(f"/sets/{set_id}/name", name="")
    for path in ("/", "/sets", f"/sets/{set_id}"):
        assert ">cat, dog<" in browser.open(path).text


def test_a_set_that_a_model_was_learnt_from_says_so_and_links_the_model(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    api.start_job(set_id)
    assert "in use" in browser.open("/sets").text
    model_id = api.publish()
    learnt_from = api.client.get(f"/v1/jobs/{api.client.get(f'/v1/models/{model_id}').json()['job_id']}").json()[
        "support_set_id"
    ]
    assert "learnt from" in browser.open("/sets").text
    assert f'href="/models/{model_id}"' in browser.open(f"/sets/{learnt_from}").text


def test_a_class_is_renamed_in_place(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    answer = browser.send(f"/sets/{set_id}/rename-class", label="cat", new_label="house cat")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sets/{set_id}")
    assert labels(api, set_id) == ["house cat", "dog"]


def test_a_refused_name_is_explained_beside_its_class(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    answer = browser.send(f"/sets/{set_id}/rename-class", label="cat", new_label="dog")
    assert answer.status_code == 409
    of_cat = re.split("<section", answer.text)[1]
    assert 'data-label="cat"' in of_cat
    assert "Another class has this name" in of_cat
    assert labels(api, set_id) == ["cat", "dog"]


def test_chosen_images_move_together_and_are_deleted_together(api: Api, browser: Browser) -> None:
    set_id = api.upload({"cat": [encode_image(k) for k in range(3)], "dog": [encode_image(9)]})
    chosen = [image["id"] for image in stored(api, set_id)["images"][:2]]
    browser.send(f"/sets/{set_id}/chosen", image=chosen, action="move", label="lynx")
    assert labels(api, set_id) == ["cat", "dog", "lynx"]
    browser.send(f"/sets/{set_id}/chosen", image=chosen, action="delete")
    assert labels(api, set_id) == ["cat", "dog"]


def test_images_do_not_move_to_a_class_without_a_name(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    image = stored(api, set_id)["images"][0]["id"]
    answer = browser.send(f"/sets/{set_id}/chosen", image=image, action="move", label="")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text


def test_a_class_is_marked_as_none_of_these_and_back(api: Api, browser: Browser) -> None:
    set_id = api.upload({"cat": [encode_image(1)], "dog": [encode_image(2)], "floor": [encode_image(3)]})
    browser.send(f"/sets/{set_id}/negative", label="floor", is_negative="1")
    assert stored(api, set_id)["negative"] == "floor"
    assert "shows none of the classes" in browser.open(f"/sets/{set_id}").text
    browser.send(f"/sets/{set_id}/negative", label="floor")
    assert stored(api, set_id)["negative"] is None


def test_with_one_class_the_page_says_what_is_missing_and_offers_no_start(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    browser.send(f"/sets/{set_id}/delete-class", label="dog")
    page = browser.open(f"/sets/{set_id}").text
    assert "at least two classes" in page
    assert 'id="start-below" hidden' in page
    assert "button large start" not in page


def test_a_set_is_renamed_and_deleted(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    browser.send(f"/sets/{set_id}/name", name="pets")
    assert ">pets</h1>" in browser.open(f"/sets/{set_id}").text
    assert browser.send(f"/sets/{set_id}/name", name="a\tb").status_code == 422
    assert browser.send(f"/sets/{set_id}/delete").headers["location"] == "/sets"
    assert browser.open(f"/sets/{set_id}").status_code == 410


def test_a_set_that_a_job_has_used_is_read_only_and_can_be_copied(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    browser.send(f"/sets/{set_id}/name", name="pets")
    api.start_job(set_id)
    page = browser.open(f"/sets/{set_id}").text
    assert "<drop-zone" not in page
    assert "/rename-class" not in page
    assert browser.send(f"/sets/{set_id}/delete-class", label="cat").status_code == 409
    assert browser.send(f"/sets/{set_id}/delete").status_code == 409
    copy = browser.send(f"/sets/{set_id}/copy").headers["location"]
    assert "pets (copy)" in browser.open(copy).text
    assert "/rename-class" in browser.open(copy).text


def test_names_are_shown_as_text(api: Api, browser: Browser) -> None:
    set_id = api.upload({"<b>cat</b>": [encode_image(1)], "dog": [encode_image(2)]})
    assert "<b>cat" not in browser.open(f"/sets/{set_id}").text
