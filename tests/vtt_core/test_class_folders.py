"""Paths become classes: when a folder is stepped into, and when it is a class itself."""

from __future__ import annotations

import pytest

from vtt_core.class_folders import ArchiveContents, FoundEntry, path_parts, printable, sort_into_classes
from vtt_core.contract.errors import NotAZipError, UnsafePathError


def arranged(*paths: str) -> ArchiveContents:
    return sort_into_classes(FoundEntry(path, lambda: b"") for path in paths)


def labels(contents: ArchiveContents) -> set[str]:
    return {file.label for file in contents.files}


class TestEnclosingFolders:
    def test_one_class_alone_is_not_stepped_into(self) -> None:
        assert arranged("dog/1.jpg", "dog/2.jpg").folders == ("dog",)

    def test_one_class_in_a_folder_is_found(self) -> None:
        assert arranged("pets/dog/1.jpg").folders == ("dog",)

    def test_several_enclosing_folders_are_stepped_into(self) -> None:
        assert labels(arranged("my/pets/dog/1.jpg", "my/pets/cat/1.jpg")) == {"cat", "dog"}

    def test_a_note_inside_the_enclosing_folder_does_not_hide_the_classes(self) -> None:
        contents = arranged("pets/README.txt", "pets/dog/1.jpg", "pets/cat/1.jpg")
        assert labels(contents) == {"cat", "dog"}
        assert [rejection.name for rejection in contents.rejections] == ["README.txt"]

    def test_a_note_beside_the_enclosing_folder_does_not_hide_the_classes(self) -> None:
        contents = arranged("README.txt", "pets/dog/1.jpg", "pets/cat/1.jpg")
        assert labels(contents) == {"cat", "dog"}

    def test_a_class_with_one_folder_inside_stays_a_class(self) -> None:
        contents = arranged("dog/1.jpg", "dog/puppies/2.jpg")
        assert labels(contents) == {"dog"}
        assert [rejection.label for rejection in contents.rejections] == ["dog"]

    def test_train_and_test_folders_are_rejected_file_by_file(self) -> None:
        contents = arranged("train/dog/1.jpg", "train/cat/1.jpg", "test/dog/2.jpg", "test/cat/2.jpg")
        assert contents.files == ()
        assert len(contents.rejections) == 4

    def test_empty_folders_count(self) -> None:
        assert arranged("pets/", "pets/dog/", "pets/cat/", "pets/cat/1.jpg").folders == ("cat", "dog")

    def test_unsafe_paths_do_not_count(self) -> None:
        contents = arranged("../x/1.jpg", "pets/dog/1.jpg", "pets/cat/1.jpg")
        assert contents.folders == ("cat", "dog")
        assert len(contents.rejections) == 1


def test_a_problem_known_before_is_kept_with_its_class() -> None:
    problem = NotAZipError(expected="a", got="b", remedy="c")
    contents = sort_into_classes([FoundEntry("dog/1.jpg", lambda: b"", problem)])
    assert contents.rejections[0].label == "dog"
    assert contents.rejections[0].error is problem


@pytest.mark.parametrize("path", ["", "/", "/a", "a//b", "a/../b", "a\\b", "c:x", "a\x7f"])
def test_a_path_that_could_lead_elsewhere_is_unsafe(path: str) -> None:
    with pytest.raises(UnsafePathError):
        path_parts(path)


def test_bytes_that_are_no_text_are_escaped() -> None:
    assert printable("d\udce4chs") == "d\\udce4chs"


def test_a_path_of_very_many_folders_is_rejected_alone_and_costs_no_more_than_its_length() -> None:
    contents = arranged("a/" * 30_000 + "deep.png", "a/" * 20 + "less.png", "dog/1.jpg", "cat/1.jpg")
    assert labels(contents) == {"cat", "dog"}
    assert contents.folders == ("cat", "dog")
    assert [rejection.error.code for rejection in contents.rejections] == ["archive.bad_layout"] * 2
    assert all(len(str(rejection.error)) < 500 for rejection in contents.rejections)
