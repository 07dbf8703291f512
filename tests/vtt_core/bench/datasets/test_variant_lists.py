"""FGVC-Aircraft: variants from text files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.contract.errors import DatasetLayoutError

AIRCRAFT = DATASETS["aircraft"]


def test_images_of_all_splits_come_once(tmp_path: Path, write_image: Callable[..., None]) -> None:
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    for number in ("1025794", "0056978", "9999999"):
        write_image(data / "images" / f"{number}.jpg")
    (data / "images_variant_train.txt").write_text("1025794 Boeing 707\n")
    (data / "images_variant_trainval.txt").write_text("1025794 Boeing 707\n")
    (data / "images_variant_test.txt").write_text("0056978 F/A-18\n")
    images = AIRCRAFT.read(AIRCRAFT, tmp_path)
    assert [(image.name, image.label) for image in images] == [
        ("Boeing 707/1025794.jpg", "Boeing 707"),
        ("F/A-18/0056978.jpg", "F/A-18"),
    ]


def test_lists_without_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "images_variant_train.txt").write_text("1025794 707-320\n")
    with pytest.raises(DatasetLayoutError, match="none of the 1 images"):
        AIRCRAFT.read(AIRCRAFT, tmp_path)
