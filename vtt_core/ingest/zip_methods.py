"""Name the compression methods of zips, and refuse a zip with an unsupported one.

Source: PKWARE APPNOTE.TXT 6.3.10, 4.4.4 (encryption flags), 4.4.5 (methods), 7.2.2 (method 99).
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable

from vtt_core.contract.errors import UnsupportedMethodError
from vtt_core.ingest.printable import printable

STORED, DEFLATED, BZIP2, LZMA, XZ = 0, 8, 12, 14, 95
READABLE_METHODS = (STORED, DEFLATED, BZIP2, LZMA, XZ)
_AES = 99
_ENCRYPTED_FLAGS = 0x41
_NAMES = {
    1: "Shrunk",
    **dict.fromkeys((2, 3, 4, 5), "Reduced"),
    6: "Imploded",
    9: "Deflate64",
    10: "PKWARE DCL Imploded",
    16: "IBM z/OS CMPSC",
    18: "IBM TERSE",
    19: "IBM LZ77",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    96: "JPEG (WinZip)",
    97: "WavPack",
    98: "PPMd",
}


def check_methods(entries: Iterable[tuple[str, zipfile.ZipInfo]]) -> None:
    """Refuse the zip, with one error, if any of its files cannot be read.

    Args:
        entries: path and record of each file.

    Raises:
        UnsupportedMethodError: a file is encrypted, or compressed by another method than Deflate, bzip2, LZMA or XZ.
    """
    unreadable = [(name, path) for path, info in entries if (name := _unreadable_method(info)) is not None]
    if not unreadable:
        return
    methods = sorted({name for name, _ in unreadable})
    count = f"{len(unreadable)} files" if len(unreadable) > 1 else "1 file"
    is_locked = any("encryption" in name for name in methods)
    raise UnsupportedMethodError(
        expected="files without a password, stored or compressed with Deflate, bzip2, LZMA or XZ",
        got=f"{count} with {' and '.join(methods)}, such as {printable(unreadable[0][1][-200:])!r}",
        remedy="Pack the folder again without a password" if is_locked else "Pack the folder again with the method Deflate",
    )


def _unreadable_method(info: zipfile.ZipInfo) -> str | None:
    """Return the name of the unsupported method, or None."""
    if info.compress_type == _AES:
        return "AES encryption"
    if info.flag_bits & _ENCRYPTED_FLAGS:
        return "strong encryption" if info.flag_bits & 0x40 else "ZipCrypto encryption"
    if info.compress_type in READABLE_METHODS:
        return None
    return _NAMES.get(info.compress_type, f"the unknown compression method {info.compress_type}")
