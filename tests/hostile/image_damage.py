"""Images that end early, have wrong headers, or are not images."""

from __future__ import annotations

import io
import struct
from functools import partial
from zipfile import ZipFile

import numpy as np
from PIL import Image

from tests.fixtures.dicom_writer import write_dicom
from tests.fixtures.noise_images import encode, frames, good, noise
from tests.hostile.image_bombs import jpeg_segments
from tests.hostile.raw_png import END, chunk, grey, header, zeros
from tests.hostile.table import ACCEPTED, Hostile

SVG = b"""<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><text>&x;</text></svg>"""
ELF = b"\x7fELF\x02\x01\x01" + bytes(64)
MP4 = struct.pack(">I", 32) + b"ftypisom" + bytes(20) + struct.pack(">I", 8) + b"mdat"


def _zip_of(content: bytes = b"payload") -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        archive.writestr("x.txt", content)
    return buffer.getvalue()


def _cut(image_format: str, share: float) -> bytes:
    body = encode(noise(side=(64, 64)), image_format)
    return body[: int(len(body) * share)]


def _gif_and_javascript() -> bytes:
    # GIF89a/*...*/=alert(1): the width is the beginning of a comment.
    body = bytearray(encode(Image.new("P", (16, 16)), "GIF"))
    body[6:8] = b"/*"
    return bytes(body) + b"*/=1;alert(document.domain)//"


def _exif(orientation: object, *, kind: int = 3) -> bytes:
    """EXIF with one tag. Type 3 is 16 bits, type 2 is text."""
    value = (
        struct.pack("<HH", orientation, 0)
        if isinstance(orientation, int)
        else bytes(str(orientation), "ascii")[:4].ljust(4, b"\0")
    )
    return b"Exif\0\0II*\0" + struct.pack("<IHHHI", 8, 1, 0x0112, kind, 1) + value + bytes(4)


def with_exif(exif: bytes) -> bytes:
    """A JPEG with these bytes as its EXIF, in several segments if needed."""
    body = good(image_format="JPEG")
    pieces = [exif[6:][start : start + 65_500] for start in range(0, len(exif) - 6, 65_500)]
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(piece) + 8) + b"Exif\0\0" + piece for piece in pieces)
    return body[:2] + segments + body[2:]


def _recursive_exif() -> bytes:
    # The Exif directory that the first one points to is the first one.
    entries = struct.pack("<HHII", 0x8769, 4, 1, 8) + struct.pack("<HHII", 0x0112, 3, 1, 6)
    return with_exif(b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entries + struct.pack("<I", 8))


def _huge_exif() -> bytes:
    # 5,000 tags that all have the same 16 MiB as their value.
    entries = b"".join(struct.pack("<HHII", 0x8000 + place, 7, 16 * 2**20, 8) for place in range(5000))
    return with_exif(b"Exif\0\0II*\0" + struct.pack("<IH", 8, 5000) + entries + bytes(16 * 2**20))


def _adobe(transform: int, mode: str) -> bytes:
    body = encode(noise(mode), "JPEG")
    at = body.find(b"Adobe\0")
    marker = b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    return body[:2] + marker + body[2:] if at < 0 else body[: at + 11] + bytes([transform]) + body[at + 12 :]


def _without_end(image_format: str) -> bytes:
    head, scans = jpeg_segments(encode(noise(side=(64, 64)), image_format))
    return head + scans[0][: len(scans[0]) // 2]


def _garbage_profile() -> bytes:
    head = struct.pack(">I4xI4s4s4s12x4s", 5132, 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"acsp").ljust(128, b"\0")
    return head + struct.pack(">I", 2**31) + b"\xff" * 5000


def _apng() -> bytes:
    return frames("PNG")


CUT_FORMATS = {"JPEG": 0.6, "PNG": 0.6, "WEBP": 0.6, "BMP": 0.6, "TIFF": 0.6, "GIF": 0.5, "AVIF": 0.6, "JPEG2000": 0.3}

DAMAGED = [
    *(Hostile(f"cut-{name.lower()}", partial(_cut, name, share), "image.truncated") for name, share in CUT_FORMATS.items()),
    *(
        Hostile(f"head-only-{name.lower()}", partial(_cut, name, 0.01), "image.truncated")
        for name in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "JPEG2000")
    ),
    Hostile("empty.jpg", bytes, "image.empty"),
    Hostile("one-byte.jpg", lambda: b"\xff", "image.not_an_image"),
    Hostile("png-wrong-checksum-of-pixels.png", lambda: grey(crc_error=1), ACCEPTED),
    Hostile("png-wrong-checksum-of-header.png", lambda: good()[:29] + b"\0\0\0\0" + good()[33:], "image.truncated"),
    Hostile(
        "png-of-16-bit-palette.png",
        lambda: header(16, 16, bits=16, colour=3) + chunk(b"IDAT", zeros(600)) + END,
        "image.truncated",
    ),
    Hostile("png-palette-missing.png", lambda: header(16, 16, colour=3) + chunk(b"IDAT", zeros(272)) + END, ACCEPTED),
    Hostile("png-chunk-longer-than-file.png", lambda: good()[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT", "image.truncated"),
    Hostile(
        "bmp-offset-beyond-end.bmp",
        lambda: good(image_format="BMP")[:10] + b"\xff\xff\xff\x7f" + good(image_format="BMP")[14:],
        "image.truncated",
    ),
    Hostile("pdf.jpg", lambda: b"%PDF-1.7\n" + bytes(200), "image.not_an_image"),
    Hostile("html.png", lambda: b"<html><script>alert(1)</script></html>", "image.not_an_image"),
    Hostile("svg-with-entity.svg", lambda: SVG, "image.not_an_image"),
    Hostile("mp4.jpg", lambda: MP4, "image.not_an_image"),
    Hostile("elf.png", lambda: ELF, "image.not_an_image"),
    Hostile("text.jpg", lambda: b"not an image at all\n" * 50, "image.not_an_image"),
    Hostile("postscript.jpg", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n", "image.not_an_image"),
    Hostile("zip-as-image.jpg", _zip_of, "image.not_an_image"),
    Hostile("jpeg-2000.jp2", lambda: good(image_format="JPEG2000"), ACCEPTED),
    Hostile("avif.avif", lambda: good(image_format="AVIF"), ACCEPTED),
    Hostile("heic.heic", lambda: struct.pack(">I", 24) + b"ftypheic" + bytes(100), "image.truncated"),
    Hostile("dicom-without-fields.dcm", lambda: bytes(128) + b"DICM" + b"\xff" * 100, "image.unsupported_kind"),
    Hostile(
        "dicom-larger-than-its-pixels.dcm",
        lambda: write_dicom(np.zeros((9, 9), "u1"), Rows=6000, Columns=6000),
        "image.truncated",
    ),
    Hostile(
        "dicom-of-huge-sides.dcm",
        lambda: write_dicom(np.zeros((9, 9), "u1"), Rows=60_000, Columns=60_000),
        "image.bad_dimensions",
    ),
    Hostile("icon.ico", lambda: good(image_format="ICO"), "image.not_an_image"),
    Hostile("animated.gif", lambda: frames("GIF"), "image.animated"),
    Hostile("animated.webp", lambda: frames("WEBP"), "image.animated"),
    Hostile("animated.png", _apng, "image.animated"),
    Hostile("animated.avif", lambda: frames("AVIF"), "image.animated"),
    Hostile("pages.tif", lambda: frames("TIFF"), "image.animated"),
    Hostile("jpeg-without-its-end.jpg", lambda: _without_end("JPEG"), "image.truncated"),
]

ODD = [
    Hostile("gif-and-javascript.gif", _gif_and_javascript, "image.bad_dimensions"),
    Hostile("jpeg-and-zip.jpg", lambda: good(image_format="JPEG") + _zip_of(), ACCEPTED),
    Hostile("png-and-zip.png", lambda: good() + _zip_of(), ACCEPTED),
    Hostile("jpeg-and-html.jpg", lambda: good(image_format="JPEG") + b"<script>alert(1)</script>", ACCEPTED),
    Hostile("jpeg-and-scan-marks-behind.jpg", lambda: good(image_format="JPEG") + b"\xff\xda" * 2**20, ACCEPTED),
    Hostile("stereo.mpo", lambda: frames("MPO", 2), ACCEPTED),
    *(
        Hostile(f"exif-orientation-{turn}.jpg", partial(lambda turn: with_exif(_exif(turn)), turn), ACCEPTED)
        for turn in (1, 2, 3, 4, 5, 6, 7, 8, 9, 65_535)
    ),
    Hostile("exif-orientation-text.jpg", lambda: with_exif(_exif("six", kind=2)), ACCEPTED),
    Hostile("exif-cut.jpg", lambda: with_exif(_exif(6)[:14]), ACCEPTED),
    Hostile("exif-recursive.jpg", _recursive_exif, ACCEPTED),
    Hostile("exif-huge.jpg", _huge_exif, ACCEPTED),
    Hostile("grey-16-bit.png", lambda: encode(Image.new("I;16", (16, 16), 40_000), "PNG"), ACCEPTED),
    Hostile("rgb-16-bit.png", lambda: header(16, 16, bits=16) + chunk(b"IDAT", zeros(16 * 97)) + END, ACCEPTED),
    Hostile("grey-1-bit.png", lambda: encode(noise("1"), "PNG"), ACCEPTED),
    Hostile("grey-alpha.png", lambda: encode(noise("LA"), "PNG"), ACCEPTED),
    Hostile("palette-alpha.png", lambda: encode(noise("P"), "PNG", transparency=bytes(range(256))), ACCEPTED),
    Hostile("float.tif", lambda: encode(noise("F"), "TIFF"), ACCEPTED),
    Hostile("lab.tif", lambda: encode(Image.new("LAB", (16, 16)), "TIFF"), ACCEPTED),
    Hostile("cmyk.jpg", lambda: encode(noise("CMYK"), "JPEG"), ACCEPTED),
    Hostile("ycck.jpg", lambda: _adobe(2, "CMYK"), ACCEPTED),
    Hostile("adobe-rgb.jpg", lambda: _adobe(0, "RGB"), ACCEPTED),
    Hostile("adobe-unknown-transform.jpg", lambda: _adobe(77, "RGB"), ACCEPTED),
    Hostile("progressive.jpg", lambda: encode(noise(side=(256, 256)), "JPEG", progressive=True), ACCEPTED),
    Hostile("icc-garbage.png", lambda: encode(noise(), "PNG", icc_profile=b"\xff" * 5000), ACCEPTED),
    Hostile("icc-garbage.jpg", lambda: encode(noise(), "JPEG", icc_profile=b"\xff" * 5000), ACCEPTED),
    Hostile("icc-garbage-with-a-good-head.jpg", lambda: encode(noise(), "JPEG", icc_profile=_garbage_profile()), ACCEPTED),
    Hostile("avif-that-names-no-primary.avif", lambda: good(image_format="AVIF").replace(b"pitm", b"xxxx"), "image.truncated"),
    Hostile("wrong-name.gif", lambda: good(image_format="JPEG"), ACCEPTED),
]
