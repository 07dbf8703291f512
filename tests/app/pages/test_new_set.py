"""Photographs become an image set, also in a browser without scripts."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.access import Scope
from tests.app.pages.conftest import Browser
from tests.fixtures.band_images import LABELS, band_tiff
from tests.fixtures.http_api import Api, encode_image, encode_zip

TWO_CLASSES = {"leaves/cat/1.png": encode_image(1), "leaves/dog/1.png": encode_image(2)}


def test_the_first_page_asks_for_photographs_and_shows_what_was_made_last(api: Api, browser: Browser) -> None:
    assert 'enctype="multipart/form-data"' in browser.open("/").text
    set_id = api.upload()
    page = browser.open("/").text
    assert f'href="/sets/{set_id}"' in page
    assert f'data-newest="{set_id}"' in page


def test_a_zip_becomes_an_image_set_without_scripts(api: Api, browser: Browser) -> None:
    answer = browser.upload("/sets", [("archive", ("leaves.zip", encode_zip(TWO_CLASSES)))], name="")
    assert answer.status_code == 303
    made = api.client.get(f"/v1{answer.headers['location'].replace('sets', 'support-sets')}").json()
    assert (made["name"], [one["label"] for one in made["classes"]]) == ("leaves", ["cat", "dog"])


def test_files_that_cannot_be_used_are_named_with_the_reason(browser: Browser) -> None:
    zipped = encode_zip({**TWO_CLASSES, "leaves/dog/2.png": b"no image"})
    answer = browser.upload("/sets", [("archive", ("leaves.zip", zipped))])
    assert answer.status_code == 207
    assert "dog/2.png" in answer.text
    assert "no image that the service can read" in answer.text


def test_a_refused_upload_shows_the_form_again_with_the_reason(browser: Browser) -> None:
    answer = browser.upload("/sets", [("archive", ("leaves.zip", b"no zip"))])
    assert answer.status_code == 422
    assert 'enctype="multipart/form-data"' in answer.text
    assert 'role="alert"' in answer.text


def test_images_are_added_to_the_class_that_the_form_names(api: Api, browser: Browser) -> None:
    set_id = api.upload()
    files = [("archive", ("", b"")), ("images", ("a.png", encode_image(9))), ("images", ("b.png", encode_image(10)))]
    answer = browser.upload(f"/sets/{set_id}/images", files, label="bird")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/sets/{set_id}")
    classes = api.client.get(f"/v1/support-sets/{set_id}").json()["classes"]
    assert {"label": "bird", "shot": 2, "role": "class"} in classes


def test_whoever_may_only_predict_is_not_asked_for_photographs(locked_browser: Browser, make_key: Callable[..., str]) -> None:
    key = make_key("reader", scopes=frozenset({Scope.PREDICT}))
    locked_browser.send("/sign-in", key=key)
    page = locked_browser.open("/").text
    assert "<drop-zone" not in page
    assert "allows predictions only" in page


def test_a_folder_may_be_called_archive(api: Api) -> None:
    """The scripts send its images in a field with a space at its end; see `fieldOf` in `page.js`."""
    images = {"archive ": [encode_image(1)], "dog": [encode_image(2)]}
    shown = api.client.get(f"/v1/support-sets/{api.upload(images)}").json()
    assert sorted(one["label"] for one in shown["classes"]) == ["archive", "dog"]


def test_images_with_many_bands_are_shown_in_those_that_the_form_names(api: Api, browser: Browser) -> None:
    zipped = encode_zip({f"fields/{label}/0.tif": band_tiff(label, 0) for label in LABELS})
    refused = browser.upload("/sets", [("archive", ("fields.zip", zipped))], bands="4,3")
    assert refused.status_code == 422
    assert "These bands cannot be read" in refused.text
    made = browser.upload("/sets", [("archive", ("fields.zip", zipped))], bands="4,3,2", stretch="")
    assert made.status_code == 303
    page = browser.open(made.headers["location"]).text
    assert "Bands 4, 3, 2 are shown as red, green and blue, from 2 to 98 % of their values." in page
