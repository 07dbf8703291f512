"""Names of zip entries, with a declared or an unknown encoding."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest

from tests.hostile.raw_zip import Entry, pack
from vtt_core.ingest.zip_names import entry_paths

UTF8 = 0x800
STAR, RINGS = "звезда/0.png", "кольца/0.png"


def paths_of(*entries: Entry) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(pack(entries))) as archive:
        return entry_paths(archive.infolist())


def unicode_path(name: bytes, path: str, *, version: int = 1, checksum: int | None = None) -> bytes:
    body = struct.pack("<BL", version, zlib.crc32(name) if checksum is None else checksum) + path.encode()
    return struct.pack("<HH", 0x7075, len(body)) + body


def named(path: str, encoding: str = "utf-8", **fields: object) -> Entry:
    return Entry(path.encode(encoding), **fields)  # type: ignore[arg-type]


def test_a_flagged_name_is_taken_as_it_is() -> None:
    assert paths_of(named("Käten/1.jpg", flags=UTF8)) == ["Käten/1.jpg"]


def test_the_unicode_extra_field_names_the_entry_if_its_checksum_is_right() -> None:
    raw = STAR.encode("cp866")
    other_field = struct.pack("<HH", 0x5455, 5) + b"\3abcd"
    assert paths_of(Entry(raw, extra=other_field + unicode_path(raw, STAR))) == [STAR]
    assert paths_of(Entry(b"zvezda/0.png", extra=unicode_path(b"zvezda/0.png", STAR))) == [STAR]


@pytest.mark.parametrize("wrong", [{"checksum": 1}, {"version": 2}], ids=["checksum", "version"])
def test_an_extra_field_that_is_not_of_this_name_is_ignored(wrong: dict[str, int]) -> None:
    assert paths_of(Entry(b"star/0.png", extra=unicode_path(b"star/0.png", "../x", **wrong))) == ["star/0.png"]


@pytest.mark.parametrize("extra", [b"\x75\x70", b"\x75\x70\2\0\1\0", b"\x75\x70\7\0\1aaaa\xff\xfe"])
def test_a_damaged_extra_field_is_ignored(extra: bytes) -> None:
    assert paths_of(Entry(b"star/0.png", extra=extra)) == ["star/0.png"]


def test_an_unsafe_path_in_the_extra_field_is_not_hidden() -> None:
    raw = b"star/0.png"
    assert paths_of(Entry(raw, extra=unicode_path(raw, "..\\..\\0.png"))) == ["../../0.png"]


def test_names_that_are_all_utf8_are_read_as_such() -> None:
    assert paths_of(named(STAR), named(RINGS), Entry(b"plain/1.png")) == [STAR, RINGS, "plain/1.png"]


def test_one_name_that_is_not_utf8_makes_the_others_unknown_too() -> None:
    # In GBK the character 一 has the bytes of the Cyrillic letter U+04BB in UTF-8: alone, it would become a wrong label.
    one, two = paths_of(named("一/1.png", "gbk"), named("二/1.png", "gbk"))
    assert (one, two) == ("\udcd2\udcbb/1.png", "\udcb6\udcfe/1.png")


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "cp866", "cp932", "gbk"])
def test_other_code_pages_are_never_guessed(encoding: str) -> None:
    text = {"cp866": "звезда", "cp932": "星", "gbk": "星"}.get(encoding, "Café")
    (path,) = paths_of(named(f"{text}/1.png", encoding))
    assert "\udc80" <= max(path) <= "\udcff"
    assert path.endswith("/1.png")
    assert path.encode("ascii", "surrogateescape") == f"{text}/1.png".encode(encoding)


def test_a_backslash_that_is_half_a_character_is_no_separator() -> None:
    (path,) = paths_of(named("star/ソ.png", "cp932"))  # its bytes are 83 5C
    assert path.split("/")[0] == "star"
    assert path.count("/") == 1


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("star\\0.png", "star/0.png"),
        ("star\\", "star/"),
        ("./star/0.png", "star/0.png"),
        (".\\star\\0.png", "star/0.png"),
        ("././star/0.png", "star/0.png"),
        ("./", ""),
        ("..\\x", "../x"),
        ("\\\\host\\share\\x", "//host/share/x"),
        (".//x", "/x"),
    ],
)
@pytest.mark.parametrize("made_by", [0, 3])
def test_backslashes_separate_and_leading_dots_go_whatever_the_system(name: str, path: str, made_by: int) -> None:
    assert paths_of(Entry(name.encode(), made_by=made_by)) == [path]
