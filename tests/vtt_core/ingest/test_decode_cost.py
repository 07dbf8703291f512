"""Images that are costly to decode are recognised by their structure."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from tests.fixtures.noise_images import encode, good, noise
from tests.hostile.image_bombs import many_scans, tiff_tiles
from vtt_core.contract.errors import ImageTooComplexError
from vtt_core.ingest.decode_cost import MAX_SCANS, MAX_SEGMENTS, check_cost


def check(encoded: bytes) -> None:
    with Image.open(io.BytesIO(encoded)) as image:
        check_cost(image, encoded)


def test_a_long_run_of_fill_bytes_takes_no_longer_than_its_length() -> None:
    encoded = good(image_format="JPEG")
    at = encoded.index(b"\xff\xda") + 14
    begun = time.perf_counter()
    check(encoded[:at] + b"\xff" * 1_000_000 + b"\0" + encoded[at:])
    assert time.perf_counter() - begun < 30  # a search that goes back took 4.4 s for 20,000, and 2,500 times that here


def test_as_many_scans_as_allowed_pass_and_one_more_is_refused() -> None:
    check(many_scans(64, MAX_SCANS - 1))
    with pytest.raises(ImageTooComplexError, match="scans"):
        check(many_scans(64, MAX_SCANS))


@pytest.mark.parametrize("between", [b"\xff\x01", b"\xff\xff\xff", b"\xff\xfe\x00\x04\xff\xd9", b"garbage"])
def test_nothing_between_the_scans_hides_them(between: bytes) -> None:
    with pytest.raises(ImageTooComplexError):
        check(many_scans(64, MAX_SCANS, between))


def test_scan_markers_after_the_end_or_inside_a_segment_do_not_count() -> None:
    picture = good(image_format="JPEG")
    check(picture + b"\xff\xda\x00\x02" * 1000)
    check(picture[:2] + b"\xff\xfe\x40\x02" + b"\xff\xda\x00\x02" * 4096 + picture[2:])


def test_very_many_segments_are_refused() -> None:
    picture = good(image_format="JPEG")
    with pytest.raises(ImageTooComplexError, match="segments"):
        check(picture[:2] + b"\xff\xfe\x00\x02" * MAX_SEGMENTS + picture[2:])


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 1}, {"quality": 100}])
def test_ordinary_jpegs_pass(options: dict[str, int]) -> None:
    check(encode(noise(side=(256, 256)), "JPEG", **options))


def test_tiles_may_be_larger_than_their_picture_but_not_by_far() -> None:
    check(tiff_tiles(1024))
    with pytest.raises(ImageTooComplexError, match="tiles"):
        check(tiff_tiles(1040))
