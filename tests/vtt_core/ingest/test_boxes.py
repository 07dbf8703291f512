import struct

import pytest

from vtt_core.ingest.boxes import read_boxes
from vtt_core.ingest.structure import UnknownStructureError


def test_boxes_of_every_kind_of_length_are_walked() -> None:
    encoded = b"\0\0\0\x0aabcd12" + struct.pack(">I4sQ", 1, b"long", 17) + b"x" + b"\0\0\0\0lastrest"
    boxes = list(read_boxes(encoded, 0, len(encoded)))
    assert [(box.kind, encoded[box.body : box.end]) for box in boxes] == [(b"abcd", b"12"), (b"long", b"x"), (b"last", b"rest")]


@pytest.mark.parametrize("broken", [b"\0\0\0\x09abcd", b"\0\0\0\x07abcd", b"\0\0", struct.pack(">I4sQ", 1, b"long", 2**63)])
def test_a_box_beyond_the_end_is_told(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        list(read_boxes(broken, 0, len(broken)))
