"""Zips and folders of labelled images: files are taken, rejected by name, or the whole archive is refused."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtt_core.contract.errors import (
    ArchiveError,
    ArchiveLayoutError,
    ArchiveTooLargeError,
    ImageTooManyBytesError,
    NotAZipError,
    SourcePathError,
    UnknownEncodingError,
    UnsafePathError,
    UnsupportedMethodError,
)
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.ingest.archives import ArchiveContents, open_images, read_folder, read_zip

Entries = Iterable[tuple[str, bytes]]
PETS = (("cat/2.jpg", b"c2"), ("dog/1.jpg", b"d1"), ("cat/1.jpg", b"c1"))


def packed(entries: Entries, compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for path, content in entries:
            archive.writestr(zipfile.ZipInfo(path), content, compression)
    return stream


def unpacked(folder: Path, entries: Entries) -> Path:
    for path, content in entries:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def names(contents: ArchiveContents) -> list[str]:
    return [file.name for file in contents.files]


def rejected(contents: ArchiveContents) -> dict[str, str]:
    return {rejection.name: rejection.error.code for rejection in contents.rejections}


@pytest.fixture(params=["zip", "folder"])
def listed(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Entries], ArchiveContents]:
    """The same entries, read from a zip or from a folder."""

    def listed(entries: Entries) -> ArchiveContents:
        if request.param == "folder":
            return read_folder(unpacked(tmp_path, entries))
        with read_zip(packed(entries)) as contents:
            return contents

    return listed


class TestBoth:
    def test_files_come_sorted_by_class_and_name(self, listed: Callable[[Entries], ArchiveContents]) -> None:
        contents = listed(PETS)
        assert [(file.label, file.name) for file in contents.files] == [
            ("cat", "cat/1.jpg"),
            ("cat", "cat/2.jpg"),
            ("dog", "dog/1.jpg"),
        ]
        assert contents.folders == ("cat", "dog")
        assert contents.rejections == ()

    def test_an_enclosing_folder_is_entered(self, listed: Callable[[Entries], ArchiveContents]) -> None:
        contents = listed((f"pets/{path}", content) for path, content in PETS)
        assert names(contents) == ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg"]

    def test_a_file_beside_the_class_folders_is_rejected(self, listed: Callable[[Entries], ArchiveContents]) -> None:
        contents = listed((*PETS, ("stray.jpg", b"s")))
        assert len(contents.files) == 3
        assert rejected(contents) == {"stray.jpg": "archive.bad_layout"}
        assert contents.rejections[0].label is None

    def test_a_folder_inside_a_class_folder_is_rejected(self, listed: Callable[[Entries], ArchiveContents]) -> None:
        contents = listed((*PETS, ("dog/puppy/9.jpg", b"p")))
        assert len(contents.files) == 3
        assert rejected(contents) == {"dog/puppy/9.jpg": "archive.bad_layout"}
        assert contents.rejections[0].label == "dog"

    def test_files_that_systems_leave_behind_are_skipped(self, listed: Callable[[Entries], ArchiveContents]) -> None:
        left_behind = ("__MACOSX/cat/._1.jpg", "cat/.DS_Store", ".git/config", "dog/Thumbs.db", "dog/desktop.ini")
        contents = listed((*PETS, *((path, b"x") for path in left_behind)))
        assert len(contents.files) == 3
        assert contents.folders == ("cat", "dog")
        assert contents.rejections == ()

    def test_a_class_folder_without_files_is_listed(self, listed: Callable[[Entries], ArchiveContents]) -> None:
        contents = listed((*PETS, ("bird/.DS_Store", b"x")))
        assert contents.folders == ("bird", "cat", "dog")


class TestZip:
    def test_contents_are_those_of_the_entries(self) -> None:
        with read_zip(packed(PETS)) as contents:
            assert [file.read() for file in contents.files] == [b"c1", b"c2", b"d1"]
            assert contents.files[0].read() == b"c1"

    def test_a_path_works_like_an_open_file(self, tmp_path: Path) -> None:
        path = tmp_path / "pets.zip"
        path.write_bytes(packed(PETS).getvalue())
        with open_images(path) as contents:
            assert [file.read() for file in contents.files] == [b"c1", b"c2", b"d1"]

    def test_an_empty_class_folder_is_listed(self) -> None:
        with read_zip(packed((*PETS, ("bird/", b"")))) as contents:
            assert contents.folders == ("bird", "cat", "dog")

    @pytest.mark.parametrize(
        "path",
        [
            "../out.jpg",
            "dog/../../out.jpg",
            "/etc/passwd",
            "..\\dog\\1.jpg",
            "dog\\..\\..\\out.jpg",
            "\\\\host\\share\\1.jpg",
            "C:\\dog\\1.jpg",
            "C:/dog/1.jpg",
            ".\\C:\\dog\\1.jpg",
            "dog//1.jpg",
            ".//etc/1.jpg",
            "dog/a\n.jpg",
        ],
    )
    def test_a_path_that_leads_elsewhere_is_rejected_and_the_rest_kept(self, path: str) -> None:
        with read_zip(packed((*PETS, (path, b"x")))) as contents:
            assert len(contents.files) == 3
            assert list(rejected(contents).values()) == ["archive.unsafe_path"]

    def test_backslashes_are_separators_and_a_leading_dot_is_taken_off(self) -> None:
        entries = [("./cat/", b""), (".\\cat\\1.jpg", b"c1"), ("./dog/1.jpg", b"d1"), ("dog\\2.jpg", b"d2"), ("./", b"")]
        with read_zip(packed(entries)) as contents:
            assert [(file.label, file.name, file.read()) for file in contents.files] == [
                ("cat", "cat/1.jpg", b"c1"),
                ("dog", "dog/1.jpg", b"d1"),
                ("dog", "dog/2.jpg", b"d2"),
            ]
            assert contents.rejections == ()

    def test_a_path_cut_by_a_zero_byte_is_rejected(self) -> None:
        zipped = packed((*PETS, ("dog/2.jpgZ.exe", b"x"))).getvalue().replace(b"2.jpgZ.exe", b"2.jpg\0.exe")
        with read_zip(io.BytesIO(zipped)) as contents:
            assert rejected(contents) == {"dog/2.jpg\0.exe": "archive.unsafe_path"}

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
    def test_links_and_devices_are_rejected(self, kind: int) -> None:
        stream = packed(PETS)
        with zipfile.ZipFile(stream, "a") as archive:
            info = zipfile.ZipInfo("dog/link.jpg")
            info.external_attr = (kind | 0o644) << 16
            archive.writestr(info, "/etc/passwd")
        with read_zip(stream) as contents:
            assert rejected(contents) == {"dog/link.jpg": "archive.not_a_file"}
            assert len(contents.files) == 3

    def test_an_encrypted_file_refuses_the_zip_with_the_name_of_the_encryption(self) -> None:
        zipped = bytearray(packed((("cat/1.jpg", b"c"), ("dog/1.jpg", b"d"))).getvalue())
        record = zipped.rfind(b"PK\x01\x02")
        zipped[record + 8] |= 1
        with pytest.raises(UnsupportedMethodError, match="1 file with ZipCrypto encryption, such as 'dog/1.jpg'"):
            read_zip(io.BytesIO(bytes(zipped))).__enter__()

    @pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_bzip2_and_lzma_are_read(self, compression: int) -> None:
        with read_zip(packed(PETS, compression)) as contents:
            assert [file.read() for file in contents.files] == [b"c1", b"c2", b"d1"]

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_a_path_that_comes_twice_counts_once(self) -> None:
        with read_zip(packed((*PETS, ("dog/1.jpg", b"other")))) as contents:
            assert contents.files[-1].read() == b"d1"
            assert rejected(contents) == {"dog/1.jpg": "archive.bad_layout"}

    def test_names_in_utf8_without_the_flag_are_read_as_utf8(self) -> None:
        zipped = packed((("K@@ten/1.jpg", b"x"), ("dog/1.jpg", b"d"))).getvalue().replace(b"K@@ten", "Käten".encode())
        with read_zip(io.BytesIO(zipped)) as contents:
            assert contents.folders == ("Käten", "dog")

    @pytest.mark.parametrize("encoding", ["cp437", "cp1252", "cp850"])
    def test_a_folder_name_in_an_unknown_code_page_refuses_the_zip(self, encoding: str) -> None:
        zipped = packed((("K@ten/1.jpg", b"x"), *PETS)).getvalue().replace(b"K@ten", "Käten".encode(encoding))
        with pytest.raises(UnknownEncodingError, match="1 of 3 folders, such as 'K\ufffdten'"):
            read_zip(io.BytesIO(zipped)).__enter__()

    def test_a_file_name_in_an_unknown_code_page_is_kept_because_it_is_no_label(self) -> None:
        zipped = packed((("dog/@@@@.jpg", b"x"), *PETS)).getvalue().replace(b"@@@@", "猫狗".encode("gbk"))
        with read_zip(io.BytesIO(zipped)) as contents:
            assert names(contents) == ["cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/\ufffd\ufffd\ufffd\ufffd.jpg"]

    def test_an_image_over_the_limit_is_rejected_by_its_declared_size(self) -> None:
        with read_zip(
            packed((*PETS, ("dog/big.jpg", os.urandom(200)))), replace(DEFAULT_LIMITS, max_image_bytes=100)
        ) as contents:
            assert rejected(contents) == {"dog/big.jpg": "image.too_many_bytes"}
            assert len(contents.files) == 3

    def test_an_archive_inside_is_refused_when_read(self) -> None:
        with read_zip(packed((*PETS, ("dog/more.jpg", packed(PETS).getvalue())))) as contents:
            with pytest.raises(ArchiveLayoutError, match="an archive itself"):
                contents.files[-1].read()
            assert contents.files[0].read() == b"c1"

    def test_a_damaged_entry_is_refused_when_read(self) -> None:
        zipped = packed(PETS, zipfile.ZIP_STORED).getvalue().replace(b"c1", b"XX")
        with read_zip(io.BytesIO(zipped)) as contents:
            with pytest.raises(NotAZipError, match=r"cat/1\.jpg"):
                contents.files[0].read()
            assert contents.files[1].read() == b"c2"

    def test_the_stream_of_the_caller_stays_open(self) -> None:
        stream = packed(PETS)
        with read_zip(stream):
            pass
        assert not stream.closed

    @pytest.mark.parametrize("garbage", [b"", b"no zip", b"PK\x03\x04" + b"\0" * 100, b"PK\x05\x06" + b"\xff" * 18])
    def test_a_file_that_is_not_a_zip_is_refused(self, garbage: bytes) -> None:
        with pytest.raises(ArchiveError), read_zip(io.BytesIO(garbage)):
            pass

    def test_half_a_zip_is_refused(self) -> None:
        zipped = packed(PETS).getvalue()
        with pytest.raises(NotAZipError), read_zip(io.BytesIO(zipped[: len(zipped) // 2])):
            pass

    def test_an_empty_zip_has_no_classes(self) -> None:
        with read_zip(packed(())) as contents:
            assert contents == ArchiveContents((), (), ())


class TestBombs:
    def test_too_tight_a_ratio(self) -> None:
        with pytest.raises(ArchiveTooLargeError, match="200 to 1"), read_zip(packed((("dog/1.bmp", bytes(3 * 2**20)),))):
            pass

    def test_too_many_entries(self) -> None:
        few = replace(DEFAULT_LIMITS, max_archive_entries=2)
        with pytest.raises(ArchiveTooLargeError, match="at most 2 entries"), read_zip(packed(PETS), few):
            pass

    def test_an_entry_count_that_lies_is_seen_through(self) -> None:
        zipped = bytearray(packed(PETS).getvalue())
        end = zipped.rfind(b"PK\x05\x06")
        zipped[end + 8 : end + 12] = b"\x01\0\x01\0"
        few = replace(DEFAULT_LIMITS, max_archive_entries=2)
        with pytest.raises(ArchiveTooLargeError, match="3 entries"), read_zip(io.BytesIO(bytes(zipped)), few):
            pass

    def test_a_huge_directory_is_refused_before_it_is_loaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        zipped = packed((f"dog/{number:0200d}.jpg", b"") for number in range(400))
        monkeypatch.setattr("zipfile.ZipFile.__init__", lambda *_: pytest.fail("loaded"))
        with pytest.raises(ArchiveTooLargeError), read_zip(zipped, replace(DEFAULT_LIMITS, max_archive_entries=100)):
            pass

    def test_too_many_bytes_as_sent(self) -> None:
        with pytest.raises(ArchiveTooLargeError), read_zip(packed(PETS), replace(DEFAULT_LIMITS, max_archive_bytes=100)):
            pass

    def test_too_many_bytes_declared(self) -> None:
        with (
            pytest.raises(ArchiveTooLargeError, match="unpacked"),
            read_zip(packed(PETS), replace(DEFAULT_LIMITS, max_unpacked_bytes=5)),
        ):
            pass

    def test_a_declared_size_that_lies_does_not_unpack_more(self) -> None:
        zipped = (
            packed((("dog/1.bmp", bytes(50_000)),))
            .getvalue()
            .replace((50_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
        )
        with read_zip(io.BytesIO(zipped)) as contents, pytest.raises(NotAZipError):
            contents.files[0].read()

    def test_what_really_comes_out_is_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vtt_core.ingest.archives.check_declared", lambda *_: None)
        entries = [(f"dog/{number}.jpg", os.urandom(1000)) for number in range(5)]
        with read_zip(packed(entries), replace(DEFAULT_LIMITS, max_unpacked_bytes=3500)) as contents:
            for file in contents.files[:3]:
                assert len(file.read()) == 1000
                assert len(file.read()) == 1000
            with pytest.raises(ArchiveTooLargeError, match="4000 bytes"):
                contents.files[3].read()

    def test_the_ratio_of_what_comes_out_is_checked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vtt_core.ingest.archives.check_declared", lambda *_: None)
        with (
            read_zip(packed((("dog/1.bmp", bytes(9 * 2**20)),))) as contents,
            pytest.raises(ArchiveTooLargeError, match="200 to 1"),
        ):
            contents.files[0].read()


class TestFolder:
    def test_contents_are_those_of_the_files(self, tmp_path: Path) -> None:
        with open_images(unpacked(tmp_path, PETS)) as contents:
            assert [file.read() for file in contents.files] == [b"c1", b"c2", b"d1"]

    def test_links_are_never_followed(self, tmp_path: Path) -> None:
        secret = unpacked(tmp_path / "secret", (("inner/1.jpg", b"secret"),))
        folder = unpacked(tmp_path / "pets", PETS)
        (folder / "dog" / "link.jpg").symlink_to(secret / "inner" / "1.jpg")
        (folder / "bird").symlink_to(secret / "inner")
        contents = read_folder(folder)
        assert len(contents.files) == 3
        assert rejected(contents) == {"bird": "archive.not_a_file", "dog/link.jpg": "archive.not_a_file"}
        assert contents.folders == ("bird", "cat", "dog")
        assert "'bird', a link to another folder" in contents.rejections[0].error.got

    def test_a_file_that_became_a_link_is_not_followed(self, tmp_path: Path) -> None:
        folder = unpacked(tmp_path / "pets", PETS)
        contents = read_folder(folder)
        (folder / "cat" / "1.jpg").unlink()
        (folder / "cat" / "1.jpg").symlink_to("/etc/passwd")
        with pytest.raises(ArchiveError, match=r"cat/1\.jpg"):
            contents.files[0].read()

    def test_an_archive_inside_is_refused_when_read(self, tmp_path: Path) -> None:
        contents = read_folder(unpacked(tmp_path, (*PETS, ("dog/more.jpg", packed(PETS).getvalue()))))
        with pytest.raises(ArchiveLayoutError, match="an archive itself"):
            contents.files[-1].read()

    def test_a_pipe_is_rejected(self, tmp_path: Path) -> None:
        folder = unpacked(tmp_path, PETS)
        os.mkfifo(folder / "dog" / "pipe.jpg")
        assert rejected(read_folder(folder)) == {"dog/pipe.jpg": "archive.not_a_file"}

    def test_an_empty_class_folder_is_listed(self, tmp_path: Path) -> None:
        (unpacked(tmp_path, PETS) / "bird").mkdir()
        assert read_folder(tmp_path).folders == ("bird", "cat", "dog")

    def test_a_large_file_is_rejected_and_one_that_grew_is_refused(self, tmp_path: Path) -> None:
        unpacked(tmp_path, (*PETS, ("dog/big.jpg", bytes(200))))
        contents = read_folder(tmp_path, replace(DEFAULT_LIMITS, max_image_bytes=100))
        assert rejected(contents) == {"dog/big.jpg": "image.too_many_bytes"}
        (tmp_path / "cat" / "1.jpg").write_bytes(bytes(300))
        with pytest.raises(ImageTooManyBytesError):
            contents.files[0].read()

    def test_too_many_files_or_bytes_are_refused(self, tmp_path: Path) -> None:
        unpacked(tmp_path, PETS)
        with pytest.raises(ArchiveTooLargeError):
            read_folder(tmp_path, replace(DEFAULT_LIMITS, max_archive_entries=4))
        with pytest.raises(ArchiveTooLargeError):
            read_folder(tmp_path, replace(DEFAULT_LIMITS, max_unpacked_bytes=5))

    def test_a_folder_name_that_is_no_text_refuses_the_folder_in_printable_words(self, tmp_path: Path) -> None:
        unpacked(tmp_path, PETS)
        odd = os.fsencode(tmp_path) + b"/d\xe4chs"
        os.mkdir(odd)
        with open(odd + b"/1.jpg", "wb") as file:
            file.write(b"x")
        with pytest.raises(UnknownEncodingError, match="'d\ufffdchs'"):
            read_folder(tmp_path)

    def test_names_that_other_systems_read_as_paths_are_names_on_disk(self, tmp_path: Path) -> None:
        contents = read_folder(unpacked(tmp_path, (("a\\b/1.jpg", b"x"), ("c:d/2.jpg", b"y"))))
        assert contents.folders == ("a\\b", "c:d")
        assert [file.read() for file in contents.files] == [b"x", b"y"]

    def test_nothing_at_the_path_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(SourcePathError, match="Check the path"), open_images(tmp_path / "nothing"):
            pass


PATH = st.text(st.sampled_from("ab./\\:é_ "), min_size=1, max_size=12)


class TestFuzzed:
    @settings(max_examples=100, deadline=None)
    @given(paths=st.lists(PATH, min_size=1, max_size=8, unique=True))
    def test_every_entry_is_taken_rejected_or_skipped_and_no_name_leads_outside(self, paths: list[str]) -> None:
        with read_zip(packed([*PETS, *((path, b"x") for path in paths)])) as contents:
            assert len(contents.files) + len(contents.rejections) <= len(paths) + len(PETS)
            for file in contents.files:
                assert file.name.split("/")[0] == file.label
                assert file.name.count("/") == 1
                assert not {"..", ".", ""} & set(file.name.split("/"))
                assert file.label in contents.folders

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
    def test_damaged_zips_give_contents_or_an_archive_error(self, damage: list[tuple[float, int]]) -> None:
        zipped = bytearray(packed(PETS).getvalue())
        for place, value in damage:
            zipped[int(place * len(zipped))] = value
        try:
            with read_zip(io.BytesIO(bytes(zipped))) as contents:
                for file in contents.files:
                    file.read()
        except (ArchiveError, ImageTooManyBytesError):
            pass


def test_errors_of_entries_name_the_entry() -> None:
    with read_zip(packed((("../x", b""), ("y.jpg", b"")))) as contents:
        errors = {rejection.name: rejection.error for rejection in contents.rejections}
        assert isinstance(errors["../x"], UnsafePathError)
        assert all(name in error.got for name, error in errors.items())
