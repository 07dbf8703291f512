"""Boxes are walked to their end, whatever lengths they claim."""

from __future__ import annotations

import struct

from vtt_core.ingest.boxes import MAX_BOXES, box, boxes


def made(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def test_boxes_are_found_by_their_path() -> None:
    inner = made(b"abcd", b"1") + made(b"efgh", b"2")
    assert box(made(b"ftyp", b"x") + made(b"meta", inner), b"meta", b"efgh") == b"2"
    assert box(inner, b"none", b"efgh") == b""


def test_long_lengths_and_the_length_to_the_end_are_known() -> None:
    long = struct.pack(">I4sQ", 1, b"long", 16 + 3) + b"abc"
    assert list(boxes(long + struct.pack(">I4s", 0, b"rest") + b"to the end")) == [(b"long", b"abc"), (b"rest", b"to the end")]


def test_a_box_that_lies_about_its_length_is_the_last() -> None:
    for length in (2, 7, 1000, 2**32 - 1):
        assert [name for name, _ in boxes(struct.pack(">I4s", length, b"lies") + bytes(20))] == [b"lies"]


def test_very_many_boxes_are_not_walked() -> None:
    assert len(list(boxes(made(b"tiny", b"") * (MAX_BOXES + 5)))) == MAX_BOXES
