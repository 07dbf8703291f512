import json
from pathlib import Path

import pytest

from app.cli.names_file import read_names
from app.domain.errors import NamesFileError


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_flat_file_names_folders(tmp_path: Path) -> None:
    names = write(tmp_path / "n.json", {"AnnualCrop": "Annual Crop Land", "River": "River"})
    assert read_names(names, Path("x.zip"), ["AnnualCrop", "River"]) == {"AnnualCrop": "Annual Crop Land", "River": "River"}


def test_a_folder_that_the_file_does_not_name_keeps_its_own(tmp_path: Path) -> None:
    names = write(tmp_path / "n.json", {"mel": "Melanoma"})
    assert read_names(names, Path("x"), ["mel", "nv"]) == {"mel": "Melanoma", "nv": "nv"}


def test_a_nested_file_is_searched_by_the_folders_that_it_names(tmp_path: Path) -> None:
    names = write(tmp_path / "n.json", {"skin": {"mel": "Melanoma"}, "land": {"River": "A river", "Forest": "A forest"}})
    assert read_names(names, Path("renamed.zip"), ["Forest", "River"]) == {"Forest": "A forest", "River": "A river"}


def test_the_name_of_the_source_decides_between_equal_tables(tmp_path: Path) -> None:
    names = write(tmp_path / "n.json", {"a": {"x": "from a", "y": "y"}, "b": {"x": "from b", "y": "y"}})
    assert read_names(names, Path("some/b.zip"), ["x", "y"])["x"] == "from b"


def test_of_a_list_of_names_the_first_counts(tmp_path: Path) -> None:
    names = write(tmp_path / "n.json", {"n01": ["goldfish", "Carassius auratus"]})
    assert read_names(names, Path("x"), ["n01"]) == {"n01": "goldfish"}


def test_underscores_and_spaces_are_the_same_folder(tmp_path: Path) -> None:
    names = write(tmp_path / "n.json", {"Tomato__Leaf_Mold": "Leaf mold"})
    assert read_names(names, Path("x"), ["Tomato Leaf Mold"]) == {"Tomato Leaf Mold": "Leaf mold"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([1], "list"),
        ({}, "dict"),
        ({"a": {"x": "y"}, "b": "c"}, "both layouts"),
        ({"other": "name"}, "'other'"),
        ({"x": 3}, "3"),
        ({"x": "same", "y": "same"}, "both 'x' and 'y'"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_reason(tmp_path: Path, content: object, says: str) -> None:
    with pytest.raises(NamesFileError, match=says):
        read_names(write(tmp_path / "n.json", content), Path("x"), ["x", "y"])


def test_a_file_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "n.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(NamesFileError):
        read_names(tmp_path / "n.json", Path("x"), ["x"])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NamesFileError, match="none.json"):
        read_names(tmp_path / "none.json", Path("x"), ["x"])
