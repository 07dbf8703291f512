"""Read data sets with classes in a CSV table: ISIC 2018 task 3 and ChestX-ray14.

Source: Codella et al. 2019 with Tschandl et al. 2018 (ISIC: one column a class, the lesion of each image in
    `LesionGroupings`); Wang et al. 2017 (ChestX-ray14: columns `Image Index`, `Finding Labels`, `Patient ID`); Guo et al.
    2020, arXiv:1912.07200 (the seven classes of ChestX-ray14 and its images with one finding).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from vtt_core.bench.datasets.class_names import CLASS_NAMES
from vtt_core.bench.datasets.dataset import Dataset, has_images, list_folders, list_images, shown_contents
from vtt_core.bench.datasets.labelled_image import LabelledImage, read_file

_ISIC_IMAGES = "ISIC2018_Task3_Training_Input"
_ISIC_CLASSES = "ISIC2018_Task3_Training_GroundTruth"
_ISIC_LESIONS = "ISIC2018_Task3_Training_LesionGroupings.csv"


def read_isic(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the training images. The group is the lesion, if the file of lesions exists."""
    tables = (f"{_ISIC_CLASSES}/{_ISIC_CLASSES}.csv", f"{_ISIC_CLASSES}.csv")
    table = dataset.find(root, tables, Path.is_file)
    folder = dataset.find(root, (_ISIC_IMAGES, f"{_ISIC_IMAGES}/{_ISIC_IMAGES}", "."), has_images)
    paths = {Path(image.name).stem: image.path for image in list_images(folder)}
    lesions = _read_lesions(dataset, root)
    names = CLASS_NAMES["isic"]
    found = []
    for row in _rows(dataset, table, ("image", *names)):
        columns = [column for column in names if row[column] and float(row[column]) == 1]
        if len(columns) != 1:
            raise dataset.bad_layout(f"{len(columns)} classes for {row['image']!r} in {str(table)!r}")
        if row["image"] in paths:
            found.append(_image(names[columns[0]], paths[row["image"]], lesions.get(row["image"])))
    return _sorted(dataset, folder, found)


def read_chestx(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the images whose only finding is one of the seven classes. The group is the patient."""
    table = next(iter(sorted(root.glob("Data_Entry_2017*.csv"))), None)
    if table is None:
        raise dataset.bad_layout(shown_contents(root))
    folders = [root / "images", root / "images" / "images"]
    for folder in list_folders(root):
        if folder.name.startswith("images_"):
            folders += [Path(folder.path), Path(folder.path) / "images"]
    paths = {image.name: image.path for folder in folders for image in list_images(folder)}
    names = CLASS_NAMES["chestx"]
    found = [
        _image(names[row["Finding Labels"]], paths[row["Image Index"]], row["Patient ID"])
        for row in _rows(dataset, table, ("Image Index", "Finding Labels", "Patient ID"))
        if row["Finding Labels"] in names and row["Image Index"] in paths
    ]
    return _sorted(dataset, root, found)


def _read_lesions(dataset: Dataset, root: Path) -> dict[str, str]:
    for path in (root / _ISIC_LESIONS, root / _ISIC_CLASSES / _ISIC_LESIONS):
        if path.is_file():
            return {row["image"]: row["lesion_id"] for row in _rows(dataset, path, ("image", "lesion_id"))}
    return {}


def _rows(dataset: Dataset, table: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise dataset.bad_layout(f"no column {', '.join(map(repr, missing))} in {str(table)!r}")
        yield from reader


def _image(label: str, path: str, group: str | None) -> LabelledImage:
    return LabelledImage(f"{label}/{Path(path).name}", label, group, partial(read_file, path))


def _sorted(dataset: Dataset, folder: Path, found: list[LabelledImage]) -> list[LabelledImage]:
    if not found:
        raise dataset.bad_layout(f"no image of the table, but {shown_contents(folder)}")
    return sorted(found, key=lambda image: image.name)
