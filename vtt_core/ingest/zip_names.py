"""Decode the paths of a zip's entries. Bytes of an unknown encoding stay recognisable.

A zip declares the encoding of a name by flag bit 11 (UTF-8), by the Unicode Path extra field 0x7075 (UTF-8 with a checksum of
the plain name), or not at all. Undeclared names are read as UTF-8 only if all of them are valid UTF-8. Otherwise their bytes
above 127 become lone surrogates, as in `os.fsdecode`. A folder with such a name is refused later, because its label would be
a guess. A file is kept, because its name is only shown.

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

    A backslash always counts as a separator, because old Windows programs write it. Nothing is checked here: the path may
    still lead outside the zip. The path `./` becomes empty.
    """
    declared = [_declared_path(info) for info in infos]
    undeclared = [_raw_name(info) for info, path in zip(infos, declared, strict=True) if path is None]
    is_utf8 = all(_is_utf8(raw) for raw in undeclared)
    decoded = [
        path if path is not None else _decode(_raw_name(info), is_utf8) for info, path in zip(infos, declared, strict=True)
    ]
    return [_without_dots(path.replace("\\", "/")) for path in decoded]


def _declared_path(info: zipfile.ZipInfo) -> str | None:
    """Return the name if its encoding is declared, else None."""
    # orig_filename: zipfile cuts `filename` at a zero byte.
    if info.flag_bits & _UTF8_FLAG:
        return info.orig_filename
    return _unicode_path(info.extra, _raw_name(info)) or (info.orig_filename if info.orig_filename.isascii() else None)


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """Return the bytes of a name without the UTF-8 flag: zipfile has decoded them as code page 437."""
    return info.orig_filename.encode("cp437")


def _unicode_path(extra: bytes, raw_name: bytes) -> str | None:
    """Return the name in the Unicode Path extra field, if its checksum matches the plain name."""
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
    if b"/" in raw:  # then a backslash after a byte above 127 is half a character
        raw = _BACKSLASH_INSIDE_A_CHARACTER.sub(b"\x80", raw)
    return raw.decode("ascii", "surrogateescape")


def _without_dots(path: str) -> str:
    while path.startswith("./"):
        path = path[2:]
    return path
