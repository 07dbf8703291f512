"""Data sets of class folders, each in a small copy of its layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.contract.errors import DatasetLayoutError
from vtt_core.ingest.decode import decode_image

LAYOUTS = {
    "eurosat": {"2750/AnnualCrop/AnnualCrop_1.jpg": "Annual Crop Land", "2750/SeaLake/SeaLake_2.jpg": "Sea or Lake"},
    "cropdisease": {
        "New Plant Diseases Dataset(Augmented)/train/Apple___Apple_scab/a.JPG": "Apple Apple scab",
        "New Plant Diseases Dataset(Augmented)/train/Pepper,_bell___healthy/b.JPG": "Pepper, bell healthy",
    },
    "cub": {
        "CUB_200_2011/images/001.Black_footed_Albatross/x.jpg": "Black footed Albatross",
        "CUB_200_2011/images/200.Common_Yellowthroat/y.jpg": "Common Yellowthroat",
    },
    "dtd": {"dtd/images/banded/banded_0002.jpg": "banded", "dtd/images/polka-dotted/p.jpg": "polka-dotted"},
    "traffic_sign": {
        "GTSRB/Final_Training/Images/00000/00000_00000.ppm": "Speed limit (20km/h)",
        "GTSRB/Final_Training/Images/00014/00000_00000.ppm": "Stop",
    },
    "omniglot": {
        "images_background/Alphabet_of_the_Magi/character01/0709_01.png": "Alphabet of the Magi character01",
        "images_evaluation/Angelic/character01/0965_01.png": "Angelic character01",
    },
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_images_are_found_under_the_names_of_prompts(name: str, tmp_path: Path, write_image: Callable[..., None]) -> None:
    for index, path in enumerate(LAYOUTS[name]):
        write_image(tmp_path / path, (100 * index, 0, 255))
    images = DATASETS[name].read(DATASETS[name], tmp_path)
    assert [image.label for image in images] == list(LAYOUTS[name].values())
    for index, image in enumerate(images):
        red, green, blue = decode_image(image.read()).getpixel((5, 5))  # type: ignore[misc]
        assert (abs(red - 100 * index) < 9, green < 9, blue > 246) == (True, True, True)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("eurosat", "River/River_1.jpg"),
        ("eurosat", "EuroSAT_RGB/River/River_1.jpg"),
        ("cropdisease", "plantvillage dataset/color/Apple___healthy/a.JPG"),
        ("cropdisease", "Apple___healthy/a.JPG"),
        ("cub", "images/001.Black_footed_Albatross/x.jpg"),
        ("dtd", "banded/x.jpg"),
        ("traffic_sign", "00000/00000_00000.ppm"),
        ("omniglot", "python/images_background/Korean/character05/a.png"),
    ],
)
def test_a_folder_further_in_or_out_is_found_too(
    name: str, path: str, tmp_path: Path, write_image: Callable[..., None]
) -> None:
    write_image(tmp_path / path)
    assert len(DATASETS[name].read(DATASETS[name], tmp_path)) == 1


def test_folders_that_are_not_classes_are_skipped(tmp_path: Path, write_image: Callable[..., None]) -> None:
    for folder in ("River", "Holiday"):
        write_image(tmp_path / "2750" / folder / "1.jpg")
    assert [image.label for image in DATASETS["eurosat"].read(DATASETS["eurosat"], tmp_path)] == ["River"]


def test_class_folders_without_an_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "2750" / "River").mkdir(parents=True)
    with pytest.raises(DatasetLayoutError, match="'2750'"):
        DATASETS["eurosat"].read(DATASETS["eurosat"], tmp_path)


def test_alphabets_without_a_drawing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images_background" / "Korean" / "character01").mkdir(parents=True)
    with pytest.raises(DatasetLayoutError, match="without a drawing"):
        DATASETS["omniglot"].read(DATASETS["omniglot"], tmp_path)
