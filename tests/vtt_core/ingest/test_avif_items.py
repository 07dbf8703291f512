import pytest

from tests.fixtures import planted_metadata as planted
from vtt_core.ingest.avif_items import read_items
from vtt_core.ingest.boxes import read_boxes
from vtt_core.ingest.structure import UnknownStructureError


def test_the_picture_is_needed_and_its_metadata_are_not() -> None:
    sent = planted.avif()
    (meta,) = (box for box in read_boxes(sent, 0, len(sent)) if box.kind == b"meta")
    items = read_items(sent, list(read_boxes(sent, meta.body + 4, meta.end)))
    kinds = {entry.kind: entry.item_id in items.needed for entry in items.entries}
    assert kinds == {b"av01": True, b"Exif": False, b"mime": False}
    assert len(items.extents(0)) == 1
    assert items.extents(1) == []


def test_a_file_without_an_item_table_is_refused() -> None:
    with pytest.raises(UnknownStructureError, match="item table"):
        read_items(b"", [])
