"""The image's page of a TIFF is found. Reduced copies and masks do not make it an animation."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from tests.fixtures.pictures import difference, known_grey, known_rgb
from tests.fixtures.tiff_writer import BLACK_IS_ZERO, RGB, Page, write_tiff
from vtt_core.contract.errors import AnimatedImageError, ImageTooComplexError, TruncatedImageError
from vtt_core.ingest.decode import decode_image
from vtt_core.ingest.tiff_directory import MAX_PAGES, Tag, picture_directory, with_first_page

PICTURE = Page(known_rgb(), RGB)
WIDE = Page(known_grey().astype(np.uint16) * 257, BLACK_IS_ZERO, 16)


def small(kind: int, tag: int = 254) -> Page:
    """Return a half-sized page whose tag 254 (or 255) says what it is."""
    return Page(known_rgb()[::2, ::2].copy(), RGB, tags={tag: ("I", (kind,))})


@pytest.mark.parametrize("is_big_endian", [False, True])
@pytest.mark.parametrize("is_big_tiff", [False, True])
@pytest.mark.parametrize(
    "others", [[small(1)], [small(1), small(5), small(4)], [small(2, 255)]], ids=["overview", "with masks", "old tag"]
)
@pytest.mark.parametrize("is_first", [True, False])
def test_overviews_and_masks_are_left_out(is_big_endian: bool, is_big_tiff: bool, others: list[Page], is_first: bool) -> None:
    for picture, expected in ((PICTURE, known_rgb()), (WIDE, known_grey())):
        pages = [picture, *others] if is_first else [*others, picture]
        encoded = write_tiff(*pages, is_big_endian=is_big_endian, is_big_tiff=is_big_tiff)
        assert difference(decode_image(encoded), expected) <= 1


@pytest.mark.parametrize("pages", [[PICTURE, PICTURE], [WIDE, small(0)], [small(2), small(2)], [PICTURE, small(1), PICTURE]])
def test_several_pictures_are_refused_as_such(pages: list[Page]) -> None:
    with pytest.raises(AnimatedImageError, match="TIFF file of 2 pages"):
        decode_image(write_tiff(*pages))


def test_more_pages_than_are_looked_at_are_refused() -> None:
    tiny = Page(np.zeros((8, 8, 1), np.uint8), tags={254: ("I", (1,))})
    with pytest.raises(AnimatedImageError, match="1000 or more pages"):
        decode_image(write_tiff(PICTURE, *[tiny] * MAX_PAGES))


def test_directories_of_very_many_tags_are_refused() -> None:
    encoded = bytearray(write_tiff(PICTURE))
    page = struct.pack("<H", 60_000) + bytes(12 * 60_000)
    struct.pack_into("<I", encoded, 4, len(encoded))
    for _ in range(5):
        encoded += page + struct.pack("<I", len(encoded) + len(page) + 4)
    with pytest.raises(ImageTooComplexError, match="tags"):
        picture_directory(bytes(encoded))


@pytest.mark.parametrize("head", [b"II*\0", b"II*\0\xff\xff\xff\x7f", b"II*\0\x08\0\0\0\xff\xff", b"II+\0\x08\0\0\0"])
def test_a_directory_past_the_end_is_damage(head: bytes) -> None:
    with pytest.raises(TruncatedImageError) as caught:
        decode_image(head + bytes(4))
    assert "0x" not in str(caught.value)


def test_values_are_read_as_they_are_written() -> None:
    page = picture_directory(write_tiff(Page(known_rgb(), RGB, tags={42113: ("s", (b"-9999\0",))}), is_big_endian=True))
    assert page.numbers(Tag.BITS) == (8, 8, 8)
    assert page.number(Tag.FILL_ORDER, 7) == 7
    assert page.content(Tag.GDAL_NODATA) == b"-9999\0"
    with pytest.raises(ValueError, match="type 2"):
        page.numbers(Tag.GDAL_NODATA)


def test_the_first_page_is_changed_only_where_it_is_another() -> None:
    encoded = write_tiff(PICTURE, small(1))
    assert with_first_page(encoded, picture_directory(encoded)) is encoded
