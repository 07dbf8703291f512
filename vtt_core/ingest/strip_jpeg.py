"""Remove the metadata of a JPEG without re-encoding its pixels.

Kept are tables, frames, scans, JFIF without its thumbnail, Adobe's colour transform, the ICC profile and the orientation.
Bytes between segments and after the end of the image are removed, and so are the other images of an MPO file.

Source: ITU-T T.81, annex B; T.871 (JFIF); ICC.1:2022, annex B.4.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vtt_core.ingest.icc_profile import clean_icc
from vtt_core.ingest.orientation import UPRIGHT, orientation_exif, read_orientation
from vtt_core.ingest.structure import check

START, END, SCAN, JFIF, EXIF, ICC, ADOBE = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xEE
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_KEPT = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDD, SCAN}
"""Frames, Huffman and arithmetic tables, quantisation tables, restart interval, scans."""
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_ICC_PREFIX, _EXIF_PREFIX, _XMP_PREFIX = b"ICC_PROFILE\0", b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_ICC_PIECE_BYTES = 65_519
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_MARKER_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
"""Inside a scan, 0xFF00 is data, and restart markers are part of the scan."""


@dataclass(frozen=True)
class Segment:
    """One marker with its content."""

    marker: int
    payload: bytes
    """Without the length."""
    scan: bytes = b""
    """Coded data that follows the header of a scan."""

    def encode(self) -> bytes:
        """Return its bytes in a file."""
        return struct.pack(">BBH", 0xFF, self.marker, len(self.payload) + 2) + self.payload + self.scan


def strip_jpeg(encoded: bytes) -> bytes:
    """Return the JPEG without metadata.

    Raises:
        UnknownStructureError: it has no frame or no scan, or a segment reaches past the end.
    """
    segments = list(_segments(encoded))
    first_scan = next((place for place, segment in enumerate(segments) if segment.marker == SCAN), None)
    first_frame = next((place for place, segment in enumerate(segments) if segment.marker in _FRAMES), None)
    check(first_scan is not None and first_frame is not None, "JPEG without a frame or a scan")
    head = [
        *_last(segments[:first_scan], JFIF, b"JFIF\0", num_bytes=12, end=b"\0\0"),
        *_orientation(segments[:first_scan]),
        *_last(segments[:first_scan], ADOBE, b"Adobe", num_bytes=12),
        *_icc(segments[:first_frame]),
    ]
    return _assembled([*head, *_only_kept(segments)])


def strip_jpeg_stream(encoded: bytes) -> bytes:
    """Return tables or an image inside a TIFF, without any application data."""
    return _assembled(_only_kept(list(_segments(encoded))))


def _segments(encoded: bytes) -> Iterator[Segment]:
    check(encoded.startswith(b"\xff\xd8"), "no start of image")
    position = 2
    while (found := _MARKER.search(encoded, position)) is not None:
        marker, position = encoded[found.start() + 1], found.end()
        if marker == END:
            return
        check(marker != START, "image inside an image")
        if marker in _WITHOUT_LENGTH:
            continue
        length = int.from_bytes(encoded[position : position + 2], "big")
        check(2 <= length <= len(encoded) - position, "segment past the end")
        payload, position = encoded[position + 2 : position + length], position + length
        scan_end = position
        if marker == SCAN:
            following = _MARKER_AFTER_SCAN.search(encoded, position)
            scan_end = following.start() if following is not None else len(encoded)
        yield Segment(marker, payload, encoded[position:scan_end].rstrip(b"\xff"))
        position = scan_end


def _only_kept(segments: Sequence[Segment]) -> list[Segment]:
    return [segment for segment in segments if segment.marker in _KEPT]


def _assembled(segments: Sequence[Segment]) -> bytes:
    return b"".join([b"\xff\xd8", *(segment.encode() for segment in segments), b"\xff\xd9"])


def _last(segments: Sequence[Segment], marker: int, prefix: bytes, *, num_bytes: int, end: bytes = b"") -> list[Segment]:
    """Return the last segment that decoders would read, cut to the part that they use."""
    wanted = num_bytes + len(end)
    found = [one.payload for one in segments if one.marker == marker and one.payload.startswith(prefix)]
    whole = [payload for payload in found if len(payload) >= wanted]
    return [Segment(marker, whole[-1][:num_bytes] + end)] if whole else []


def _orientation(segments: Sequence[Segment]) -> list[Segment]:
    payloads = [segment.payload for segment in segments if segment.marker == EXIF]
    exif = b"".join(payload[len(_EXIF_PREFIX) :] for payload in payloads if payload.startswith(_EXIF_PREFIX))
    packets = [payload[len(_XMP_PREFIX) :] for payload in payloads if payload.startswith(_XMP_PREFIX)]
    orientation = read_orientation(exif, packets[-1] if packets else None)
    return [] if orientation == UPRIGHT else [Segment(EXIF, _EXIF_PREFIX + orientation_exif(orientation))]


def _icc(segments: Sequence[Segment]) -> list[Segment]:
    """Return the profile in as few segments as possible, or nothing if one of its pieces is missing."""
    pieces = sorted(one.payload for one in segments if one.marker == ICC and one.payload.startswith(_ICC_PREFIX))
    if not pieces or len(pieces[0]) < 14 or pieces[0][13] != len(pieces):
        return []
    profile = clean_icc(b"".join(piece[14:] for piece in pieces))
    parts = [profile[start : start + _ICC_PIECE_BYTES] for start in range(0, len(profile), _ICC_PIECE_BYTES)]
    if len(parts) > 255:
        return []
    return [Segment(ICC, _ICC_PREFIX + bytes((number, len(parts))) + part) for number, part in enumerate(parts, 1)]
