"""Read the header of a JPEG 2000 and check it before OpenJPEG decodes the image."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vtt_core.contract.errors import ImageTooComplexError, UnsupportedKindError
from vtt_core.ingest.boxes import box, boxes

START_OF_CODESTREAM, FILE_SIGNATURE = SIGNATURES = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
MAX_TILE_SAMPLES = 60_000_000
"""Width times height times components of one tile. OpenJPEG needs 8 bytes for each."""
MAX_BLOCKS = 1_000_000
"""Code blocks and precincts, of about 200 bytes each. The largest image has 30,000 of the usual 64 x 64 blocks."""
MAX_PACKETS = 5_000_000
"""Precincts times quality layers, over all tiles."""

_SOC, _SIZ, _COD, _COC, _SOT, _SOD, _EOC = b"\xff\x4f", 0x51, 0x52, 0x53, 0x90, 0x93, 0xD9
_COLOURS = {0: "bilevel", 12: "CMYK", 15: "bilevel", 16: "sRGB", 17: "grey", 18: "sYCC"}
_OPACITY = 1


@dataclass(frozen=True)
class Jpeg2000Header:
    """What the header and boxes of a JPEG 2000 say."""

    width: int
    """In pixels."""
    height: int
    """In pixels."""
    tile_width: int
    tile_height: int
    num_tiles: int
    bits: tuple[int, ...]
    """Of each component."""
    is_signed: bool
    """Whether any component has signed integers."""
    codestream: bytes
    colour_space: int | None
    """Code number of the colour space, if the file gives one."""
    profile: bytes | None
    """The ICC profile."""
    channels: tuple[tuple[int, int, int], ...]
    """Number, type and association of each channel, if the file defines them."""

    @property
    def has_alpha(self) -> bool:
        """Return whether the file declares an alpha component."""
        return any(kind == _OPACITY for _, kind, _ in self.channels)

    def __str__(self) -> str:
        """Return the kind in words."""
        bits = "/".join(str(value) for value in dict.fromkeys(self.bits))
        signed = " (signed)" if self.is_signed else ""
        return f"a JPEG 2000 of {len(self.bits)} components of {bits} bits{signed}"


def read_jpeg2000(encoded: bytes) -> Jpeg2000Header:
    """Return the header.

    Raises:
        ValueError: it is damaged.
    """
    colour_space, profile, channels = None, None, ()  # type: int | None, bytes | None, tuple[tuple[int, int, int], ...]
    codestream = encoded
    if not encoded.startswith(_SOC):
        codestream = box(encoded, b"jp2c")
        for name, content in boxes(box(encoded, b"jp2h")):
            if name == b"colr" and content[:1] == b"\1" and colour_space is None and len(content) >= 7:
                (colour_space,) = struct.unpack_from(">I", content, 3)
            if name == b"colr" and content[:1] in (b"\2", b"\3"):
                profile = content[3:]
            if name == b"cdef" and len(content) >= 2:
                channels = tuple(struct.iter_unpack(">HHH", content[2 : 2 + (len(content) - 2) // 6 * 6]))
    try:
        fields = struct.unpack_from(">HHIIIIIIIIH", codestream, 4)
        depths = codestream[42 : 42 + 3 * fields[10] : 3]
    except struct.error as error:
        raise ValueError("the header ends early") from error
    if codestream[2:4] != bytes([0xFF, _SIZ]) or len(depths) != fields[10] or not depths or not (fields[6] and fields[7]):
        raise ValueError("the header is damaged")
    return Jpeg2000Header(
        width=fields[2] - fields[4],
        height=fields[3] - fields[5],
        tile_width=fields[6],
        tile_height=fields[7],
        num_tiles=-(-(fields[2] - fields[8]) // fields[6]) * -(-(fields[3] - fields[9]) // fields[7]),
        bits=tuple((depth & 0x7F) + 1 for depth in depths),
        is_signed=any(depth & 0x80 for depth in depths),
        codestream=codestream,
        colour_space=colour_space,
        profile=profile,
        channels=channels,
    )


def check_jpeg2000_kind(header: Jpeg2000Header) -> None:
    """Refuse the kinds that Pillow would misread.

    Raises:
        UnsupportedKindError: the components are not those of grey, RGB or CMYK, with or without alpha.
    """
    is_known = header.colour_space is None or header.colour_space in _COLOURS
    is_uniform = len(set(header.bits)) == 1 and header.bits[0] <= 16 and not header.is_signed
    num_alpha = sum(kind != 0 for _, kind, _ in header.channels)
    is_in_order = all(association == channel + 1 for channel, kind, association in header.channels if kind == 0)
    has_other_alpha = any(kind not in (0, _OPACITY) for _, kind, _ in header.channels)
    num_colours = len(header.bits) - num_alpha
    is_cmyk = header.colour_space == 12 and num_colours == 4 and num_alpha == 0
    if (
        not (is_known and is_uniform and is_in_order and num_alpha <= 1)
        or has_other_alpha
        or not (num_colours in (1, 3) or is_cmyk)
    ):
        raise UnsupportedKindError(
            expected="a JPEG 2000 of grey, sRGB or CMYK of at most 16 unsigned bits, with alpha declared as such",
            got=str(header),
            remedy="Convert it to 8-bit RGB as JPEG or PNG",
        )


def check_jpeg2000_tiles(header: Jpeg2000Header) -> None:
    """Check that no tile is missing: OpenJPEG would leave it black.

    Raises:
        ValueError: a tile is missing.
    """
    tiles = {content[:2] for marker, content in _segments(header.codestream) if marker == _SOT}
    if len(tiles) < header.num_tiles:
        raise ValueError(f"{len(tiles)} of {header.num_tiles} tiles")


def check_jpeg2000_cost(header: Jpeg2000Header) -> None:
    """Check how much OpenJPEG would allocate and walk over.

    Raises:
        ImageTooComplexError: far more than the pixels need.
    """
    tile_pixels = min(header.tile_width, header.width) * min(header.tile_height, header.height)
    blocks, packets = _most_blocks_and_packets(header)
    numbers = {"samples in a tile": tile_pixels * len(header.bits), "code blocks": blocks, "packets": packets}
    bounds = {"samples in a tile": MAX_TILE_SAMPLES, "code blocks": MAX_BLOCKS, "packets": MAX_PACKETS}
    for name, bound in bounds.items():
        if numbers[name] > bound:
            raise ImageTooComplexError(
                expected=f"a JPEG 2000 of at most {bound} {name}", got=f"{numbers[name]}", remedy="Convert it to JPEG or PNG"
            )


def _most_blocks_and_packets(header: Jpeg2000Header) -> tuple[int, int]:
    """Return both as if all tiles had the most costly coding style in the file."""
    num_components = len(header.bits)
    area = header.width * header.height * num_components
    most_blocks = most_precincts = most_layers = 1
    for style in _coding_styles(header):
        least = header.num_tiles * num_components * style.num_resolutions
        sides = [(2 ** (size & 15), 2 ** (size >> 4)) for size in style.precincts or b"\xff"]
        precincts = max(area // (width * height) for width, height in sides)
        # A block fits into its precinct, which is halved in all but the lowest resolution.
        blocks = max(
            area // (min(style.block_width, max(width // 2, 1)) * min(style.block_height, max(height // 2, 1)))
            for width, height in sides
        )
        most_blocks, most_precincts = max(most_blocks, blocks + 3 * least), max(most_precincts, precincts + least)
        most_layers = max(most_layers, style.num_layers)
    return max(most_blocks, most_precincts), most_precincts * most_layers


@dataclass(frozen=True)
class _CodingStyle:
    num_layers: int
    num_resolutions: int
    block_width: int
    block_height: int
    precincts: bytes
    """Base-2 logarithms of each resolution's precinct sides; empty means 15."""


def _coding_styles(header: Jpeg2000Header) -> Iterator[_CodingStyle]:
    """Yield the coding style of every COD and COC segment, in the main header and in the tiles."""
    for marker, content in _segments(header.codestream):
        if marker == _COD and len(content) >= 10:
            yield _coding_style(struct.unpack_from(">H", content, 2)[0], bool(content[0] & 1), content[5:])
        if marker == _COC and len(content) >= 7:
            yield _coding_style(1, bool(content[1] & 1), content[2:])


def _segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and content of every segment, in the main header and in the tiles."""
    position, part_end = 2, 0
    while position + 4 <= len(stream) and stream[position] == 0xFF and stream[position + 1] != _EOC:
        marker = stream[position + 1]
        if marker == _SOD:
            position = max(position + 2, part_end)
            continue
        (length,) = struct.unpack_from(">H", stream, position + 2)
        content = stream[position + 4 : position + 2 + length]
        if marker == _SOT and len(content) == 8:
            part_bytes = struct.unpack_from(">I", content, 2)[0]
            part_end = position + part_bytes if part_bytes else len(stream)  # 0: up to the end
        yield marker, content
        position += 2 + max(length, 2)


def _coding_style(num_layers: int, has_precincts: bool, rest: bytes) -> _CodingStyle:
    """Read the fields that COD and COC share."""
    num_resolutions = (rest[0] & 31) + 1
    return _CodingStyle(
        num_layers=num_layers,
        num_resolutions=num_resolutions,
        block_width=2 ** ((rest[1] & 15) + 2),
        block_height=2 ** ((rest[2] & 15) + 2),
        precincts=rest[5 : 5 + num_resolutions] if has_precincts else b"",
    )
