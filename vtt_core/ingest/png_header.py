"""Read the depth and colours of a PNG from the chunks before its pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vtt_core.ingest.coded_colours import CodedColours

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}


@dataclass(frozen=True)
class PngHeader:
    """What a PNG says about its samples."""

    bits: int
    """Of one sample."""
    colour: int
    """0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha."""
    significant_bits: tuple[int, ...] = ()
    """Of each colour, from the chunk sBIT; empty without one."""
    key: tuple[int, ...] = ()
    """The transparent colour, in samples of `bits`, from the chunk tRNS; empty for a palette."""
    coded_colours: CodedColours | None = None
    """The colour space, from the chunk cICP."""


def read_png_header(encoded: bytes) -> PngHeader:
    """Return the header of a PNG that Pillow has opened."""
    bits, colour = encoded[24], encoded[25]
    num_colours = 3 if colour in (2, 6) else 1
    significant: tuple[int, ...] = ()
    key: tuple[int, ...] = ()
    colours: CodedColours | None = None
    position = 33
    while position + 8 <= len(encoded):
        (length,), name = struct.unpack_from(">I", encoded, position), encoded[position + 4 : position + 8]
        content = encoded[position + 8 : position + 8 + min(length, 16)]
        if name == b"IDAT":
            break
        if name == b"sBIT" and colour in _CHANNELS and length == _CHANNELS[colour]:
            significant = tuple(content[:num_colours])
        if name == b"tRNS" and colour in (0, 2) and length == 2 * num_colours:
            key = struct.unpack(f">{num_colours}H", content)
        if name == b"cICP" and length == 4:
            colours = CodedColours(content[0], content[1])
        position += 12 + length
    return PngHeader(bits, colour, significant, key, colours)
