"""Boxes are read to the end, whatever lengths they state."""

from __future__ import annotations

import struct

import pytest

from vtt_core.ingest.boxes import MAX_BOXES, box, boxes, read_boxes
from vtt_core.ingest.structure import UnknownStructureError


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


def test_boxes_of_every_kind_of_length_are_walked() -> None:
    encoded = b"\0\0\0\x0aabcd12" + struct.pack(">I4sQ", 1, b"long", 17) + b"x" + b"\0\0\0\0lastrest"
    found = list(read_boxes(encoded, 0, len(encoded)))
    assert [(one.kind, encoded[one.body : one.end]) for one in found] == [(b"abcd", b"12"), (b"long", b"x"), (b"last", b"rest")]


@pytest.mark.parametrize("broken", [b"\0\0\0\x09abcd", b"\0\0\0\x07abcd", b"\0\0", struct.pack(">I4sQ", 1, b"long", 2**63)])
def test_a_box_past_the_end_is_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        list(read_boxes(broken, 0, len(broken)))
