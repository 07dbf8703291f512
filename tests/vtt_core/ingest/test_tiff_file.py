import pytest

from tests.fixtures.noise_images import encode, noise
from vtt_core.ingest.structure import UnknownStructureError
from vtt_core.ingest.tiff_file import Entry, read_directory, write_file


@pytest.mark.parametrize("is_big", [False, True])
def test_what_is_written_is_read_again(is_big: bool) -> None:
    layout, _ = read_directory(encode(noise(), "TIFF", big_tiff=is_big))
    entries = {256: layout.entry_of([7]), 258: layout.entry_of([8, 8, 8, 8, 8], 3)}
    piece = b"pixels"
    content = write_file(layout, entries, [piece, piece], 273)
    read, tags = read_directory(content)
    assert (read, tags[256], tags[258]) == (layout, entries[256], entries[258])
    place, same = layout.numbers(tags[273])
    assert place == same
    assert content[int(place) :] == piece


def test_tags_that_share_bytes_may_not_be_larger_than_the_file() -> None:
    content = bytearray(encode(noise(side=(4, 4)), "TIFF"))
    layout, tags = read_directory(bytes(content))
    large = Entry(7, 200, bytes(200))
    shared = write_file(layout, {**tags, **dict.fromkeys(range(40_000, 40_060), large)}, [b"x"], 273)
    assert set(read_directory(shared)[1]) >= {256, 257, 40_000}
    assert read_directory(shared[:-10_000] if len(shared) > 12_000 else shared)[1]


@pytest.mark.parametrize("broken", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", b"PK\3\4"])
def test_bytes_that_are_not_a_directory_are_refused(broken: bytes) -> None:
    with pytest.raises(UnknownStructureError):
        read_directory(broken)


def test_a_text_is_no_number() -> None:
    layout, _ = read_directory(encode(noise(), "TIFF"))
    with pytest.raises(UnknownStructureError):
        layout.numbers(Entry(2, 4, b"text"))
