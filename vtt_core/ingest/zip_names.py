"""Decode the paths of a zip's entries. Where the encoding is unknown, the bytes stay visible as unknown.

A zip says in one of three ways how a name is encoded: flag bit 11 (UTF-8), the Unicode Path extra field 0x7075
(UTF-8 with a checksum of the plain name), or not at all. A name that says nothing is taken as UTF-8 only if all such names
of the zip are valid UTF-8. Otherwise its bytes above 127 become lone surrogates, as in `os.fsdecode`: a folder with such
a name is refused later, because its label would be a guess; a file is kept, because its name is only shown.

Source: PKWARE APPNOTE.TXT 6.3.10, 4.4.4 (bit 11), 4.6.9 (Unicode Path extra field), 4.4.17 (separators).
Differs: APPNOTE says that names without bit 11 are in code page 437. Most programs write the code page of their
    system instead, so code page 437 is not assumed.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Sequence

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
_EXTRA_HEAD = struct.Struct("<HH")
_PATH_HEAD = struct.Struct("<BL")
_BACKSLASH_INSIDE_A_CHARACTER = re.compile(rb"(?<=[\x80-\xff])\\")
"""In Shift JIS, GBK and Big5 the second byte of a character can be a backslash."""


def entry_paths(infos: Sequence[zipfile.ZipInfo]) -> list[str]:
    """Return the path of every entry, with `/` as separator and without a leading `./`.

    A backslash is a separator, whatever system the zip names, because old Windows programs write it. Nothing is
    checked here: the path may still lead outside the zip. A path that was only `./` comes out empty.
    """
    told = [_told_path(info) for info in infos]
    untold = [_raw_name(info) for info, path in zip(infos, told, strict=True) if path is None]
    is_utf8 = all(_is_utf8(raw) for raw in untold)
    decoded = [path if path is not None else _decode(_raw_name(info), is_utf8) for info, path in zip(infos, told, strict=True)]
    return [_without_dots(path.replace("\\", "/")) for path in decoded]


def _told_path(info: zipfile.ZipInfo) -> str | None:
    """Return the name where the zip says how it is encoded; None where it does not."""
    # orig_filename: zipfile cuts the other one at a zero byte.
    if info.flag_bits & _UTF8_FLAG:
        return info.orig_filename
    return _unicode_path(info.extra, _raw_name(info)) or (info.orig_filename if info.orig_filename.isascii() else None)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a name without the UTF-8 flag; zipfile has decoded them as code page 437."""
    return info.orig_filename.encode("cp437")


def _unicode_path(extra: bytes, raw_name: bytes) -> str | None:
    """Return the name in the Unicode Path extra field if its checksum is that of the plain name."""
    while len(extra) >= _EXTRA_HEAD.size:
        kind, size_bytes = _EXTRA_HEAD.unpack_from(extra)
        body = extra[_EXTRA_HEAD.size : _EXTRA_HEAD.size + size_bytes]
        extra = extra[_EXTRA_HEAD.size + size_bytes :]
        if kind != _UNICODE_PATH or len(body) <= _PATH_HEAD.size:
            continue
        version, checksum = _PATH_HEAD.unpack_from(body)
        encoded = body[_PATH_HEAD.size :]
        if version == 1 and checksum == zlib.crc32(raw_name) and _is_utf8(encoded):
            return encoded.decode()
    return None


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode(raw: bytes, is_utf8: bool) -> str:
    if is_utf8:
        return raw.decode()
    if b"/" in raw:  # then a backslash after a byte above 127 is half a character, not a separator
        raw = _BACKSLASH_INSIDE_A_CHARACTER.sub(b"\x80", raw)
    return raw.decode("ascii", "surrogateescape")


def _without_dots(path: str) -> str:
    while path.startswith("./"):
        path = path[2:]
    return path
