"""Zips that would fill memory or disk, escape their folder, or confuse a reader."""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from functools import partial

from tests.fixtures.noise_images import good
from tests.hostile.raw_png import deflated_zeros
from tests.hostile.raw_zip import DEFLATED, Entry, local_part, pack, zip64_end
from tests.hostile.table import Hostile

MIB = 2**20
UTF8 = 0x800
SYMLINK, FIFO, DEVICE = 0o120777, 0o010644, 0o020666


def _pair(*others: Entry, **options: object) -> bytes:
    """A zip with a good image and these entries."""
    return pack([Entry(b"cat/good.png", good(101)), *others], **options)  # type: ignore[arg-type]


def _bomb(size_bytes: int, says_bytes: int, name: bytes = b"cat/bomb.png") -> Entry:
    return Entry(name, method=DEFLATED, packed=deflated_zeros(size_bytes), says_bytes=says_bytes)


def _overlapping() -> bytes:
    """2,000 entries that share the same packed bytes: a small zip that unpacks to 20 GB."""
    kernel = _bomb(10 * MIB, 10 * MIB)
    entries = [
        Entry(b"cat/%d.png" % place, method=DEFLATED, packed=kernel.packed, says_bytes=10 * MIB, at=0, local=b"")
        for place in range(2000)
    ]
    entries[0].local = local_part(kernel)
    return pack(entries)


def _quine_like(depth: int = 6) -> bytes:
    """Nested zips like 42.zip, with 16 copies on each level."""
    body = pack([_bomb(4 * MIB, 4 * MIB)])
    for _ in range(depth):
        body = pack([Entry(b"cat/lib%d.zip" % place, body, method=DEFLATED) for place in range(16)])
    return body


def _many_entries(count: int) -> bytes:
    return pack([Entry(b"c/%x" % place) for place in range(count)], says_entries=count)


def _hidden_entries(count: int) -> bytes:
    return pack([Entry(b"c/%x" % place) for place in range(count)], says_entries=1)


def _zip64_says(entries: int, directory_bytes: int) -> bytes:
    body = _pair()
    at = body.rfind(b"PK\5\6")
    record = zip64_end(entries, directory_bytes, 0, at)
    return body[:at] + record + body[at:]


def _zip64_sizes() -> bytes:
    extra = struct.pack("<HHQQ", 1, 16, 2**62, 2**62)
    return _pair(Entry(b"cat/large.png", good(5), says_bytes=0xFFFFFFFF, says_packed_bytes=0xFFFFFFFF, extra=extra))


def _zip64_locator_nowhere() -> bytes:
    body = _pair()
    at = body.rfind(b"PK\5\6")
    return body[:at] + struct.pack("<4sIQI", b"PK\6\7", 0, 2**63, 1) + body[at:]


def _cut() -> bytes:
    return _pair()[:-30]


def _cut_in_front() -> bytes:
    return _pair()[200:]


def _wrong_checksum() -> bytes:
    body = bytearray(_pair(Entry(b"cat/bad.png", good(7))))
    at = body.index(good(7))
    body[at + 50] ^= 0xFF
    return bytes(body)


def _names_disagree() -> bytes:
    return _pair(Entry(b"cat/b.png", good(8), local_name=b"../../etc/cron.d/evil"))


def _directory_at_itself() -> bytes:
    body = bytearray(_pair())
    at = body.rfind(b"PK\5\6")
    struct.pack_into("<I", body, at + 16, at)
    return bytes(body)


def _unicode_path(name: bytes, path: bytes) -> bytes:
    return struct.pack("<HHBL", 0x7075, 5 + len(path), 1, zlib.crc32(name)) + path


def _packed_bomb(method: int, packed: bytes, says_bytes: int = 10 * MIB) -> bytes:
    """An entry with padding after its packed bytes, so that its declared ratio looks harmless."""
    padding = bytes(max(0, says_bytes // 190 - len(packed)))
    return _pair(Entry(b"cat/bomb.png", method=method, packed=packed + padding, says_bytes=says_bytes))


def _bzip2_bomb() -> bytes:
    """512 MiB of zeros in less than 1 kB."""
    packer = bz2.BZ2Compressor()
    return _packed_bomb(12, b"".join(packer.compress(bytes(16 * MIB)) for _ in range(32)) + packer.flush())


def _lzma_bomb() -> bytes:
    packer = lzma.LZMACompressor(lzma.FORMAT_ALONE, preset=1)
    body = b"".join(packer.compress(bytes(16 * MIB)) for _ in range(32)) + packer.flush()
    return _packed_bomb(14, struct.pack("<BBH", 9, 4, 5) + body[:5] + body[13:])


def _xz_bomb() -> bytes:
    packer = lzma.LZMACompressor(preset=1)
    return _packed_bomb(95, b"".join(packer.compress(bytes(16 * MIB)) for _ in range(32)) + packer.flush())


def _placed(name: bytes, outcome: str, shown: str, **fields: int | bytes) -> Hostile:
    return Hostile(shown, partial(_build_placed, name, fields), outcome, "archive")


def _build_placed(name: bytes, fields: dict[str, int | bytes]) -> bytes:
    return _pair(Entry(name, good(31), **fields))  # type: ignore[arg-type]


def _archive(name: str, build: object, outcome: str) -> Hostile:
    return Hostile(name, build, outcome, "archive")  # type: ignore[arg-type]


UNSAFE, LAYOUT = "1 kept, archive.unsafe_path", "1 kept, archive.bad_layout"
NOT_A_FILE, METHOD = "1 kept, archive.not_a_file", "archive.unsupported_method"

ARCHIVES = [
    _archive("zip-flat-bomb.zip", lambda: _pair(_bomb(1024 * MIB, 1024 * MIB)), "archive.too_large"),
    _archive(
        "zip-of-20-bombs.zip",
        lambda: pack([_bomb(128 * MIB, 128 * MIB, b"c/%d.png" % place) for place in range(20)]),
        "archive.too_large",
    ),
    _archive("zip-bzip2-bomb.zip", _bzip2_bomb, "1 kept, archive.not_a_zip"),
    _archive("zip-lzma-bomb.zip", _lzma_bomb, "1 kept, archive.not_a_zip"),
    _archive("zip-xz-bomb.zip", _xz_bomb, "1 kept, archive.not_a_zip"),
    _archive("zip-lying-small.zip", lambda: _pair(_bomb(512 * MIB, 100)), "1 kept, archive.not_a_zip"),
    _archive("zip-lying-large.zip", lambda: _pair(Entry(b"cat/b.png", good(9), says_bytes=2**32 - 2)), "archive.too_large"),
    _archive("zip-overlapping-entries.zip", _overlapping, "archive.too_large"),
    _archive("zip-nested.zip", lambda: _pair(Entry(b"cat/more.zip", _pair())), "1 kept, archive.bad_layout"),
    _archive("zip-nested-like-42.zip", _quine_like, "archive.bad_layout"),
    _archive("zip-100000-entries.zip", lambda: _many_entries(100_000), "archive.too_large"),
    _archive("zip-30000-hidden-entries.zip", lambda: _hidden_entries(30_000), "archive.too_large"),
    _archive("zip64-says-2-to-40-entries.zip", lambda: _zip64_says(2**40, 100), "archive.too_large"),
    _archive("zip64-says-exabyte-directory.zip", lambda: _zip64_says(1, 2**60), "archive.too_large"),
    _archive("zip64-exabyte-entry.zip", _zip64_sizes, "archive.too_large"),
    _archive("zip64-locator-nowhere.zip", _zip64_locator_nowhere, "archive.not_a_zip"),
    _archive("zip-cut.zip", _cut, "archive.not_a_zip"),
    _archive("zip-cut-in-front.zip", _cut_in_front, "archive.not_a_zip"),
    _archive("zip-end-record-alone.zip", lambda: pack([]), "images.nothing_usable"),
    _archive("zip-directory-at-itself.zip", _directory_at_itself, "archive.not_a_zip"),
    _archive("zip-wrong-checksum.zip", _wrong_checksum, "1 kept, archive.not_a_zip"),
    _archive("zip-names-disagree.zip", _names_disagree, "1 kept, archive.not_a_zip"),
    _archive("zip-behind-a-script.zip", lambda: _pair(before=b"#!/bin/sh\nrm -rf /\n"), "1 kept"),
    _archive("zip-behind-a-jpeg.zip", lambda: _pair(before=good(image_format="JPEG")), "1 kept"),
    _archive("zip-behind-a-png.zip", lambda: _pair(before=good()), "1 kept"),
    _archive("zip-long-comment.zip", lambda: _pair(comment=b"PK\5\6" * 16_000), "archive.not_a_zip"),
    _archive("seven-zip.zip", lambda: b"7z\xbc\xaf\x27\x1c" + bytes(200), "archive.not_a_zip"),
    _archive("tar.zip", lambda: bytes(257) + b"ustar\0" + bytes(249), "archive.not_a_zip"),
    _archive("gzip.zip", lambda: b"\x1f\x8b\x08" + bytes(200), "archive.not_a_zip"),
    _archive("image-as-archive.zip", good, "archive.not_a_zip"),
    _archive("empty.zip", bytes, "archive.not_a_zip"),
    _placed(b"../evil.png", UNSAFE, "path-upwards.zip"),
    _placed(b"cat/../../evil.png", UNSAFE, "path-upwards-inside.zip"),
    _placed(b"/etc/cron.d/evil.png", UNSAFE, "path-absolute.zip"),
    _placed(b"C:/Windows/evil.png", UNSAFE, "path-drive-letter.zip"),
    _placed(b"..\\..\\evil.png", UNSAFE, "path-backslashes.zip"),
    _placed(b"\\\\host\\share\\evil.png", UNSAFE, "path-network.zip"),
    _placed(b"cat/evil.png\0.txt", UNSAFE, "path-zero-byte.zip"),
    _placed(b"cat//double.png", UNSAFE, "path-double-slash.zip"),
    _placed(b"cat/" + b"x" * 60_000 + b".png", "2 kept", "path-60000-characters.zip"),
    _placed(b"a/" * 10_000 + b"deep.png", LAYOUT, "path-10000-folders.zip"),
    _placed("caf\u00e9/a.png".encode(), "2 kept", "path-composed.zip", flags=UTF8),
    _placed("cafe\u0301/a.png".encode(), "2 kept", "path-decomposed.zip", flags=UTF8),
    _placed("cat/\u202egnp.exe".encode(), "2 kept", "path-right-to-left-file.zip", flags=UTF8),
    _placed("\u202egod/a.png".encode(), "1 kept, support_set.bad_label", "path-right-to-left-label.zip", flags=UTF8),
    _placed(b"c\xff\xfe/a.png", "archive.not_a_zip", "path-flagged-but-no-utf-8.zip", flags=UTF8),
    _placed(b"c\xff\xfe/a.png", "archive.unknown_encoding", "path-unknown-encoding.zip"),
    _placed(b"cat/\xff\xfe.png", "2 kept", "path-unknown-encoding-of-a-file.zip"),
    _placed(b"dog\\a.png", "2 kept", "path-backslash-as-separator.zip", made_by=3),
    _placed(b"cat/..\\..\\evil.png", UNSAFE, "path-both-separators.zip"),
    _placed(b".\\C:\\evil.png", UNSAFE, "path-dot-and-drive-letter.zip"),
    _placed(b"cat/a.png", UNSAFE, "path-unsafe-in-extra-field.zip", extra=_unicode_path(b"cat/a.png", b"../../evil.png")),
    _placed(b"cat/good.png", LAYOUT, "path-twice.zip"),
    _placed(b"CON/a.png", "2 kept", "path-device-name.zip"),
    _placed(b"cat/link.png", NOT_A_FILE, "entry-symbolic-link.zip", mode=SYMLINK),
    _placed(b"cat/fifo.png", NOT_A_FILE, "entry-fifo.zip", mode=FIFO),
    _placed(b"cat/device.png", NOT_A_FILE, "entry-device.zip", mode=DEVICE),
    _placed(b"cat/secret.png", METHOD, "entry-encrypted.zip", flags=1),
    _placed(b"cat/strong.png", METHOD, "entry-strongly-encrypted.zip", flags=0x41),
    _placed(b"cat/lzma.png", "1 kept, archive.not_a_zip", "entry-no-lzma.zip", method=14),
    _placed(b"cat/zstd.png", METHOD, "entry-method-93.zip", method=93),
    _placed(b"cat/odd.png", METHOD, "entry-method-65535.zip", method=65_535),
    _placed(b"__MACOSX/cat/._a.png", "1 kept", "left-behind-macosx.zip"),
    _placed(b"cat/.DS_Store", "1 kept", "left-behind-ds-store.zip"),
    _placed(b"cat/Thumbs.db", "1 kept", "left-behind-thumbs.zip"),
    _placed(b"stray.png", LAYOUT, "file-beside-the-folders.zip"),
    _archive(
        "entries-no-images.zip",
        lambda: _pair(Entry(b"cat/a.png", b"%PDF-1.7"), Entry(b"cat/b.png", b"MZ" + bytes(99))),
        "1 kept, image.not_an_image",
    ),
    _archive(
        "entry-pixel-bomb.zip",
        lambda: _pair(Entry(b"cat/a.gif", b"GIF89a\xff\xff\xff\xff\0\0\0" + bytes(9))),
        "1 kept, image.truncated",
    ),
    _archive("entry-descriptor-flag.zip", lambda: _pair(Entry(b"cat/d.png", good(12), flags=8)), "2 kept"),
    _archive("entry-of-no-bytes.zip", lambda: _pair(Entry(b"cat/e.png")), "1 kept, image.empty"),
]
