"""ISIC and ChestX-ray14: classes and groups from tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.contract.errors import DatasetLayoutError

ISIC, CHESTX = DATASETS["isic"], DATASETS["chestx"]
ISIC_HEADER = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
CHESTX_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
)


def write_isic(root: Path, write_image: Callable[..., None], rows: str) -> None:
    table = root / "ISIC2018_Task3_Training_GroundTruth" / "ISIC2018_Task3_Training_GroundTruth.csv"
    table.parent.mkdir(parents=True)
    table.write_text(ISIC_HEADER + rows)
    for name in ("ISIC_0024306", "ISIC_0024307"):
        write_image(root / "ISIC2018_Task3_Training_Input" / f"{name}.jpg")


def write_chestx(root: Path, write_image: Callable[..., None], rows: list[tuple[str, str, str]]) -> None:
    lines = [f"{image},{findings},0,{patient},57,M,PA,2682,2749,0.143,0.143,\n" for image, findings, patient in rows]
    (root / "Data_Entry_2017_v2020.csv").write_text(CHESTX_HEADER + "".join(lines))
    for index, (image, _, _) in enumerate(rows):
        write_image(root / f"images_{index + 1:03}" / "images" / image)


def test_the_class_of_a_lesion_is_its_column_and_its_group_is_the_lesion(
    tmp_path: Path, write_image: Callable[..., None]
) -> None:
    write_isic(tmp_path, write_image, "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_0024307,1,0,0,0,0,0,0\n")
    assert [image.group for image in ISIC.read(ISIC, tmp_path)] == [None, None]
    lesions = tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv"
    lesions.write_text("image,lesion_id,diagnosis_confirm_type\nISIC_0024306,HAM_1,histopathology\nISIC_0024307,HAM_2,single\n")
    assert [(image.name, image.label, image.group) for image in ISIC.read(ISIC, tmp_path)] == [
        ("Melanocytic Nevus/ISIC_0024306.jpg", "Melanocytic Nevus", "HAM_1"),
        ("Melanoma/ISIC_0024307.jpg", "Melanoma", "HAM_2"),
    ]


def test_images_and_table_may_lie_in_one_folder(tmp_path: Path, write_image: Callable[..., None]) -> None:
    (tmp_path / "ISIC2018_Task3_Training_GroundTruth.csv").write_text(f"{ISIC_HEADER}ISIC_1,0,0,0,0,0,0,1\n")
    write_image(tmp_path / "ISIC_1.jpg")
    assert [image.label for image in ISIC.read(ISIC, tmp_path)] == ["Vascular Lesion"]


def test_a_row_of_two_classes_is_refused(tmp_path: Path, write_image: Callable[..., None]) -> None:
    write_isic(tmp_path, write_image, "ISIC_0024306,1,1,0,0,0,0,0\n")
    with pytest.raises(DatasetLayoutError, match="2 classes for 'ISIC_0024306'"):
        ISIC.read(ISIC, tmp_path)


def test_another_table_is_refused(tmp_path: Path, write_image: Callable[..., None]) -> None:
    (tmp_path / "ISIC2018_Task3_Training_GroundTruth.csv").write_text("image,dx\nISIC_1,nv\n")
    write_image(tmp_path / "ISIC_1.jpg")
    with pytest.raises(DatasetLayoutError, match="no column 'MEL'"):
        ISIC.read(ISIC, tmp_path)


def test_only_images_with_one_of_the_seven_findings_are_used(tmp_path: Path, write_image: Callable[..., None]) -> None:
    rows = [
        ("00000001_000.png", "Cardiomegaly", "1"),
        ("00000001_001.png", "Cardiomegaly|Emphysema", "1"),
        ("00000002_000.png", "No Finding", "2"),
        ("00000003_000.png", "Pneumonia", "3"),
        ("00000004_000.png", "Atelectasis", "4"),
        ("00000005_000.png", "Hernia", "5"),
    ]
    write_chestx(tmp_path, write_image, rows)
    assert [(image.name, image.label, image.group) for image in CHESTX.read(CHESTX, tmp_path)] == [
        ("Atelectasis/00000004_000.png", "Atelectasis", "4"),
        ("Cardiomegaly/00000001_000.png", "Cardiomegaly", "1"),
    ]


def test_x_rays_may_be_in_one_folder_and_rows_without_an_image_are_skipped(
    tmp_path: Path, write_image: Callable[..., None]
) -> None:
    rows = "a.png,Mass,0,1,57,M,PA,1,1,0,0,\nb.png,Mass,0,1,57,M,PA,1,1,0,0,\n"
    (tmp_path / "Data_Entry_2017.csv").write_text(CHESTX_HEADER + rows)
    write_image(tmp_path / "images" / "a.png")
    assert [image.name for image in CHESTX.read(CHESTX, tmp_path)] == ["Mass/a.png"]


def test_a_table_without_any_image_is_refused(tmp_path: Path, write_image: Callable[..., None]) -> None:
    write_chestx(tmp_path, write_image, [("a.png", "No Finding", "1")])
    with pytest.raises(DatasetLayoutError, match="no image of the table"):
        CHESTX.read(CHESTX, tmp_path)
