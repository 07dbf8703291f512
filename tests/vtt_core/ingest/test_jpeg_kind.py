"""Unsupported kinds of JPEG are named by their frame marker."""

from __future__ import annotations

import pytest

from tests.fixtures.noise_images import good
from vtt_core.ingest.jpeg_kind import unread_jpeg_kind

JPEG = good(image_format="JPEG")
FRAME = JPEG.index(b"\xff\xc0")


@pytest.mark.parametrize(
    ("marker", "bits", "kind"),
    [
        (0xC0, 8, None),
        (0xC1, 12, "a JPEG of 12 bits"),
        (0xC3, 16, "a lossless JPEG"),
        (0xC9, 8, "an arithmetic-coded JPEG"),
        (0xF7, 8, "a JPEG-LS picture"),
    ],
)
def test_a_frame_names_its_kind(marker: int, bits: int, kind: str | None) -> None:
    encoded = JPEG[: FRAME + 1] + bytes([marker]) + JPEG[FRAME + 2 : FRAME + 4] + bytes([bits]) + JPEG[FRAME + 5 :]
    assert unread_jpeg_kind(encoded) == kind


@pytest.mark.parametrize("kept", [2, FRAME, FRAME + 2, FRAME + 4])
def test_a_file_that_ends_before_its_frame_has_no_kind(kept: int) -> None:
    assert unread_jpeg_kind(JPEG[:kept]) is None


def test_frames_in_segments_do_not_count() -> None:
    assert unread_jpeg_kind(JPEG[:2] + b"\xff\xfe\x00\x06\xff\xc3\x00\x00" + JPEG[2:]) is None
