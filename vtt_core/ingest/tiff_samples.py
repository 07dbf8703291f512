"""Read the samples of a TIFF whose kind Pillow does not read.

libtiff, through Pillow, only decompresses: it gets the strips or tiles as if they were 8-bit grey. Depth, sign, byte order,
predictor and planes are handled here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtt_core.contract.errors import ImageTooComplexError
from vtt_core.ingest.brightness import Numbers, white_of_depth
from vtt_core.ingest.samples import BLOCK_PIXELS, Array, Samples
from vtt_core.ingest.tiff_directory import Directory, Tag
from vtt_core.ingest.tiff_layout import WHITE_IS_ZERO, Layout

MAX_STRIP_BYTES = 128 * 2**20
"""Most unpacked bytes of one row of tiles, or of one compressed strip."""
MAX_SAMPLE_BYTES = 2**29
"""Most unpacked bytes of an image. 40 million pixels of 64 bits have 320 MB."""
_HORIZONTAL, _FLOATING = 2, 3
_TYPES = {Numbers.UNSIGNED: "u", Numbers.SIGNED: "i", Numbers.FLOAT: "f"}


@dataclass(frozen=True)
class _Pieces:
    """The strips or tiles of one plane. A strip is a tile as wide as the image."""

    offsets: list[int]
    sizes: list[int]
    row_bytes: int
    """Of one row of the whole image."""
    piece_row_bytes: int
    """Of one row of one tile."""
    num_rows: int
    """Rows of one tile."""
    num_across: int
    is_tiled: bool


def samples_of(page: Directory, layout: Layout) -> Samples:
    """Return the samples of a page.

    Raises:
        ImageTooComplexError: unpacking them would take too much memory.
        ValueError: the directory is damaged.
    """
    planes = _planes(page, layout)
    num_kept = layout.num_colours + layout.has_alpha
    return Samples(
        width=layout.width,
        height=layout.height,
        numbers=_numbers(layout),
        bits=layout.bits[0],
        num_colours=layout.num_colours,
        blocks=partial(_blocks, page, layout, planes[:num_kept]),
        alpha_bits=layout.bits[0] if layout.has_alpha else 0,
        is_premultiplied=layout.is_premultiplied,
        is_white_zero=layout.photometric == WHITE_IS_ZERO,
        missing=no_data_value(page),
        declared=_declared(page, layout),
    )


def band_blocks(page: Directory, layout: Layout, bands: Sequence[int]) -> Iterator[tuple[int, Array]]:
    """Yield the top row and the values [rows, width, bands] of each block.

    Args:
        page: of the file.
        layout: of the page; `check_bands` has passed it.
        bands: counted from 1, in the order that is wanted.

    Raises:
        ImageTooComplexError: unpacking them would take too much memory.
        ValueError: the directory is damaged.
    """
    planes = _planes(page, layout)
    places = [band - 1 for band in bands]
    if layout.is_planar:
        yield from _blocks(page, layout, [planes[place] for place in places])
        return
    for top, block in _blocks(page, layout, planes):
        yield top, block[..., places]


def _numbers(layout: Layout) -> Numbers:
    numbers = layout.numbers
    assert numbers is not None  # `is_read_by_pillow` has refused it
    return numbers


def no_data_value(page: Directory) -> float | None:
    """Return the value of missing pixels, if the file names one."""
    try:
        return float(page.content(Tag.GDAL_NODATA).rstrip(b"\0 ").decode("ascii"))
    except ValueError:  # not a number, so it is ignored
        return None


def _declared(page: Directory, layout: Layout) -> tuple[float, float] | None:
    """Return black and white, if the file gives them.

    MaxSampleValue is not meant for display by the standard, and many programs write the largest value of the image. So it
    only tells how many bits are used.
    """
    low, high = page.numbers(Tag.SMIN_SAMPLE, 1), page.numbers(Tag.SMAX_SAMPLE, 1)
    if high and np.isfinite(high[0]):
        black = low[0] if low and np.isfinite(low[0]) else 0.0
        if high[0] > black:
            return black, high[0]
    largest = page.numbers(Tag.MAX_SAMPLE, 1)
    if largest and layout.numbers is Numbers.UNSIGNED and 8 < layout.bits[0] <= 16 and largest[0] > 0:
        return 0.0, float(min(white_of_depth(largest[0]), 2 ** layout.bits[0] - 1))
    return None


def _planes(page: Directory, layout: Layout) -> list[_Pieces]:
    is_tiled = Tag.TILE_OFFSETS in page.entries
    width = page.number(Tag.TILE_WIDTH, 0) if is_tiled else layout.width
    num_rows = (
        page.number(Tag.TILE_LENGTH, 0) if is_tiled else min(page.number(Tag.ROWS_PER_STRIP, layout.height), layout.height)
    )
    if width <= 0 or num_rows <= 0:
        raise ValueError("tiles or strips of no size")
    sample_bits = layout.bits[0] * (1 if layout.is_planar else layout.num_samples)
    row_bytes, piece_row_bytes = -(-layout.width * sample_bits // 8), -(-width * sample_bits // 8)
    num_across, num_down = -(-layout.width // width), -(-layout.height // num_rows)
    num_planes = layout.num_samples if layout.is_planar else 1
    _check_sizes(row_bytes * layout.height * num_planes, num_across * piece_row_bytes * num_rows, layout, is_tiled)
    count = num_across * num_down
    offsets = _integers(page, Tag.TILE_OFFSETS if is_tiled else Tag.STRIP_OFFSETS, count * num_planes)
    sizes = _integers(page, Tag.TILE_BYTES if is_tiled else Tag.STRIP_BYTES, count * num_planes)
    if len(offsets) == 1 or layout.compression == 1:  # then their sizes are known, and some old files do not state them
        sizes = sizes or [len(page.encoded)] * len(offsets)
    if len(offsets) < count * num_planes or len(sizes) < len(offsets):
        raise ValueError("strips or tiles are missing")
    most = 2 * piece_row_bytes * num_rows + 1024  # compressed; many strips of a small file could each claim all its bytes
    sizes = [min(size, most) for size in sizes]
    return [
        _Pieces(
            offsets[plane * count :][:count],
            sizes[plane * count :][:count],
            row_bytes,
            piece_row_bytes,
            num_rows,
            num_across,
            is_tiled,
        )
        for plane in range(num_planes)
    ]


def _check_sizes(all_bytes: int, strip_bytes: int, layout: Layout, is_tiled: bool) -> None:
    is_divisible = layout.compression == 1 and not is_tiled
    if all_bytes > MAX_SAMPLE_BYTES or (strip_bytes > MAX_STRIP_BYTES and not is_divisible):
        raise ImageTooComplexError(
            expected=f"a TIFF of at most {MAX_SAMPLE_BYTES} bytes unpacked, in strips of at most {MAX_STRIP_BYTES}",
            got=f"{all_bytes} bytes in strips or rows of tiles of {strip_bytes}: {layout}",
            remedy="Convert it to 8-bit RGB",
        )


def _integers(page: Directory, tag: Tag, count: int) -> list[int]:
    return [int(value) for value in page.numbers(tag, count)]


def _blocks(page: Directory, layout: Layout, planes: list[_Pieces]) -> Iterator[tuple[int, Array]]:
    """Yield the samples from top to bottom, in blocks of whole rows of strips or tiles."""
    first = planes[0]
    num_down = len(first.offsets) // first.num_across
    together = max(1, BLOCK_PIXELS // max(1, layout.width * first.num_rows))
    for start in range(0, num_down, together):
        top = start * first.num_rows
        num_rows = min(together * first.num_rows, layout.height - top)
        unpacked = [_unpack(page, layout, plane, start, num_rows) for plane in planes]
        for row in range(0, num_rows, max(1, BLOCK_PIXELS // layout.width)):
            rows = slice(row, row + max(1, BLOCK_PIXELS // layout.width))
            bands = [_values(data[rows], page, layout, plane) for data, plane in zip(unpacked, planes, strict=True)]
            yield top + row, bands[0] if len(bands) == 1 else np.concatenate(bands, axis=-1)


def _unpack(page: Directory, layout: Layout, plane: _Pieces, start: int, num_rows: int) -> NDArray[np.uint8]:
    """Return some rows of one plane as bytes [rows, bytes of a row]."""
    pieces = slice(start * plane.num_across, (start + -(-num_rows // plane.num_rows)) * plane.num_across)
    parts = [page.encoded[at : at + size] for at, size in zip(plane.offsets[pieces], plane.sizes[pieces], strict=True)]
    if layout.compression == 1 and not plane.is_tiled and layout.fill_order == 1:
        data = np.frombuffer(b"".join(parts), np.uint8)
        return data[: num_rows * plane.row_bytes].reshape(num_rows, plane.row_bytes)
    whole_rows = -(-num_rows // plane.num_rows) * plane.num_rows if plane.is_tiled else num_rows
    grey = _grey_tiff(parts, layout, plane, whole_rows)
    with Image.open(io.BytesIO(grey), formats=("TIFF",)) as image:
        return np.asarray(image)[:num_rows]


def _grey_tiff(parts: list[bytes], layout: Layout, plane: _Pieces, num_rows: int) -> bytes:
    """Return an 8-bit grey TIFF, with one pixel a byte, around compressed strips or tiles."""
    offsets, at = [], 8
    for part in parts:
        offsets.append(at)
        at += len(part)
    sizes = [len(part) for part in parts]
    tags: dict[int, list[int]] = {
        Tag.WIDTH: [plane.num_across * plane.piece_row_bytes],  # whole tiles, since predictors need them
        Tag.LENGTH: [num_rows],
        Tag.BITS: [8],
        Tag.COMPRESSION: [layout.compression],
        Tag.PHOTOMETRIC: [1],
        Tag.FILL_ORDER: [layout.fill_order],
        Tag.SAMPLES: [1],
    }
    if plane.is_tiled:
        tags |= {Tag.TILE_WIDTH: [plane.piece_row_bytes], Tag.TILE_LENGTH: [plane.num_rows]}
        tags |= {Tag.TILE_OFFSETS: offsets, Tag.TILE_BYTES: sizes}
    else:
        tags |= {Tag.ROWS_PER_STRIP: [plane.num_rows], Tag.STRIP_OFFSETS: offsets, Tag.STRIP_BYTES: sizes}
    entries, extra, extra_at = b"", b"", at + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            extra, packed = extra + packed, struct.pack("<I", extra_at + len(extra))
        entries += struct.pack("<HHI", tag, 4, len(values)) + packed
    return b"".join([b"II*\0", struct.pack("<I", at), *parts, struct.pack("<H", len(tags)), entries, bytes(4), extra])


def _values(data: NDArray[np.uint8], page: Directory, layout: Layout, plane: _Pieces) -> Array:
    """Return samples [rows, width, bands of this plane] in the machine's own byte order."""
    num_bands = 1 if layout.is_planar else layout.num_samples
    bits, predictor = layout.bits[0], page.number(Tag.PREDICTOR, 1)
    if layout.compression in (1, 32773):  # libtiff supports predictors only for LZW, deflate, LZMA and Zstandard
        predictor = 1
    if bits % 8:
        samples: Array = _narrow(data, bits, layout.width * num_bands)
    else:
        kind = np.dtype(f"{page.byte_order}{_TYPES[_numbers(layout)]}{bits // 8}")
        step = plane.piece_row_bytes
        parts = [_undo(data[:, at : at + step], predictor, num_bands, kind) for at in range(0, data.shape[1], step)]
        samples = (parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))[:, : layout.width * num_bands]
    samples = samples.reshape(len(data), layout.width, num_bands)
    return samples.astype(np.float32) if samples.dtype == np.float16 else samples


def _undo(data: NDArray[np.uint8], predictor: int, num_bands: int, kind: np.dtype[Any]) -> Array:
    """Undo the predictor of one row of tiles [rows, bytes] and return samples [rows, width times bands]."""
    data = np.ascontiguousarray(data)
    if predictor == _FLOATING and kind.kind == "f":
        summed = np.cumsum(data.reshape(len(data), -1, num_bands), axis=1, dtype=np.uint8).reshape(len(data), kind.itemsize, -1)
        return np.ascontiguousarray(summed.transpose(0, 2, 1)).view(f">f{kind.itemsize}")[..., 0].astype(kind.newbyteorder("="))
    if predictor == _HORIZONTAL:
        words = data.view(f"{kind.str[0]}u{kind.itemsize}" if kind.itemsize > 1 else "u1").astype(f"=u{kind.itemsize}")
        summed = np.cumsum(words.reshape(len(data), -1, num_bands), axis=1, dtype=words.dtype)
        return summed.reshape(len(data), -1).view(kind.newbyteorder("="))
    return data.view(kind).astype(kind.newbyteorder("="))


def _narrow(data: NDArray[np.uint8], bits: int, num_values: int) -> NDArray[np.uint16]:
    """Unpack samples of 1 to 15 bits that are stored without gaps."""
    places = np.unpackbits(data, axis=1)[:, : num_values * bits].reshape(len(data), num_values, bits)
    return (places @ (1 << np.arange(bits - 1, -1, -1)).astype(np.uint16)).astype(np.uint16)
