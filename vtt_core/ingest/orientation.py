"""Read the orientation of an image from EXIF, else from XMP, and turn the image upright.

Values are those of EXIF, 1 to 8; 1 is upright. Damaged metadata is ignored.

Source: CIPA DC-008 (EXIF), tag 274; Adobe XMP specification, part 2, `tiff:Orientation`.
"""

from __future__ import annotations

import re
import struct

from PIL import Image

UPRIGHT = 1
ORIENTATION_TAG = 274

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_EXIF_PREFIX = b"Exif\0\0"
_INTEGER_FORMATS = {3: "H", 4: "I", 8: "h", 9: "i"}
"""TIFF type -> format of `struct`."""
_TIFF_NAMESPACE = re.compile(rb"xmlns:([\w.-]{1,40})\s*=\s*[\"']http://ns\.adobe\.com/tiff/1\.0/")


def turn_upright(image: Image.Image) -> None:
    """Turn a loaded image in place, as its metadata says. Pillow has already turned a TIFF.

    Args:
        image: loaded, with its `info` as Pillow read it.
    """
    method = _TURNS.get(_orientation_of(image)) if image.format != "TIFF" else None
    if method is not None:
        # In place, like `ImageOps.exif_transpose`: a new image would keep the old pixels in memory.
        image.im = image.im.transpose(method)
        image._size = image.im.size


def read_orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """Return the orientation, 1 to 8; 1 if neither gives one.

    Args:
        exif: a TIFF structure, with or without the prefix `Exif`.
        xmp: an XMP packet.
    """
    return _from_exif(exif or b"") or _from_xmp(xmp or b"") or UPRIGHT


def orientation_exif(orientation: int) -> bytes:
    """Return EXIF whose only tag is the orientation, without the prefix `Exif`."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, ORIENTATION_TAG, 3, 1, orientation, 0, 0)


def raw_profile(text: str) -> bytes:
    """Return the bytes of a PNG's `Raw profile type exif` text, as ImageMagick writes it; nothing if it is damaged."""
    try:
        return bytes.fromhex("".join(text.split("\n")[3:]))
    except ValueError:
        return b""


def _orientation_of(image: Image.Image) -> int:
    exif = image.info.get("exif")
    raw = image.info.get("Raw profile type exif")
    if exif is None and isinstance(raw, str):
        exif = raw_profile(raw)
    # An AVIF has orientation properties, which Pillow writes into the EXIF; its XMP does not count.
    xmp = None if image.format == "AVIF" else image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return read_orientation(exif, xmp.encode() if isinstance(xmp, str) else xmp)


def _from_exif(exif: bytes) -> int | None:
    """Return the tag's value in the first directory, if it is an integer from 1 to 8."""
    while exif.startswith(_EXIF_PREFIX):
        exif = exif[len(_EXIF_PREFIX) :]
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    if start + 2 > len(exif):
        return None
    (num_tags,) = struct.unpack_from(f"{order}H", exif, start)
    for at in range(start + 2, min(start + 2 + 12 * num_tags, len(exif) - 11), 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", exif, at)
        if tag == ORIENTATION_TAG:
            value = struct.unpack_from(order + _INTEGER_FORMATS[kind], exif, at + 8)[0] if kind in _INTEGER_FORMATS else 0
            return _valid(value) if count == 1 else None
    return None


def _from_xmp(xmp: bytes) -> int | None:
    plain = xmp.replace(b"\0", b"")  # XMP may be UTF-16: ASCII letters with zero bytes between them
    named = _TIFF_NAMESPACE.search(plain)
    prefix = re.escape(named[1]) if named is not None else b"tiff"
    found = re.search(prefix + rb":Orientation\s{0,9}(?:=\s{0,9}[\"']|>)\s{0,9}(\d)\s{0,9}[\"'<]", plain)
    return _valid(int(found[1])) if found is not None else None


def _valid(value: int) -> int | None:
    return value if value == UPRIGHT or value in _TURNS else None
