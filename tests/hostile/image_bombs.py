"""Small files that would become large images, or take long to decode."""

from __future__ import annotations

import io
import struct

from PIL import Image

from tests.fixtures.noise_images import encode, good, noise
from tests.hostile.raw_png import END, chunk, grey, header, zeros
from tests.hostile.table import ACCEPTED, Hostile

MIB = 2**20


def _png_of(width: int, height: int, size_bytes: int, **fields: int) -> bytes:
    return header(width, height, **fields) + chunk(b"IDAT", zeros(size_bytes)) + END


def _gif_of(width: int, height: int) -> bytes:
    body = encode(Image.new("P", (16, 16)), "GIF")
    return body[:6] + struct.pack("<HH", width, height) + body[10:]


def _gif_frame_beyond_canvas() -> bytes:
    body = bytearray(encode(Image.new("P", (16, 16)), "GIF"))
    at = body.rfind(b"\x2c\0\0\0\0")
    body[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    return bytes(body)


def _bmp_of(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 64, 0, 0, 54) + info + bytes(64)


def _webp_of(width: int, height: int) -> bytes:
    body = bytearray(encode(noise(), "WEBP", lossless=True))
    at = body.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", body, at)
    struct.pack_into("<I", body, at, bits & ~0xFFFFFFF | (width - 1) | (height - 1) << 14)
    return bytes(body)


def tiff(tags: dict[int, tuple[int, list[int]]], pixels: bytes = b"") -> bytes:
    """A TIFF with one directory and its pixels at byte 8. Type 3 is 16 bits, type 4 is 32 bits."""
    at = 8 + len(pixels)
    entries, extra = b"", b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            offset, extra = behind + len(extra), extra + packed
            packed = struct.pack("<I", offset)
        entries += struct.pack("<HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", at) + pixels + struct.pack("<H", len(tags)) + entries + bytes(4) + extra


def tiff_of(width: int, height: int, pixels: bytes = b"", **others: int) -> bytes:
    """A grey TIFF with one uncompressed strip."""
    tags = {256: (4, [width]), 257: (4, [height]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1])}
    strip = {273: (4, [8]), 278: (4, [height]), 279: (4, [len(pixels)])}
    return tiff(tags | strip | {int(tag[1:]): (4, [value]) for tag, value in others.items()}, pixels)


def tiff_tiles(side: int = 32_752, bits: int = 8) -> bytes:
    tags = {256: (4, [64]), 257: (4, [64]), 258: (3, [bits]), 259: (3, [8]), 262: (3, [1]), 277: (3, [1])}
    tiles = {322: (4, [side]), 323: (4, [side]), 324: (4, [8]), 325: (4, [64])}
    return tiff(tags | tiles, zeros(64 * 64))


def _tiff_many_tags() -> bytes:
    # Private tags, each of a long array that all of them share.
    body = bytearray(tiff_of(16, 16, bytes(256)))
    num_tags = 60_000
    at = len(body)
    known = bytes(body[8 + 256 + 2 : 8 + 256 + 2 + 12 * 9])
    private = b"".join(struct.pack("<HHII", 500 + place, 1, 200, 8) for place in range(num_tags))
    struct.pack_into("<I", body, 4, at)
    return bytes(body) + struct.pack("<H", num_tags + 9) + known + private + bytes(4)


def _tiff_loop() -> bytes:
    body = bytearray(tiff_of(16, 16, bytes(256)))
    at = 8 + 256 + 2 + 12 * 9
    body[at : at + 4] = struct.pack("<I", 8 + 256)
    return bytes(body)


def jpeg_segments(encoded: bytes) -> tuple[bytes, list[bytes]]:
    """Split a JPEG before each scan. The end marker stays with the last one."""
    starts = []
    at = 2
    while at < len(encoded) - 1:
        if encoded[at] == 0xFF and encoded[at + 1] == 0xDA:
            starts.append(at)
        is_segment = encoded[at] == 0xFF and encoded[at + 1] not in (0, 0xFF, 0xD9) and not 0xD0 <= encoded[at + 1] <= 0xD7
        at += 2 + struct.unpack_from(">H", encoded, at + 2)[0] if is_segment else 1
    ends = [*starts[1:], len(encoded)]
    return encoded[: starts[0]], [encoded[start:end] for start, end in zip(starts, ends, strict=True)]


def _tiff_many_strips() -> bytes:
    body = bytearray(tiff_of(16, 16, bytes(256)))
    at = 8 + 256 + 2 + 12 * 5  # the offsets of the strips are the sixth tag
    struct.pack_into("<HHII", body, at, 273, 4, 4_900_000, len(body))
    return bytes(body) + struct.pack("<I", 8) * 4_900_000


def many_scans(side: int, num_scans: int, between: bytes = b"") -> bytes:
    """Refine the same coefficients many times: each scan has a few bytes but passes over the whole image."""
    head, scans = jpeg_segments(encode(Image.new("L", (side, side), 128), "JPEG", progressive=True, quality=50))
    again = scans[1]
    return head + scans[0] + (between + again) * num_scans + b"\xff\xd9"


def _restart_after_each_block() -> bytes:
    return encode(noise(side=(512, 512)), "JPEG", restart_marker_blocks=1, quality=20)


def _restart_markers_only() -> bytes:
    head, scans = jpeg_segments(encode(noise(), "JPEG"))
    return head + scans[0][:20] + b"\xff\xd0\xff\xd1" * 2**20 + b"\xff\xd9"


def _jpeg_comments() -> bytes:
    body = good(image_format="JPEG")
    return body[:2] + (b"\xff\xfe\xff\xff" + bytes(0xFFFD)) * 250 + body[2:]


def _icc_in_jpeg_pieces() -> bytes:
    body = good(image_format="JPEG")
    pieces = b"".join(
        b"\xff\xe2\xff\xff" + b"ICC_PROFILE\0" + bytes([place + 1, 255]) + bytes(0xFFFD - 14) for place in range(255)
    )
    return body[:2] + pieces + body[2:]


def _large(mode: str, image_format: str, side: int = 6320, **options: object) -> bytes:
    """The largest allowed image, of one colour."""
    buffer = io.BytesIO()
    Image.new(mode, (side, side)).save(buffer, image_format, **options)
    return buffer.getvalue()


def _turned(side: int = 6300) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _large("RGB", "JPEG", side, exif=exif)


def _jpeg2000(side: int, **options: object) -> bytes:
    """A lossless JPEG 2000 of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), 77).save(buffer, "JPEG2000", **options)
    return buffer.getvalue()


def _jpeg2000_many_layers() -> bytes:
    body = bytearray(_jpeg2000(512, precinct_size=(64, 64), codeblock_size=(32, 32)))
    at = body.index(b"\xff\x52") + 6
    body[at : at + 2] = b"\xff\xff"
    return bytes(body)


def _jpeg2000_of(width: int, height: int, tile_side: int | None = None, **options: object) -> bytes:
    """A small JPEG 2000 whose header states a larger size: encoding a large one takes gigabytes."""
    body = bytearray(_jpeg2000(64, **options))
    at = body.index(b"ihdr") + 4
    body[at : at + 8] = struct.pack(">II", height, width)
    at = body.index(b"\xff\x51") + 6
    body[at : at + 8] = struct.pack(">II", width, height)
    body[at + 16 : at + 24] = struct.pack(">II", tile_side or width, tile_side or height)
    return bytes(body)


def _avif_of(width: int, height: int) -> bytes:
    body = bytearray(good(image_format="AVIF"))
    at = body.index(b"ispe") + 8
    body[at : at + 8] = struct.pack(">II", width, height)
    return bytes(body)


def _tiff_strips_that_overlap() -> bytes:
    """16-bit pixels in 4,000 strips that each claim the whole file."""
    side, num_strips = 256, 4000
    tags = {
        256: (4, [side]),
        257: (4, [num_strips]),
        258: (3, [16]),
        259: (3, [8]),
        262: (3, [0]),
        277: (3, [1]),
        278: (4, [1]),
    }
    pixels = zeros(16 * MIB) + bytes(MIB)
    strips = {273: (4, [8] * num_strips), 279: (4, [len(pixels)] * num_strips)}
    return tiff(tags | strips, pixels)


def _tiff_pages_that_overlap() -> bytes:
    """Pages of 60,000 tags that overlap, each 12 bytes after the one before."""
    body = bytearray(tiff_of(16, 16, bytes(256)))
    struct.pack_into("<I", body, 4, len(body))
    page = struct.pack("<H", 60_000) + struct.pack("<HHII", 500, 1, 1, 8) * 60_000
    pages = b""
    for _ in range(20):
        pages += page + struct.pack("<I", len(body) + len(pages) + len(page) + 4)
    return bytes(body) + pages


BOMBS = [
    Hostile("png-of-a-petapixel.png", lambda: _png_of(2**31 - 1, 2**31 - 1, 100), "image.bad_dimensions"),
    Hostile("png-of-30000-squared.png", lambda: _png_of(30_000, 30_000, 30_000, bits=1, colour=0), "image.bad_dimensions"),
    Hostile("png-interlaced-bomb.png", lambda: _png_of(20_000, 20_000, 100_000, colour=0, interlace=1), "image.bad_dimensions"),
    Hostile("png-largest.png", lambda: _large("RGBA", "PNG"), ACCEPTED),
    Hostile("png-largest-16-bit.png", lambda: _large("I;16", "PNG"), ACCEPTED),
    Hostile("png-largest-interlaced.png", lambda: _png_of(6320, 6320, 6321 * 6330, colour=0, interlace=1), ACCEPTED),
    Hostile("png-pixels-beyond-its-size.png", lambda: _png_of(16, 16, 200 * MIB, colour=0), ACCEPTED),
    Hostile("png-1-by-60000.png", lambda: _png_of(1, 60_000, 4 * 60_000), "image.bad_dimensions"),
    Hostile("png-60000-by-8.png", lambda: _png_of(60_000, 8, 8 * 180_001), "image.bad_dimensions"),
    Hostile("png-zero-wide.png", lambda: _png_of(0, 16, 16), "image.truncated"),
    Hostile("png-1-by-1.png", lambda: _png_of(1, 1, 4), "image.bad_dimensions"),
    Hostile("png-iccp-bomb.png", lambda: grey(before=chunk(b"iCCP", b"p\0\0" + zeros(300 * MIB))), "image.truncated"),
    Hostile("png-ztxt-bomb.png", lambda: grey(before=chunk(b"zTXt", b"t\0\0" + zeros(300 * MIB))), "image.truncated"),
    Hostile("png-itxt-bomb.png", lambda: grey(before=chunk(b"iTXt", b"t\0\1\0\0\0" + zeros(300 * MIB))), "image.truncated"),
    Hostile(
        "png-ztxt-bombs-behind.png", lambda: grey(after=chunk(b"zTXt", b"t\0\0" + zeros(MIB - 9)) * 2000), "image.truncated"
    ),
    Hostile("png-200000-chunks.png", lambda: grey(before=chunk(b"tEXt", b"t\0x") * 200_000), ACCEPTED),
    Hostile("gif-of-65535-squared.gif", lambda: _gif_of(65_535, 65_535), "image.bad_dimensions"),
    Hostile("gif-frame-beyond-canvas.gif", _gif_frame_beyond_canvas, "image.bad_dimensions"),
    Hostile("webp-of-16384-squared.webp", lambda: _webp_of(16_384, 16_384), "image.bad_dimensions"),
    Hostile("bmp-of-a-petapixel.bmp", lambda: _bmp_of(2**31 - 1, 2**31 - 1), "image.bad_dimensions"),
    Hostile("bmp-upside-down-petapixel.bmp", lambda: _bmp_of(2**31 - 1, -(2**31) + 1), "image.bad_dimensions"),
    Hostile("bmp-rle-without-data.bmp", lambda: _bmp_of(6000, 6000, bits=8, compression=1), "image.truncated"),
    Hostile("bmp-zero-high.bmp", lambda: _bmp_of(16, 0), "image.truncated"),
    Hostile("tiff-of-a-petapixel.tif", lambda: tiff_of(2**31 - 1, 2**31 - 1), "image.bad_dimensions"),
    Hostile("tiff-huge-tiles.tif", tiff_tiles, "image.too_complex"),
    Hostile("tiff-60000-tags.tif", _tiff_many_tags, ACCEPTED),
    Hostile("tiff-5-million-strips.tif", _tiff_many_strips, ACCEPTED),
    Hostile("tiff-directory-loop.tif", _tiff_loop, ACCEPTED),
    Hostile("tiff-strip-beyond-its-end.tif", lambda: tiff_of(6000, 6000, bytes(64)), "image.truncated"),
    Hostile("tiff-huge-tiles-of-16-bits.tif", lambda: tiff_tiles(bits=16), "image.too_complex"),
    Hostile("tiff-16-bit-largest.tif", lambda: _large("I;16", "TIFF", compression="tiff_lzw"), ACCEPTED),
    Hostile("tiff-float-large.tif", lambda: _large("F", "TIFF", 3000, compression="tiff_lzw"), ACCEPTED),
    Hostile("tiff-strips-that-overlap.tif", _tiff_strips_that_overlap, ACCEPTED),
    Hostile("tiff-pages-that-overlap.tif", _tiff_pages_that_overlap, "image.too_complex"),
    Hostile("jpeg2000-of-65535-squared.jp2", lambda: _jpeg2000_of(65_535, 65_535), "image.bad_dimensions"),
    Hostile("jpeg2000-in-one-tile.jp2", lambda: _jpeg2000_of(6320, 6320), "image.too_complex"),
    Hostile("jpeg2000-largest-without-its-end.jp2", lambda: _jpeg2000_of(6320, 6320, 4400), "image.truncated"),
    Hostile(
        "jpeg2000-tiny-blocks.jp2",
        lambda: _jpeg2000_of(3000, 3000, codeblock_size=(4, 4), precinct_size=(8, 8)),
        "image.too_complex",
    ),
    Hostile("jpeg2000-65535-layers.jp2", _jpeg2000_many_layers, "image.too_complex"),
    Hostile("avif-of-65535-squared.avif", lambda: _avif_of(65_535, 65_535), "image.truncated"),
    Hostile("jpeg-largest-cmyk.jpg", lambda: _large("CMYK", "JPEG"), ACCEPTED),
    Hostile("jpeg-largest-turned.jpg", _turned, ACCEPTED),
    Hostile("jpeg-5000-scans.jpg", lambda: many_scans(4000, 5000), "image.too_complex"),
    Hostile("jpeg-200000-scans.jpg", lambda: many_scans(256, 200_000), "image.too_complex"),
    Hostile("jpeg-scans-behind-a-mark-without-length.jpg", lambda: many_scans(256, 5000, b"\xff\x01"), "image.too_complex"),
    Hostile("jpeg-restart-after-each-block.jpg", _restart_after_each_block, ACCEPTED),
    Hostile("jpeg-restart-markers-only.jpg", _restart_markers_only, ACCEPTED),
    Hostile("jpeg-16-mib-of-comments.jpg", _jpeg_comments, ACCEPTED),
    Hostile("jpeg-16-mib-icc-profile.jpg", _icc_in_jpeg_pieces, ACCEPTED),
]
