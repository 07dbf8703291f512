"""Paths become classes: a folder is entered, or is a class itself."""

from __future__ import annotations

import pytest

from vtt_core.contract.errors import ArchiveLayoutError, NotAZipError, UnknownEncodingError, UnsafePathError
from vtt_core.ingest.archive_contents import ArchiveContents, FoundFile, FoundFolder
from vtt_core.ingest.class_folders import folder_parts, path_parts, sort_into_classes


def arranged(*paths: str) -> ArchiveContents:
    return sort_into_classes(FoundFolder(path) if path.endswith("/") else FoundFile(path, lambda: b"") for path in paths)


def labels(contents: ArchiveContents) -> set[str]:
    return {file.label for file in contents.files}


class TestEnclosingFolders:
    def test_one_class_alone_is_not_entered(self) -> None:
        assert arranged("dog/1.jpg", "dog/2.jpg").folders == ("dog",)

    def test_one_class_in_a_folder_is_found(self) -> None:
        assert arranged("pets/dog/1.jpg").folders == ("dog",)

    def test_several_enclosing_folders_are_entered(self) -> None:
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

    def test_empty_folders_count(self) -> None:
        assert arranged("pets/", "pets/dog/", "pets/cat/", "pets/cat/1.jpg").folders == ("cat", "dog")

    def test_unsafe_paths_do_not_count(self) -> None:
        contents = arranged("../x/1.jpg", "pets/dog/1.jpg", "pets/cat/1.jpg")
        assert contents.folders == ("cat", "dog")
        assert len(contents.rejections) == 1


def test_a_problem_known_before_is_kept_with_its_class() -> None:
    problem = NotAZipError(expected="a", got="b", remedy="c")
    contents = sort_into_classes([FoundFile("dog/1.jpg", lambda: b"", problem)])
    assert contents.rejections[0].label == "dog"
    assert contents.rejections[0].error is problem


@pytest.mark.parametrize("path", ["", "/", "/a", "a//b", "a/../b", "a\\b", "c:x", "a\x7f"])
def test_a_path_that_could_lead_elsewhere_is_unsafe(path: str) -> None:
    with pytest.raises(UnsafePathError):
        path_parts(path)


def test_a_path_of_very_many_folders_is_rejected_alone_and_costs_no_more_than_its_length() -> None:
    contents = arranged("a/" * 30_000 + "deep.png", "a/" * 20 + "less.png", "dog/1.jpg", "cat/1.jpg")
    assert labels(contents) == {"cat", "dog"}
    assert contents.folders == ("cat", "dog")
    assert [rejection.error.code for rejection in contents.rejections] == ["archive.bad_layout"] * 2
    assert all(len(str(rejection.error)) < 500 for rejection in contents.rejections)


class TestSplits:
    def test_the_classes_come_from_train_and_the_query_files_from_val(self) -> None:
        contents = arranged("train/dog/1.jpg", "train/cat/1.jpg", "val/dog/2.jpg", "val/cat/2.jpg", "test/dog/3.jpg")
        assert [file.name for file in contents.files] == ["cat/1.jpg", "dog/1.jpg"]
        assert [(file.label, file.name) for file in contents.query_files] == [
            ("cat", "val/cat/2.jpg"),
            ("dog", "val/dog/2.jpg"),
        ]
        assert contents.folders == ("cat", "dog")
        assert contents.rejections == ()
        assert contents.split is not None
        assert (contents.split.num_train, contents.split.num_query, contents.split.num_unused) == (2, 2, 1)

    @pytest.mark.parametrize("other", ["val", "valid", "Validation", "test"])
    def test_other_names_and_an_enclosing_folder_make_no_difference(self, other: str) -> None:
        contents = arranged("set/Train/dog/1.jpg", "set/Train/cat/1.jpg", f"set/{other}/dog/2.jpg", "set/README.md")
        assert [file.label for file in contents.files] == ["cat", "dog"]
        assert [file.name for file in contents.query_files] == [f"{other}/dog/2.jpg"]
        assert [rejection.name for rejection in contents.rejections] == ["README.md"]

    def test_images_without_a_class_in_the_test_folder_are_not_used(self) -> None:
        contents = arranged("train/dog/1.jpg", "train/cat/1.jpg", "test/2.jpg", "test/3.jpg")
        assert [file.label for file in contents.files] == ["cat", "dog"]
        assert contents.query_files == ()
        assert contents.split is not None
        assert contents.split.folders.unused == ("test",)
        assert contents.split.num_unused == 2

    def test_a_class_that_only_val_has_is_one_error_that_names_it(self) -> None:
        with pytest.raises(ArchiveLayoutError, match=r"'wolf' in 'val' only; 'train' has 'cat', 'dog'"):
            arranged("train/dog/1.jpg", "train/cat/1.jpg", "val/wolf/2.jpg", "val/cat/2.jpg")

    def test_splits_without_one_to_learn_from_are_one_error(self) -> None:
        with pytest.raises(ArchiveLayoutError, match="the folders 'test', 'val'"):
            arranged("val/dog/1.jpg", "val/cat/1.jpg", "test/dog/1.jpg")

    def test_classes_called_train_and_test_stay_classes(self) -> None:
        assert labels(arranged("train/1.jpg", "test/2.jpg")) == {"train", "test"}

    def test_a_class_called_train_beside_others_stays_a_class(self) -> None:
        contents = arranged("train/1.jpg", "bus/2.jpg")
        assert labels(contents) == {"train", "bus"}
        assert contents.split is None


class TestOneErrorForOneCause:
    def test_images_that_all_lie_too_deep_are_one_error_with_their_number_and_an_example(self) -> None:
        paths = [f"{site}/{animal}/{number}.jpg" for site in "abc" for animal in ("cat", "dog") for number in range(500)]
        with pytest.raises(ArchiveLayoutError, match=r"3000 deeper, such as 'a/cat/0.jpg'"):
            arranged(*paths)

    def test_a_folder_name_of_unknown_bytes_refuses_all_classes(self) -> None:
        with pytest.raises(UnknownEncodingError, match=r"1 of 2 folders, such as 'caf\ufffd' with the bytes b'caf\\xe9'"):
            arranged("caf\udce9/1.jpg", "dog/1.jpg")

    def test_the_enclosing_folder_is_no_label_so_its_bytes_do_not_matter(self) -> None:
        assert arranged("caf\udce9/cat/1.jpg", "caf\udce9/dog/1.jpg").folders == ("cat", "dog")

    def test_file_names_of_unknown_bytes_are_kept_and_shown_with_replacement_characters(self) -> None:
        contents = arranged("dog/\udce9.jpg", "dog/\udcea.jpg", "cat/1.jpg")
        assert [file.name for file in contents.files] == ["cat/1.jpg", "dog/\ufffd.jpg", "dog/\ufffd.jpg"]
        assert contents.rejections == ()


def test_on_disk_a_backslash_is_a_letter_like_others() -> None:
    assert folder_parts("a\\b/1.jpg") == ("a\\b", "1.jpg")
    with pytest.raises(ArchiveLayoutError):
        folder_parts("a\n/1.jpg")


def test_a_folder_that_cannot_be_used_is_a_class_without_images_and_is_named() -> None:
    problem = NotAZipError(expected="a", got="b", remedy="c")
    contents = sort_into_classes([FoundFolder("dog/", problem), FoundFile("cat/1.jpg", lambda: b"")])
    assert contents.folders == ("cat", "dog")
    assert [(rejection.name, rejection.error) for rejection in contents.rejections] == [("dog", problem)]
