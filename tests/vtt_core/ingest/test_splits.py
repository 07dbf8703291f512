"""Folders such as train and val. test_class_folders.py tests which files are taken from them."""

import pytest

from vtt_core.contract.errors import ArchiveLayoutError
from vtt_core.ingest.splits import SplitFolders, SplitNotice, check_same_classes, find_splits


def folders(*paths: str) -> set[tuple[str, ...]]:
    return {parts[: depth + 1] for path in paths for parts in [tuple(path.split("/"))] for depth in range(len(parts))}


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (("train/cat", "val/cat"), SplitFolders("train", "val", ())),
        (("training/cat", "testing/cat"), SplitFolders("training", "testing", ())),
        (("TRAIN/cat", "Valid/cat", "test"), SplitFolders("TRAIN", "Valid", ("test",))),
        (("train/cat", "test"), SplitFolders("train", "test", ())),
    ],
)
def test_splits_are_found_by_their_names(paths: tuple[str, ...], found: SplitFolders) -> None:
    assert find_splits(folders(*paths)) == found


@pytest.mark.parametrize("paths", [(), ("train", "test"), ("train/cat", "bus/cat"), ("cat", "dog"), ("cat/train", "dog/val")])
def test_other_folders_are_no_splits(paths: tuple[str, ...]) -> None:
    assert find_splits(folders(*paths)) is None


@pytest.mark.parametrize("paths", [("val/cat", "test/cat"), ("train/cat", "Train/cat")])
def test_not_exactly_one_part_to_learn_from_is_an_error(paths: tuple[str, ...]) -> None:
    with pytest.raises(ArchiveLayoutError, match="one folder 'train'"):
        find_splits(folders(*paths))


def test_a_query_folder_may_lack_classes_but_not_add_any() -> None:
    splits = SplitFolders("train", "val", ())
    check_same_classes(splits, {"cat", "dog"}, {"cat"})
    with pytest.raises(ArchiveLayoutError, match=r"'a', 'b', 'c' and 2 more in 'val' only"):
        check_same_classes(splits, {"cat"}, set("abcde"))


def test_the_sentence_says_what_measures_and_what_is_not_used() -> None:
    notice = SplitNotice(SplitFolders("train", "val", ("test",)), num_train=4, num_query=2, num_unused=1)
    assert notice.sentence(uses_query=True) == (
        "The support set was taken from 'train' (4 images). The accuracy is measured on 'val' (2 images) first. "
        "'test' was not used (1 image)."
    )
    assert notice.sentence(uses_query=False) == (
        "The support set was taken from 'train' (4 images). 'val' and 'test' were not used (3 images)."
    )
