"""The colour space of an AVIF is that of its primary image."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.fixtures.noise_images import encode
from tests.fixtures.pictures import known_rgb
from vtt_core.contract.errors import UnsupportedKindError
from vtt_core.ingest.avif import coded_colours, is_avif
from vtt_core.ingest.coded_colours import CodedColours
from vtt_core.ingest.decode import decode_image

AVIF = encode(Image.fromarray(known_rgb()), "AVIF")


def coded_as(primaries: int, transfer: int) -> bytes:
    at = AVIF.index(b"nclx") + 4
    return AVIF[:at] + bytes([0, primaries, 0, transfer]) + AVIF[at + 4 :]


def test_the_numbers_of_the_primary_picture_are_read() -> None:
    assert coded_colours(AVIF) == CodedColours(1, 13)
    assert coded_colours(coded_as(12, 13)) == CodedColours(12, 13)


def test_another_space_changes_the_colours_and_high_dynamic_range_is_refused() -> None:
    assert decode_image(coded_as(12, 13)).tobytes() != decode_image(AVIF).tobytes()
    with pytest.raises(UnsupportedKindError, match="PQ"):
        decode_image(coded_as(9, 16))


def test_the_space_of_another_picture_of_the_file_does_not_count() -> None:
    """The numbers of a gain map stand beside those of the picture; `pitm` says which picture is the primary."""
    at = AVIF.index(b"pitm") + 8
    assert coded_colours(AVIF[:at] + b"\0\x07" + AVIF[at + 2 :]) is None


def test_damaged_associations_are_ignored() -> None:
    at = AVIF.index(b"ipma") + 8
    assert coded_colours(AVIF[:at] + b"\xff\xff\xff\xff\0\x09\xff" + AVIF[at + 7 :]) is None


def test_brands_tell_avif_from_other_files_of_boxes() -> None:
    assert is_avif(AVIF)
    assert not is_avif(b"\0\0\0\x18ftypheic" + bytes(16))
