"""The chunks of a PNG before its pixels."""

from __future__ import annotations

import struct

from tests.fixtures.pictures import known_grey, known_rgb
from tests.fixtures.png_writer import png_chunk, write_png
from vtt_core.ingest.coded_colours import CodedColours
from vtt_core.ingest.png_header import PngHeader, read_png_header


def test_depth_and_chunks_are_read() -> None:
    chunks = png_chunk(b"sBIT", bytes([12, 11, 10])) + png_chunk(b"cICP", bytes([12, 13, 0, 1]))
    key = png_chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))
    header = read_png_header(write_png(known_rgb(), 16, chunks + key))
    assert header == PngHeader(16, 2, (12, 11, 10), (1, 2, 3), CodedColours(12, 13))


def test_chunks_of_a_wrong_length_are_ignored() -> None:
    chunks = png_chunk(b"sBIT", bytes(3)) + png_chunk(b"tRNS", bytes(6)) + png_chunk(b"cICP", b"")
    assert read_png_header(write_png(known_grey(), 8, chunks)) == PngHeader(8, 0)


def test_reading_ends_at_a_chunk_past_the_end() -> None:
    encoded = write_png(known_grey(), 8)
    assert read_png_header(encoded[:33] + b"\x7f\xff\xff\xffsBIT") == PngHeader(8, 0)
