import json
from pathlib import Path

import pytest

from app.cli.bench.open_data import open_data
from app.cli.synthetic_images import write_folders
from app.domain.errors import NamesFileError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folders(tmp_path / "drawn", num_images=2)
    return tmp_path / "drawn"


def write_names(folder: Path, names: dict[str, str]) -> Path:
    file = folder / "names.json"
    file.write_text(json.dumps(names), encoding="utf-8")
    return file


def test_images_have_the_names_and_patients_that_were_asked_for(folder: Path, tmp_path: Path) -> None:
    names = write_names(tmp_path, {"rings": "Concentric Rings"})
    with open_data(str(folder), names, by_patient=True) as images:
        found = {image.name: (image.label, image.group) for image in images}
    assert len(found) == 10
    assert found["rings/000.png"] == ("Concentric Rings", "000.png")
    assert found["star/001.png"] == ("star", "001.png")


def test_without_options_labels_are_the_folders_and_there_are_no_groups(folder: Path) -> None:
    with open_data(str(folder), None) as images:
        assert {image.label for image in images} == {"chessboard", "polka dots", "rings", "star", "stripes"}
        assert {image.group for image in images} == {None}


def test_shards_share_the_classes_out(folder: Path) -> None:
    parts = []
    for shard in ("1/2", "2/2"):
        with open_data(str(folder), None, shard=shard) as images:
            parts.append({image.label for image in images})
    assert parts[0].isdisjoint(parts[1])
    assert len(parts[0] | parts[1]) == 5


def test_names_of_other_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    names = write_names(tmp_path, {"cats": "cat"})
    with pytest.raises(NamesFileError, match="chessboard"), open_data(str(folder), names):
        pass
