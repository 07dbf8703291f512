"""Support sets of images with many bands over HTTP."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.infra.band_columns import wish_of
from app.infra.tables import SupportSetRow
from tests.fixtures.band_images import LABELS, SIDE, WISH, band_tiff, plain_image, plain_png
from tests.fixtures.http_api import Api, encode_image
from vtt_core.contract.bands import BandWish
from vtt_core.ingest.band_images import own_bands
from vtt_core.ingest.decode import decode_image

SETS = "/v1/support-sets"
TIFFS = [(label, (f"{label}{number}.tif", band_tiff(label, number))) for label in LABELS for number in range(2)]


def make_set(api: Api, **parameters: str) -> dict[str, Any]:
    answer = api.client.post(SETS, files=TIFFS, params={"bands": "4,3,2", "stretch": "0,100", **parameters})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_the_choice_is_stored_and_shown_everywhere(api: Api) -> None:
    made = make_set(api)
    assert (made["bands"], made["stretch"]) == ([4, 3, 2], [0, 100])
    shown = api.client.get(f"{SETS}/{made['id']}").json()
    assert (shown["bands"], shown["stretch"]) == ([4, 3, 2], [0, 100])
    with api.context.readers() as session:
        assert wish_of(session.get_one(SupportSetRow, made["id"])) == WISH


def test_without_a_stretch_it_is_the_usual_one_and_one_band_is_grey(api: Api) -> None:
    made = api.client.post(SETS, files=TIFFS, params={"bands": "1"}).json()
    assert (made["bands"], made["stretch"]) == ([1, 1, 1], [2, 98])
    ordinary = api.client.get(f"{SETS}/{api.upload()}").json()
    assert (ordinary["bands"], ordinary["stretch"]) == (None, None)


def test_images_are_stored_with_all_bands_and_without_their_place_on_earth(api: Api) -> None:
    made = make_set(api)
    (image, *_) = api.client.get(f"{SETS}/{made['id']}").json()["images"]
    stored = api.client.get(image["links"]["self"])
    assert (stored.headers["content-type"], image["image_format"], image["width"]) == ("image/tiff", "TIFF", SIDE)
    sent = band_tiff(LABELS[0], 0)
    choice = own_bands(sent, WISH)
    assert (choice.black, choice.white) == ((100,) * 3, (4180,) * 3)
    shown = decode_image(stored.content, bands=choice)
    assert shown.tobytes() == decode_image(sent, bands=choice).tobytes() == plain_image(LABELS[0], 0).tobytes()
    assert decode_image(stored.content, bands=own_bands(sent, BandWish((1, 1, 1)))).getbbox() is not None
    assert b"WGS" in sent
    assert b"WGS" not in stored.content


def test_a_thumbnail_shows_the_bands(api: Api) -> None:
    made = make_set(api)
    (image, *_) = api.client.get(f"{SETS}/{made['id']}").json()["images"]
    answer = api.client.get(image["links"]["thumbnail"])
    assert answer.headers["content-type"] == "image/webp"
    shown = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"), dtype=float)
    assert np.abs(shown - np.asarray(plain_image(LABELS[0], 0), dtype=float)).mean() < 12


def test_images_that_are_added_and_copies_are_read_so_too(api: Api) -> None:
    made = make_set(api)
    added = api.client.post(f"{SETS}/{made['id']}/images", files=[(LABELS[0], ("9.tif", band_tiff(LABELS[0], 9)))])
    assert (added.status_code, added.json()["bands"]) == (201, [4, 3, 2])
    copied = api.client.post(f"{SETS}/{made['id']}/copy").json()
    assert (copied["bands"], copied["stretch"], len(copied["images"])) == ([4, 3, 2], [0, 100], 5)


def refusals(answer: Any) -> list[dict[str, Any]]:
    return [result for result in answer.json()["results"] if result["status"] != 201]


def test_without_bands_such_an_image_is_refused_with_what_to_do(api: Api) -> None:
    answer = api.client.post(SETS, files=TIFFS)
    assert answer.status_code == 422
    refused = refusals(answer)[0]
    assert refused["code"] == "image.unsupported_kind"
    assert "4 bands of 16 bits" in refused["got"]
    assert "POST /v1/support-sets?bands=4,3,2" in refused["remedy"]


def test_an_image_without_one_of_the_bands_is_refused_by_name(api: Api) -> None:
    answer = api.client.post(SETS, files=TIFFS, params={"bands": "5,3,2"})
    assert answer.status_code == 422
    assert refusals(answer)[0]["expected"].startswith("a TIFF with the bands 5, 3, 2")
    assert "4 bands" in refusals(answer)[0]["got"]


def test_an_image_of_another_format_is_refused_and_the_others_are_kept(api: Api) -> None:
    photo = (LABELS[0], ("photo.png", encode_image(3)))
    answer = api.client.post(SETS, files=[*TIFFS, photo], params={"bands": "4,3,2"})
    assert answer.status_code == 207
    assert [(one["file"], one["code"], one["got"]) for one in refusals(answer)] == [
        ("photo.png", "image.not_an_image", "another format")
    ]


@pytest.mark.parametrize(
    "parameters",
    [{"bands": "4,3"}, {"bands": "0,1,2"}, {"bands": "a"}, {"bands": ""}, {"bands": "1,2,65"}, {"bands": "4,3,2,1"}]
    + [{"stretch": "2,98"}, {"bands": "4,3,2", "stretch": "98,2"}, {"bands": "4,3,2", "stretch": "nan,98"}],
)
def test_bands_that_make_no_sense_are_refused(api: Api, parameters: dict[str, str]) -> None:
    answer = api.client.post(SETS, files=TIFFS, params=parameters)
    assert (answer.status_code, answer.json()["code"]) == (422, "bands.invalid")
    assert api.store_keys() == []


def test_a_report_reads_the_bands(api: Api) -> None:
    made = make_set(api)
    answer = api.client.post(f"{SETS}/{made['id']}/report")
    assert (answer.status_code, answer.json()["num_images"]) == (200, 4)


def test_a_plain_tiff_of_the_bands_is_the_picture_that_a_png_is() -> None:
    choice = own_bands(band_tiff(LABELS[1], 1), WISH)
    plain = decode_image(plain_png(LABELS[1], 1)).tobytes()
    assert decode_image(band_tiff(LABELS[1], 1), bands=choice).tobytes() == plain


def test_bands_change_only_while_there_are_no_images(api: Api) -> None:
    path = f"{SETS}/{make_set(api)['id']}"
    same = api.client.patch(path, json={"bands": "4,3,2", "stretch": "0,100", "name": "fields"})
    assert (same.status_code, same.json()["name"]) == (200, "fields")
    fixed = api.client.patch(path, json={"bands": "3,2,1"})
    assert (fixed.status_code, fixed.json()["code"]) == (409, "support_set.bands_fixed")
    assert "POST /v1/support-sets?bands=" in fixed.json()["remedy"]
    assert api.client.patch(path, json={"stretch": "1,99"}).json()["code"] == "bands.invalid"
    for label in LABELS:
        api.client.delete(f"{path}/classes", params={"label": label})
    changed = api.client.patch(path, json={"bands": "3,2,1"})
    assert (changed.status_code, changed.json()["bands"], changed.json()["stretch"]) == (200, [3, 2, 1], [2, 98])
    assert api.client.patch(path, json={"bands": None}).json()["bands"] is None


def test_bands_are_changed_in_the_form_of_the_answer_too(api: Api) -> None:
    path = f"{SETS}/{make_set(api)['id']}"
    before = api.client.get(path).json()
    same = api.client.patch(path, json={"bands": before["bands"], "stretch": before["stretch"]})
    assert (same.status_code, same.json()["bands"]) == (200, before["bands"])
    for label in LABELS:
        api.client.delete(f"{path}/classes", params={"label": label})
    changed = api.client.patch(path, json={"bands": [3, 2, 1], "stretch": [1, 99.5]})
    assert (changed.status_code, changed.json()["bands"], changed.json()["stretch"]) == (200, [3, 2, 1], [1, 99.5])
    for wrong in ([1, 2], [0, 1, 2], []):
        assert api.client.patch(path, json={"bands": wrong}).json()["code"] == "bands.invalid"


@pytest.mark.parametrize("query", ["bands=4,3,2&bands=1", "bands=4,3,2&stretch=2,98&stretch=1,99"])
def test_what_is_said_twice_is_refused(api: Api, query: str) -> None:
    answer = api.client.post(f"{SETS}?{query}", files=[("images", ("a.tif", band_tiff(LABELS[0], 0)))])
    assert (answer.status_code, answer.json()["code"]) == (422, "bands.invalid")
    assert "2 times" in answer.json()["got"]
