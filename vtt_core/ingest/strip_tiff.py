"""Write a TIFF again with one page and only the tags that decoding needs. The coded pixels stay as they are.

Tags with positions (GeoTIFF), camera data and texts are removed, and so is every unknown tag. The new file has no gaps, so no
byte of them is left.

Source: TIFF 6.0, sections 2 to 22; TIFF Technical Note 2 (JPEG).
"""

from __future__ import annotations

from vtt_core.contract.bands import MAX_BANDS
from vtt_core.ingest.icc_profile import clean_icc
from vtt_core.ingest.orientation import ORIENTATION_TAG, UPRIGHT, read_orientation
from vtt_core.ingest.strip_jpeg import strip_jpeg_stream
from vtt_core.ingest.structure import UnknownStructureError, check
from vtt_core.ingest.tiff_directory import picture_directory, with_first_page
from vtt_core.ingest.tiff_file import ByteFormat, Entry, read_directory, write_file

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _ROWS, _PLANAR = 256, 257, 258, 259, 262, 277, 278, 284
_STRIP_PLACES, _STRIP_BYTES, _TILE_PLACES, _TILE_BYTES = 273, 279, 324, 325
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_JPEG_TABLES, _XMP, _ICC, _NO_DATA = 347, 700, 34675, 42113
_RAW, _OLD_JPEG, _JPEG = 1, 6, 7
_YCBCR, _SEPARATE = 6, 2
_NUMBERS = {
    **dict.fromkeys((254, _WIDTH, _LENGTH, _COMPRESSION, _PHOTOMETRIC, 266, _SAMPLES, _ROWS, _PLANAR, 292), 16),
    **dict.fromkeys((293, 317, _TILE_WIDTH, _TILE_LENGTH, 332, 529, 530, 531, 532), 16),
    **dict.fromkeys((_BITS, 280, 281, 338, 339, 340, 341), MAX_BANDS),
    320: 3 * 65_536,
}
"""Numeric tags -> most values: sizes, depth, strips, tiles, samples, predictor, YCbCr, colour map."""
_TEXT, _UNDEFINED = 2, 7
_MAX_PIECES = 500_000


def strip_tiff(encoded: bytes) -> bytes:
    """Return the image without metadata, as a file of one page.

    Raises:
        UnknownStructureError: its kind is not supported (old JPEG, several images), or a part reaches past the end.
    """
    try:
        byte_format, tags = read_directory(with_first_page(encoded, picture_directory(encoded)))
    except ValueError as error:
        raise UnknownStructureError(str(error)) from error
    kept = {tag: tags[tag] for tag, most in _NUMBERS.items() if tag in tags and _are_numbers(tags[tag], most)}
    check(_WIDTH in kept and _LENGTH in kept, "no size")
    compression = _first(byte_format, kept, _COMPRESSION, _RAW)
    check(compression != _OLD_JPEG, "old-style JPEG")
    kept |= _special(byte_format, tags, compression)
    places_tag, bytes_tag = (_STRIP_PLACES, _STRIP_BYTES) if _STRIP_PLACES in tags else (_TILE_PLACES, _TILE_BYTES)
    check(places_tag in tags, "no strips and no tiles")
    pieces = _pieces(encoded, byte_format, tags, kept, places_tag, bytes_tag)
    if compression == _JPEG:
        cleaned = {id(piece): strip_jpeg_stream(piece) for piece in pieces}
        pieces = [cleaned[id(piece)] for piece in pieces]
    kept[bytes_tag] = byte_format.entry_of([len(piece) for piece in pieces])
    return write_file(byte_format, kept, pieces, places_tag)


def _special(byte_format: ByteFormat, tags: dict[int, Entry], compression: int) -> dict[int, Entry]:
    """Return the kept tags that need special care: orientation, profile, JPEG tables, no-data value."""
    kept = {}
    if ORIENTATION_TAG in tags:
        orientation = _first(byte_format, tags, ORIENTATION_TAG, UPRIGHT)
    else:
        orientation = read_orientation(None, tags[_XMP].content if _XMP in tags else None)
    if orientation in range(2, 9):
        kept[ORIENTATION_TAG] = byte_format.entry_of([orientation], 3)
    profile = clean_icc(tags[_ICC].content) if _ICC in tags else b""
    if profile:
        kept[_ICC] = Entry(_UNDEFINED, len(profile), profile)
    if compression == _JPEG and _JPEG_TABLES in tags:
        tables = strip_jpeg_stream(tags[_JPEG_TABLES].content)
        kept[_JPEG_TABLES] = Entry(_UNDEFINED, len(tables), tables)
    if _NO_DATA in tags and _is_one_number(tags[_NO_DATA]):
        kept[_NO_DATA] = tags[_NO_DATA]
    return kept


def _pieces(
    encoded: bytes, byte_format: ByteFormat, tags: dict[int, Entry], kept: dict[int, Entry], places_tag: int, bytes_tag: int
) -> list[bytes]:
    """Return the coded bytes of every strip or tile. Strips that share their bytes in the file are one object."""
    places = _whole_numbers(byte_format, tags[places_tag])
    check(0 < len(places) <= _MAX_PIECES, "too many strips")
    if _first(byte_format, kept, _COMPRESSION, _RAW) == _RAW and _first(byte_format, kept, _PHOTOMETRIC, 0) != _YCBCR:
        sizes = _raw_sizes(byte_format, kept, len(places), is_tiled=places_tag == _TILE_PLACES)
    else:
        check(bytes_tag in tags, "strips of unknown size")
        sizes = _whole_numbers(byte_format, tags[bytes_tag])
    check(len(sizes) == len(places), "strips without a size")
    found: dict[tuple[int, int], bytes] = {}
    total_bytes = 0
    for place, size in zip(places, sizes, strict=True):
        if (place, size) in found:
            continue
        total_bytes += size
        check(place + size <= len(encoded) and total_bytes <= len(encoded), "strips past the end")
        found[place, size] = encoded[place : place + size]
    return [found[pair] for pair in zip(places, sizes, strict=True)]


def _raw_sizes(byte_format: ByteFormat, kept: dict[int, Entry], num_pieces: int, *, is_tiled: bool) -> list[int]:
    """Return the size of each uncompressed strip or tile. Decoders compute it and ignore the file's own sizes."""
    width, height = _first(byte_format, kept, _WIDTH, 0), _first(byte_format, kept, _LENGTH, 0)
    rows = min(_first(byte_format, kept, _ROWS, height), height)
    if is_tiled:
        width, rows = _first(byte_format, kept, _TILE_WIDTH, width), _first(byte_format, kept, _TILE_LENGTH, rows)
    samples = 1 if _first(byte_format, kept, _PLANAR, 1) == _SEPARATE else _first(byte_format, kept, _SAMPLES, 1)
    row_bytes = -(-width * samples * _first(byte_format, kept, _BITS, 1) // 8)
    check(rows > 0, "strips without rows")
    if is_tiled:
        return [rows * row_bytes] * num_pieces
    strips = -(-height // rows)
    check(num_pieces % strips == 0, "wrong number of strips")
    return [min(rows, height - rows * (place % strips)) * row_bytes for place in range(num_pieces)]


def _are_numbers(entry: Entry, most: int) -> bool:
    return entry.kind != _TEXT and entry.kind != _UNDEFINED and entry.count <= most


def _is_one_number(entry: Entry) -> bool:
    try:
        float(entry.content.rstrip(b"\0 ").decode("ascii"))
    except ValueError:
        return False
    return entry.kind == _TEXT and len(entry.content) <= 32


def _whole_numbers(byte_format: ByteFormat, entry: Entry) -> list[int]:
    numbers = byte_format.numbers(entry)
    check(all(isinstance(number, int) and number >= 0 for number in numbers), "offset that is not a whole number")
    return [int(number) for number in numbers]


def _first(byte_format: ByteFormat, tags: dict[int, Entry], tag: int, default: int) -> int:
    return _whole_numbers(byte_format, tags[tag])[0] if tag in tags else default
