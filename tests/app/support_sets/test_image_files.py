"""Images of support sets and their thumbnails over HTTP."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from app.infra.settings import Role
from app.support_sets import image_files
from tests.fixtures.http_api import Api, MakeApi, encode_image
from vtt_core.ingest.decode import FORMATS

CACHING = "private, max-age=31536000, immutable"


def upload_one(api: Api, content: bytes, name: str = "a.png") -> str:
    """Return the path of the only image of a new set."""
    answer = api.client.post("/v1/support-sets", files=[("cat", (name, content))])
    return f"/v1/support-sets/{answer.json()['id']}/images/{answer.json()['results'][0]['image_id']}"


def open_image(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_an_image_is_shown_as_it_is_stored_and_may_be_kept_for_good(api: Api) -> None:
    sent = encode_image(7, image_format="BMP")
    answer = api.client.get(upload_one(api, sent, 'Blatt "1" ü.bmp'))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, sent, "image/bmp")
    assert answer.headers["cache-control"] == CACHING
    assert answer.headers["content-disposition"] == "inline; filename*=utf-8''Blatt%20%221%22%20%C3%BC.bmp"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_links_lead_to_the_image_and_its_thumbnail(api: Api) -> None:
    (image,) = api.client.get(upload_one(api, encode_image(7)).partition("/images")[0]).json()["images"]
    assert api.client.get(image["links"]["self"]).headers["content-type"] == "image/png"
    assert api.client.get(image["links"]["thumbnail"]).headers["content-type"] == "image/webp"


@pytest.mark.parametrize("tail", ["", "/thumbnail", "/thumbnail?side=100"])
def test_a_copy_that_is_right_is_not_sent_again(api: Api, tail: str) -> None:
    path = upload_one(api, encode_image(7)) + tail
    etag = api.client.get(path).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = api.client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert answer.headers["cache-control"] == CACHING
    assert api.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_format_has_a_thumbnail_that_browsers_show(api: Api, image_format: str) -> None:
    path = upload_one(api, encode_image(7, side=(120, 60), image_format=image_format))
    answer = api.client.get(f"{path}/thumbnail?side=64")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert (open_image(answer.content).format, open_image(answer.content).size) == ("WEBP", (64, 32))


@pytest.mark.parametrize("side", [31, 1025, "wide"])
def test_a_side_out_of_range_is_refused(api: Api, side: object) -> None:
    assert api.client.get(f"{upload_one(api, encode_image(7))}/thumbnail?side={side}").status_code == 422


def test_a_thumbnail_is_kept_and_goes_with_its_image(api: Api) -> None:
    path = upload_one(api, encode_image(7, side=(120, 60)))
    first = api.client.get(f"{path}/thumbnail?side=64").content
    assert api.client.get(f"{path}/thumbnail?side=65").status_code == 200
    assert api.blobs(f"{path.removeprefix('/v1/').partition('/images')[0]}/thumbnails") == ["64.webp"]
    api.context.store.put(api.store_keys()[-1], b"kept")
    assert api.client.get(f"{path}/thumbnail?side=64").content == b"kept" != first
    assert api.client.delete(path).status_code == 204
    assert api.store_keys() == []
    assert api.client.get(f"{path}/thumbnail?side=64").status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("tail", ["", "/classes?label=cat"])
def test_thumbnails_go_with_their_set_and_their_class(api: Api, tail: str) -> None:
    path = upload_one(api, encode_image(7))
    assert api.client.get(f"{path}/thumbnail").status_code == 200
    assert api.client.delete(path.partition("/images")[0] + tail).status_code == 204
    assert api.store_keys() == []
    assert api.client.get(path).status_code == (404 if tail else 410)


def test_a_thumbnail_that_is_made_while_its_image_is_deleted_is_not_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    path = upload_one(api, encode_image(7))
    make = image_files.make_thumbnail

    def make_late(*sent: object) -> bytes:
        made = make(*sent)  # type: ignore[arg-type]
        assert api.client.delete(path).status_code == 204
        return made

    monkeypatch.setattr(image_files, "make_thumbnail", make_late)
    assert api.client.get(f"{path}/thumbnail").status_code == 404
    assert api.store_keys() == []


def test_lost_bytes_are_the_service_s_fault(api: Api) -> None:
    path = upload_one(api, encode_image(7))
    api.context.store.delete(api.store_keys()[0])
    for lost in (path, f"{path}/thumbnail"):
        answer = api.client.get(lost)
        assert (answer.status_code, answer.json()["code"]) == (500, "store.missing")


def test_role_control_makes_thumbnails(make_api: MakeApi) -> None:
    api = make_api(role=Role.CONTROL)
    assert api.client.get(f"{upload_one(api, encode_image(7))}/thumbnail").status_code == 200


def test_an_image_of_another_set_is_not_found(api: Api) -> None:
    first, second = upload_one(api, encode_image(7)), upload_one(api, encode_image(8))
    mixed = first.partition("/images")[0] + "/images" + second.partition("/images")[2]
    assert [api.client.get(mixed + tail).status_code for tail in ("", "/thumbnail")] == [404, 404]


@pytest.mark.slow
def test_a_page_full_of_new_thumbnails_needs_no_more_connections_than_there_are(api: Api) -> None:
    """More requests wait for their turn than the database has connections."""
    addresses = [f"{upload_one(api, encode_image(place))}/thumbnail" for place in range(24)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(api.client.get, addresses))
    assert {answer.status_code for answer in answers} == {200}
