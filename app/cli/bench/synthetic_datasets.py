"""Write synthetic images in the layouts of the four target domains, to try out what reads them without the real data."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from app.cli.synthetic_images import PAINTERS, make_image

CLASSES = {
    "cropdisease": (
        "Apple___Apple_scab",
        "Corn_(maize)___healthy",
        "Grape___Black_rot",
        "Potato___Late_blight",
        "Tomato___healthy",
    ),
    "eurosat": ("AnnualCrop", "Forest", "Highway", "River", "SeaLake"),
    "isic": ("MEL", "NV", "BCC", "AKIEC", "BKL"),
    "chestx": ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass"),
}
"""Class of each pattern, by data set, as its files name it."""


def write_target_domains(root: Path, num_images: int, seed: int = 0) -> None:
    """Write a folder for each target domain, with the same images in all of them.

    Args:
        root: folder that gets the four.
        num_images: of each of five classes.
        seed: start of the random numbers.
    """
    made = root / "made"
    made.mkdir(parents=True)
    files: list[list[Path]] = []
    for label in PAINTERS:
        rng = random.Random(f"{seed}/{label}")
        files.append([made / f"{label}_{index}.png" for index in range(num_images)])
        for file in files[-1]:
            make_image(label, rng).save(file)
    for name, write in _WRITERS.items():
        write(root / name, files, CLASSES[name])
    shutil.rmtree(made)


def _write_cropdisease(folder: Path, files: Sequence[Sequence[Path]], classes: Sequence[str]) -> None:
    _write_class_folders(folder / "New Plant Diseases Dataset(Augmented)" / "train", files, classes)


def _write_eurosat(folder: Path, files: Sequence[Sequence[Path]], classes: Sequence[str]) -> None:
    _write_class_folders(folder / "2750", files, classes)


def _write_isic(folder: Path, files: Sequence[Sequence[Path]], classes: Sequence[str]) -> None:
    columns = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    rows = [",".join(("image", *columns))]
    for name, label in _number(folder / "ISIC2018_Task3_Training_Input", "ISIC_{:07}.png", files, classes):
        rows.append(",".join((Path(name).stem, *(f"{float(column == label)}" for column in columns))))
    table = folder / "ISIC2018_Task3_Training_GroundTruth" / "ISIC2018_Task3_Training_GroundTruth.csv"
    table.parent.mkdir()
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _write_chestx(folder: Path, files: Sequence[Sequence[Path]], classes: Sequence[str]) -> None:
    rows = ["Image Index,Finding Labels,Follow-up #,Patient ID"]
    for name, label in _number(folder / "images_001" / "images", "{:08}_000.png", files, classes):
        rows.append(f"{name},{label},0,{int(name[:8])}")
    (folder / "Data_Entry_2017_v2020.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


_WRITERS: dict[str, Callable[[Path, Sequence[Sequence[Path]], Sequence[str]], None]] = {
    "cropdisease": _write_cropdisease,
    "eurosat": _write_eurosat,
    "isic": _write_isic,
    "chestx": _write_chestx,
}


def _write_class_folders(folder: Path, files: Sequence[Sequence[Path]], classes: Sequence[str]) -> None:
    for label, of_class in zip(classes, files, strict=True):
        (folder / label).mkdir(parents=True)
        for index, file in enumerate(of_class):
            shutil.copyfile(file, folder / label / f"{label}_{index + 1}.png")


def _number(folder: Path, pattern: str, files: Sequence[Sequence[Path]], classes: Sequence[str]) -> list[tuple[str, str]]:
    """Copy all files into one folder under numbers; return the name and class of each."""
    folder.mkdir(parents=True)
    written: list[tuple[str, str]] = []
    for label, of_class in zip(classes, files, strict=True):
        for file in of_class:
            name = pattern.format(len(written) + 1)
            shutil.copyfile(file, folder / name)
            written.append((name, label))
    return written
