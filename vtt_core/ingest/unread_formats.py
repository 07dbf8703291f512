"""Recognise common unsupported formats by their first bytes, so that a refusal can name them."""

from __future__ import annotations

_STARTS = (
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (b"8BPS", "a Photoshop document (PSD)"),
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"IIRO", "a camera RAW photo (ORF)"),
    (b"IIRS", "a camera RAW photo (ORF)"),
    (b"IIU\0", "a camera RAW photo (RW2)"),
    (b"FUJIFILMCCD-RAW", "a camera RAW photo (RAF)"),
    (b"\0MRM", "a camera RAW photo (MRW)"),
    (b"FOVb", "a camera RAW photo (X3F)"),
    (b"II\xbc\x01", "a JPEG XR picture"),
    (b"\xff\xd8\xff\xf7", "a JPEG-LS picture"),
    (b"gimp xcf", "a GIMP document (XCF)"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"qoif", "a QOI picture"),
    (b"\0\0\1\0", "an icon (ICO)"),
    (b"SIMPLE  =", "a FITS file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"P1\n", "a netpbm picture"),
    (b"P2\n", "a netpbm picture"),
    (b"P3\n", "a netpbm picture"),
    (b"P4\n", "a netpbm picture"),
    (b"P5\n", "a netpbm picture"),
    (b"P6\n", "a netpbm picture"),
)
_BRANDS = {
    b"crx ": "a camera RAW photo (CR3)",
    **dict.fromkeys((b"isom", b"mp41", b"mp42", b"avc1", b"M4V ", b"qt  "), "a video"),
}


def unread_format(encoded: bytes) -> str | None:
    """Return the format as a phrase such as "a JPEG XL picture", or None if it is unknown."""
    if encoded[4:8] == b"ftyp":
        return _BRANDS.get(encoded[8:12])
    text = encoded[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!doctype svg")) and b"<svg" in text):
        return "an SVG drawing"
    return next((kind for start, kind in _STARTS if encoded.startswith(start)), None)
