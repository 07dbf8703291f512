"""Fungi and MSCOCO: classes from JSON, and crops of boxes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from vtt_core.bench.datasets.json_annotations import MIN_BOX_PIXELS, read_crop
from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.contract.errors import DatasetFileError, DatasetLayoutError
from vtt_core.ingest.decode import decode_image

FUNGI, MSCOCO = DATASETS["fungi"], DATASETS["mscoco"]


def write_fungi(root: Path, file: str, *, table: str, image_id: int, category: int) -> None:
    content: dict[str, Any] = {
        "images": [{"id": image_id, "file_name": file}],
        "annotations": [{"id": image_id, "image_id": image_id, "category_id": category}],
        "categories": [{"id": 0, "name": "Abortiporus biennis"}, {"id": 1, "name": "Agaricus_augustus"}],
    }
    (root / table).write_text(json.dumps(content))


def write_mscoco(root: Path, annotations: list[dict[str, Any]]) -> None:
    (root / "train2017").mkdir(parents=True)
    image = Image.new("RGB", (200, 100), (0, 0, 255))
    image.paste((255, 0, 0), (50, 20, 110, 60))
    image.save(root / "train2017" / "000000000009.png")
    content = {
        "images": [{"id": 9, "file_name": "000000000009.png"}],
        "annotations": [{"id": number, "image_id": 9} | annotation for number, annotation in enumerate(annotations)],
        "categories": [{"id": 1, "name": "person"}, {"id": 13, "name": "stop sign"}],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(content))


def test_fungi_of_both_files_come_with_their_categories(tmp_path: Path, write_image: Callable[..., None]) -> None:
    for number, (table, file) in enumerate([("train.json", "images/1_Agaricus/b.JPG"), ("val.json", "images/0_Abo/a.JPG")]):
        write_image(tmp_path / file)
        write_fungi(tmp_path, file, table=table, image_id=number, category=1 - number)
    images = FUNGI.read(FUNGI, tmp_path)
    assert [image.label for image in images] == ["Abortiporus biennis", "Agaricus augustus"]
    assert decode_image(images[0].read()).size == (12, 10)


def test_fungi_without_json_are_named_by_their_folders(tmp_path: Path, write_image: Callable[..., None]) -> None:
    write_image(tmp_path / "images" / "12_Agaricus_augustus" / "a.JPG")
    assert [image.label for image in FUNGI.read(FUNGI, tmp_path)] == ["Agaricus augustus"]


def test_fungi_whose_images_lie_elsewhere_are_refused(tmp_path: Path) -> None:
    write_fungi(tmp_path, "images/x/a.JPG", table="train.json", image_id=0, category=0)
    with pytest.raises(DatasetLayoutError, match="none of the images"):
        FUNGI.read(FUNGI, tmp_path)


@pytest.mark.parametrize(
    ("content", "problem"), [("{", "not JSON"), ("[]", "no 'images'"), ('{"images": []}', "'annotations'")]
)
def test_other_json_is_refused(content: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text(content)
    with pytest.raises(DatasetLayoutError, match=problem):
        FUNGI.read(FUNGI, tmp_path)


def test_each_box_that_is_large_enough_and_of_one_object_is_an_example(tmp_path: Path) -> None:
    small = MIN_BOX_PIXELS - 1
    write_mscoco(
        tmp_path,
        [
            {"category_id": 13, "bbox": [50, 20, 60, 40], "iscrowd": 0},
            {"category_id": 1, "bbox": [0, 0, small, 90], "iscrowd": 0},
            {"category_id": 1, "bbox": [0, 0, 90, 90], "iscrowd": 1},
            {"category_id": 1, "bbox": [150, 50, 50, 50]},
        ],
    )
    images = MSCOCO.read(MSCOCO, tmp_path)
    assert [image.name for image in images] == ["person/000000000009.png#3", "stop sign/000000000009.png#0"]
    crop = decode_image(images[1].read())
    assert crop.size == (72, 48)
    assert (crop.getpixel((0, 0)), crop.getpixel((6, 4)), crop.getpixel((65, 43))) == ((0, 0, 255), (255, 0, 0), (255, 0, 0))
    assert decode_image(images[0].read()).size == (55, 55)


def test_a_damaged_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff damaged")
    with pytest.raises(DatasetFileError, match=r"a\.jpg"):
        read_crop(str(tmp_path / "a.jpg"), (0, 0, 40, 40))
