"""For any bytes, a parser returns a result or raises a documented error, in bounded memory."""

from __future__ import annotations

import asyncio
import io
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import MalformedRequestError, RequestTooLargeError, UnsupportedMediaTypeError
from app.uploads.form import FormLimits, spool_form
from tests.fixtures.noise_images import encode, frames, good, noise
from tests.hostile.mutations import FUZZ, bounded_memory, mutated
from tests.hostile.raw_zip import Entry, pack, zip64_end
from vtt_core.adapter.files import MANIFEST_FILE, TENSORS_FILE, adapter_from_files
from vtt_core.contract.errors import AdapterFormatError, ArchiveError, ImageError, ImageTooManyBytesError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.contract.manifest import FORMAT_VERSION, AdapterManifest, HeadFacts
from vtt_core.ingest.archives import read_zip
from vtt_core.ingest.decode import FORMATS, decode_image, inspect_image

SMALL = replace(
    DEFAULT_LIMITS,
    max_image_bytes=10_000,
    max_image_pixels=100_000,
    max_archive_entries=50,
    max_unpacked_bytes=200_000,
    max_archive_bytes=2**20,
)
PICTURES = [encode(noise(side=(24, 16)), name) for name in FORMATS]
OTHERS = [
    frames("GIF", 2),
    frames("TIFF", 2),
    encode(noise("CMYK"), "JPEG", progressive=True),
    encode(noise("F"), "TIFF", compression="tiff_lzw"),
]
ZIPS = [pack([Entry(b"cat/a.png", good()), Entry(b"dog/b.png", good(1), method=8)], zip64=zip64_end(2, 100, 0, 0))]


def read_all(zipped: bytes) -> None:
    try:
        with read_zip(io.BytesIO(zipped), SMALL) as contents:
            for file in contents.files:
                assert ".." not in file.name.split("/")
                try:
                    assert len(file.read()) <= SMALL.max_image_bytes
                except (ArchiveError, ImageTooManyBytesError):
                    continue
    except ArchiveError:
        return


class TestImages:
    @pytest.mark.slow
    @FUZZ
    @given(mutated(*PICTURES, *OTHERS))
    def test_a_changed_picture_is_decoded_or_refused(self, encoded: bytes) -> None:
        with bounded_memory():
            try:
                facts = inspect_image(encoded, SMALL)
            except ImageError:
                return
            assert facts.width * facts.height <= SMALL.max_image_pixels
            assert decode_image(encoded, SMALL).mode == "RGB"

    @FUZZ
    @given(st.sampled_from([picture[:size] for picture in PICTURES for size in (4, 12, 30)]), st.binary(max_size=300))
    def test_a_beginning_and_anything_is_decoded_or_refused(self, beginning: bytes, rest: bytes) -> None:
        with bounded_memory():
            try:
                inspect_image(beginning + rest, SMALL)
            except ImageError:
                return


sizes = st.none() | st.sampled_from([0, 1, 2**31 - 1, 2**32 - 1]) | st.integers(0, 300_000)
names = st.binary(max_size=40) | st.sampled_from(
    [b"../a", b"/a", b"a\0b", b"c:/a", b"a\\b", b"x/" * 40, b"cat/a", b"", b"/", b"."]
)
entries = st.builds(
    Entry,
    name=names,
    content=st.binary(max_size=60) | st.just(bytes(5000)),
    method=st.sampled_from([0, 8, 8, 12, 99]),
    flags=st.sampled_from([0, 0, 0, 1, 8, 0x800, 0x2041]),
    mode=st.sampled_from([0, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, stat.S_IFDIR, stat.S_IFIFO]),
    extra=st.binary(max_size=30) | st.just(b"\1\0\x10\0" + b"\xff" * 16),
    packed=st.none() | st.binary(max_size=60),
    says_bytes=sizes,
    says_packed_bytes=sizes,
    local_name=st.none() | names,
    at=st.none() | st.integers(0, 400),
    made_by=st.integers(0, 255),
)


class TestZips:
    @pytest.mark.slow
    @FUZZ
    @given(st.lists(entries, max_size=12), st.binary(max_size=30), st.integers(0, 60), st.binary(max_size=90))
    def test_a_zip_that_lies_in_any_header_is_read_or_refused(
        self, several: list[Entry], before: bytes, says_entries: int, zip64: bytes
    ) -> None:
        with bounded_memory():
            read_all(pack(several, before=before, says_entries=says_entries, zip64=zip64))
            read_all(pack(several))

    @pytest.mark.slow
    @FUZZ
    @given(mutated(*ZIPS))
    def test_a_changed_zip_is_read_or_refused(self, zipped: bytes) -> None:
        with bounded_memory():
            read_all(zipped)

    @pytest.mark.slow
    @FUZZ
    @given(st.lists(st.integers(0, 16), max_size=16), st.integers(0, 4))
    def test_a_nested_zip_is_rejected_inside(self, places: list[int], depth: int) -> None:
        body = pack([Entry(b"cat/%d.png" % place, good()) for place in places])
        for level in range(depth):
            body = pack([Entry(b"cat/%d.zip" % level, body)])
        with bounded_memory():
            read_all(body)


MANIFEST = {
    "format_version": FORMAT_VERSION,
    "backbone_id": "mini",
    "backbone_sha256": "ab" * 32,
    "tensors_sha256": "cd" * 32,
    "labels": ["a", "b"],
    "prompts": ["a photo of a", "a photo of b"],
    "preprocessing": {"side_pixels": 8, "resize": "squash", "interpolation": "bilinear", "mean": [0, 0, 0], "std": [1, 1, 1]},
    "recipe": {},
    "seed": 1,
    "absorption_stopped_at": None,
    "library_versions": {},
    "head": HeadFacts(
        "sum", {"ridge": 5.0, "text": 0.0}, (0.1, 0.7), {"mean": 0.8, "deviation": 0.05, "num_values": 25}
    ).to_json(),
}
numbers = st.integers() | st.floats() | st.just(10**400)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(sorted(MANIFEST)), inner, max_size=4)
    ),
    max_leaves=12,
)


def read_manifest(values: object) -> None:
    try:
        manifest = AdapterManifest.from_json(values)
    except AdapterFormatError:
        return
    assert AdapterManifest.from_json(manifest.to_json()) == manifest


class TestManifests:
    @pytest.mark.slow
    @FUZZ
    @given(json_values)
    def test_any_json_is_read_or_refused(self, values: object) -> None:
        read_manifest(values)

    @pytest.mark.slow
    @FUZZ
    @given(
        st.dictionaries(st.sampled_from([*sorted(MANIFEST), "other"]), json_values, max_size=4),
        st.sets(st.sampled_from(sorted(MANIFEST)), max_size=1),
    )
    def test_a_manifest_with_other_fields_is_read_or_refused(self, changes: dict[str, object], missing: set[str]) -> None:
        read_manifest({name: value for name, value in (MANIFEST | changes).items() if name not in missing})

    @pytest.mark.slow
    @FUZZ
    @given(st.dictionaries(st.sampled_from([*sorted(MANIFEST["preprocessing"]), "other"]), json_values, max_size=3))
    def test_any_preprocessing_is_read_or_refused(self, changes: dict[str, object]) -> None:
        read_manifest(MANIFEST | {"preprocessing": MANIFEST["preprocessing"] | changes})

    @pytest.mark.slow
    @FUZZ
    @given(st.dictionaries(st.sampled_from([*sorted(MANIFEST["head"]), "other"]), json_values, max_size=3))
    def test_any_facts_of_a_head_are_read_or_refused(self, changes: dict[str, object]) -> None:
        read_manifest(MANIFEST | {"head": MANIFEST["head"] | changes})

    def test_the_manifest_that_is_changed_here_can_be_read(self) -> None:
        assert AdapterManifest.from_json(MANIFEST).head is not None


FORM_LIMITS = FormLimits(
    max_parts=8,
    max_text_bytes=50,
    max_file_bytes=lambda name: 500,
    description="at most 5 images",
    example="-F images=@photo.jpg",
)
LATIN_1 = st.characters(max_codepoint=255)  # what a header of a request holds
FORM = b"".join(
    [
        b'--bound\r\nContent-Disposition: form-data; name="cat"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
        + bytes(range(100))
        + b"\r\n",
        b'--bound\r\nContent-Disposition: form-data; name="model"\r\n\r\nsatellite\r\n',
        b"--bound\r\nContent-Disposition: form-data; name*=utf-8''d%C3%B6g; filename*=utf-8''%ff.png\r\n\r\n-\r\n--bound--\r\n",
    ]
)


def spool(content_type: str, body: bytes, chunk_bytes: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    try:
        form = asyncio.run(spool_form(content_type, chunks(), FORM_LIMITS))
    except (MalformedRequestError, RequestTooLargeError, UnsupportedMediaTypeError):
        return
    for part in form.files:
        if part.is_kept:
            assert len(form.read(part)) == part.size_bytes <= 500
    form.close()


class TestForms:
    @FUZZ
    @given(mutated(FORM), st.sampled_from([1, 7, 1000]))
    def test_a_changed_form_is_read_or_refused(self, body: bytes, chunk_bytes: int) -> None:
        with bounded_memory():
            spool("multipart/form-data; boundary=bound", body, chunk_bytes)

    @pytest.mark.slow
    @FUZZ
    @given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=60)), max_size=5), st.binary(max_size=50))
    def test_any_headers_of_a_part_are_read_or_refused(self, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        spool("multipart/form-data; boundary=bound", b"--bound\r\n" + lines + b"\r\n" + content + b"\r\n--bound--\r\n", 1000)

    @FUZZ
    @given(
        st.text(LATIN_1, max_size=60) | st.text(LATIN_1, max_size=90).map("multipart/form-data; boundary={}".format),
        st.binary(max_size=60),
    )
    def test_any_content_type_is_read_or_refused(self, content_type: str, body: bytes) -> None:
        spool(content_type, body, 1000)

    @pytest.mark.parametrize(
        "name", ["name*=utf-8''%E2%98%83", "name=cat; filename*=utf-8''%E2%98%83.png", "name*=klingon''%E2", "name*=utf-8''%FF"]
    )
    def test_a_name_of_any_encoding_is_read_or_refused(self, name: str) -> None:
        body = f"--bound\r\nContent-Disposition: form-data; {name}\r\n\r\n.\r\n--bound--\r\n"
        spool("multipart/form-data; boundary=bound", body.encode(), 1000)
        spool(f"multipart/form-data; boundary*=utf-8''%E2%98%83; {name}", body.encode(), 1000)

    @FUZZ
    @given(st.binary(max_size=80))
    def test_any_disposition_is_read_or_refused(self, value: bytes) -> None:
        body = (
            b"--bound\r\nContent-Disposition: " + value.replace(b"\r", b"").replace(b"\n", b"") + b"\r\n\r\n.\r\n--bound--\r\n"
        )
        spool("multipart/form-data; boundary=bound", body, 1000)


@pytest.mark.parametrize("name", ["labels", "recipe", "library_versions", "preprocessing", "seed", "head"])
def test_json_of_any_depth_is_read_or_refused(name: str) -> None:
    for depth in range(100, 1000, 20):
        deep: object = {}
        for _ in range(depth):
            deep = [deep]
        with suppress(AdapterFormatError):
            AdapterManifest.from_json(MANIFEST | {name: deep})
        with suppress(AdapterFormatError):
            adapter_from_files({MANIFEST_FILE: b"[" * depth + b"]" * depth, TENSORS_FILE: b""})
