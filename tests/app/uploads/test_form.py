"""Forms are read part by part into one file, each within its limit."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import zipfile
from collections.abc import AsyncIterator

import httpx2
import pytest

from app.domain.errors import MalformedRequestError, RequestTooLargeError, UnsupportedMediaTypeError
from app.uploads.form import FormLimits, SpooledForm, spool_form
from tests.fixtures.http_api import encode_zip

LIMITS = FormLimits(
    max_parts=10,
    max_text_bytes=20,
    max_file_bytes=lambda field: 3_000_000 if field == "archive" else 100,
    description="at most 5 images",
    example="-F images=@photo.jpg",
)


def read(content_type: str, body: bytes, chunk_bytes: int = 7, limits: FormLimits = LIMITS) -> SpooledForm:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    return asyncio.run(spool_form(content_type, chunks(), limits))


def encode(files: list[tuple[str, tuple[str, bytes]]], data: dict[str, str] | None = None) -> tuple[str, bytes]:
    request = httpx2.Request("POST", "http://test", files=files, data=data)
    return request.headers["content-type"], request.read()


@pytest.mark.parametrize("chunk_bytes", [1, 7, 10_000])
def test_parts_come_out_as_they_went_in(chunk_bytes: int) -> None:
    sent = [("Wald \N{SNOWMAN}", ("a.png", b"one\r\n--two")), ("cat", ("b.png", b"")), ("cat", ("c.png", bytes(range(100))))]
    form = read(*encode(sent, {"model": "x%22y"}), chunk_bytes)
    assert [(part.field_name, part.file_name, form.read(part)) for part in form.files] == [(n, f, c) for n, (f, c) in sent]
    assert [(part.field_name, part.text) for part in form.texts] == [("model", "x%22y")]
    form.close()


def test_a_file_over_its_limit_is_counted_and_dropped_and_the_others_stay() -> None:
    form = read(*encode([("cat", ("a", bytes(101))), ("dog", ("b", b"good"))]))
    large, good = form.files
    assert (large.is_kept, large.size_bytes) == (False, 101)
    assert (good.is_kept, form.read(good)) == (True, b"good")
    form.close()


def test_an_archive_is_opened_in_place() -> None:
    archive = encode_zip({"cat/1.png": b"1" * 50, "dog/2.png": b"2" * 1_500_000})
    form = read(*encode([("cat", ("a", b"before")), ("archive", ("a.zip", archive)), ("dog", ("b", b"after"))]), 65_536)
    with form.open(form.files[1]) as stream, zipfile.ZipFile(stream) as opened:
        assert opened.read("cat/1.png") == b"1" * 50
        assert form.read(form.files[2]) == b"after"
        assert opened.read("dog/2.png") == b"2" * 1_500_000
        assert stream.seek(-4, io.SEEK_END) == len(archive) - 4
        with pytest.raises(OSError, match="Invalid argument"):
            stream.seek(-1)
    form.close()


@pytest.mark.parametrize(("files", "data"), [([("cat", ("a", b""))] * 11, {}), ([], {"note": "x" * 21})], ids=["parts", "text"])
def test_too_many_parts_and_long_texts_are_refused(files: list[tuple[str, tuple[str, bytes]]], data: dict[str, str]) -> None:
    with pytest.raises(RequestTooLargeError):
        read(*encode(files or [("cat", ("a", b""))], data))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", b"nonsense"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b\r\n'),
        ("multipart/form-data; boundary=" + "b" * 300, b"--"),
    ],
)
def test_a_form_that_cannot_be_read_is_malformed(content_type: str, body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        read(content_type, body)


@pytest.mark.parametrize("content_type", ["", "application/json", "application/x-www-form-urlencoded"])
def test_other_media_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        read(content_type, b"a=b")


def test_an_empty_zip_opens_in_place_as_it_does_in_a_file() -> None:
    form = read(*encode([("archive", ("a.zip", encode_zip({})))]))
    with form.open(form.files[0]) as stream, zipfile.ZipFile(stream) as opened:
        assert opened.namelist() == []
    form.close()


@pytest.mark.parametrize(
    ("sent", "label"),
    [
        (rb'name="polar\ star"', "polar star"),
        (rb'name="annual\ crop\ (dry)"', "annual crop (dry)"),
        (b"name*=utf-8''Bl%C3%BCte", "Bl\u00fcte"),
    ],
)
def test_a_field_name_as_aiohttp_writes_it_is_the_label_that_was_meant(sent: bytes, label: str) -> None:
    head = b"--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; "
    form = read("multipart/form-data; boundary=b", head + sent + b'; filename="a.png"\r\n\r\nx\r\n--b--\r\n')
    assert [(part.field_name, part.file_name, form.read(part)) for part in form.files] == [(label, "a.png", b"x")]
    form.close()


def test_a_field_name_that_can_be_read_in_two_ways_is_refused_with_what_was_sent() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="a\\(b c"; filename="a"\r\n\r\nx\r\n--b--\r\n'
    with pytest.raises(MalformedRequestError, match=r'name="a\\+\(b c"'):
        read("multipart/form-data; boundary=b", body)


@pytest.mark.slow
def test_the_names_of_a_form_stay_within_their_memory() -> None:
    limits = FormLimits(
        max_parts=10_000, max_text_bytes=1000, max_file_bytes=lambda _: 100, description="few", example="-F a=@b"
    )
    usual = [(f"class {place % 200}", (f"image-{place:05}.jpg", b"")) for place in range(3200)]
    form = read(*encode(usual), 65_536, limits)
    assert len(form.files) == 3200
    form.close()
    for hostile in ([("c" * 1500, ("f" * 1500, b""))] * 1000, [("cat", ("f" * 3000, b""))] * 1000):
        with pytest.raises(RequestTooLargeError, match="at most 2097152 bytes of field names, file names and text fields"):
            read(*encode(hostile), 65_536, limits)
    texts = {f"t{place}": "x" * 1000 for place in range(2500)}
    with pytest.raises(RequestTooLargeError, match="text fields"):
        read(*encode([("cat", ("a", b""))], texts), 65_536, limits)


def test_a_text_field_may_have_a_limit_of_its_own() -> None:
    limits = dataclasses.replace(LIMITS, long_texts={"groups": 40})
    form = read(*encode([("cat", ("a", b""))], {"groups": "x" * 40}), limits=limits)
    form.close()
    assert [part.size_bytes for part in form.texts] == [40]
    for name in ("groups", "other"):
        with pytest.raises(RequestTooLargeError, match=f"in the text field '{name}'"):
            read(*encode([("cat", ("a", b""))], {name: "x" * (41 if name == "groups" else 21)}), limits=limits)
