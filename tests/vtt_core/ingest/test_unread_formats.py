"""Common unsupported formats are named by their first bytes."""

from __future__ import annotations

import pytest

from vtt_core.ingest.unread_formats import unread_format


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (b"\0\0\0\x18ftypcrx ", "a camera RAW photo (CR3)"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"\0\0\0\x18ftypwhat", None),
        (b"%PDF-1.7", "a PDF document"),
        (b"8BPS\0\1", "a Photoshop document (PSD)"),
        (b"\xff\x0a\xfa", "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"FUJIFILMCCD-RAW 0201", "a camera RAW photo (RAF)"),
        (b"<svg xmlns='x'/>", "an SVG drawing"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<svg/>", "an SVG drawing"),
        (b"<?xml version='1.0'?><html/>", None),
        (b"P6\n1 1\n255\n", "a netpbm picture"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_a_format_is_named(encoded: bytes, kind: str | None) -> None:
    assert unread_format(encoded) == kind
