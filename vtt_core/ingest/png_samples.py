"""Read all 16 bits of a PNG. Pillow keeps only the upper 8, except for grey without alpha."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from functools import partial

import numpy as np
from PIL import Image

from vtt_core.ingest.brightness import Numbers
from vtt_core.ingest.png_header import PngHeader
from vtt_core.ingest.samples import BLOCK_PIXELS, Array, Samples, blocks_of

_GREY, _RGB, _GREY_ALPHA, _RGBA = 0, 2, 4, 6


def samples_of(encoded: bytes, header: PngHeader) -> Samples:
    """Return the samples of a 16-bit PNG.

    Raises:
        OSError, SyntaxError, ValueError: the pixels are damaged.
    """
    images = _halves(encoded, header.colour)
    num_colours = 3 if header.colour in (_RGB, _RGBA) else 1
    return Samples(
        width=images[0].width,
        height=images[0].height,
        numbers=Numbers.UNSIGNED,
        bits=16,
        num_colours=num_colours,
        blocks=partial(_blocks, images, header.colour),
        alpha_bits=16 if header.colour in (_GREY_ALPHA, _RGBA) else 0,
        declared=_declared(images, header),
        key=header.key if len(header.key) == num_colours else None,
    )


def _halves(encoded: bytes, colour: int) -> list[Image.Image]:
    """Return one image with all bits, or two with the upper and the lower 8."""
    if colour == _GREY:
        return [_opened(encoded)]
    if colour == _GREY_ALPHA:  # its 4 bytes a pixel are filtered like those of 8-bit RGBA
        head = b"IHDR" + encoded[16:24] + bytes([8, _RGBA]) + encoded[26:29]
        return [_opened(encoded[:12] + head + struct.pack(">I", zlib.crc32(head)) + encoded[33:])]
    mode = "RGB" if colour == _RGB else "RGBA"
    return [_opened(encoded, f"{mode};16{order}") for order in "BL"]  # little-endian reads the lower byte


def _opened(encoded: bytes, raw_mode: str | None = None) -> Image.Image:
    with Image.open(io.BytesIO(encoded), formats=("PNG",)) as image:
        if raw_mode is not None:
            image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
        image.load()
        return image


def _blocks(images: list[Image.Image], colour: int) -> Iterator[tuple[int, Array]]:
    if colour == _GREY:
        yield from blocks_of(images[0])
        return
    width, height = images[0].size
    rows = max(1, BLOCK_PIXELS // width)
    for top in range(0, height, rows):
        parts = [np.asarray(image.crop((0, top, width, min(top + rows, height)))) for image in images]
        if colour == _GREY_ALPHA:
            yield top, np.ascontiguousarray(parts[0]).view(">u2").astype(np.uint16)
        else:
            yield top, parts[0].astype(np.uint16) << 8 | parts[1]


def _declared(images: list[Image.Image], header: PngHeader) -> tuple[float, float] | None:
    """Return black and white, as sBIT gives them.

    By the standard, an image with sBIT is scaled to all 16 bits. Some programs do not scale: then no value exceeds the
    significant bits.
    """
    bits = max(header.significant_bits, default=0)
    if not 8 <= bits <= 16:
        return None
    num_colours = 3 if header.colour in (_RGB, _RGBA) else 1
    largest = max(int(block[..., :num_colours].max()) for _, block in _blocks(images, header.colour))
    return 0.0, float(2**bits - 1 if largest < 2**bits else 65535)
