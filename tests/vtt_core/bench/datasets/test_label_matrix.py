"""Flowers: class numbers from a MATLAB file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from vtt_core.bench.datasets.registry import DATASETS
from vtt_core.contract.errors import DatasetLayoutError, MissingPackageError

FLOWERS = DATASETS["flowers"]


@pytest.fixture
def flowers(tmp_path: Path, write_image: Callable[..., None]) -> Path:
    for number in (1, 2):
        write_image(tmp_path / "jpg" / f"image_{number:05}.jpg")
    return tmp_path


def test_the_label_of_an_image_is_found_by_its_number(flowers: Path) -> None:
    savemat(flowers / "imagelabels.mat", {"labels": np.array([[102, 1]], dtype=np.uint8)}, do_compression=True)
    images = FLOWERS.read(FLOWERS, flowers)
    assert [(image.name, image.label) for image in images] == [
        ("blackberry lily/image_00001.jpg", "blackberry lily"),
        ("pink primrose/image_00002.jpg", "pink primrose"),
    ]


@pytest.mark.parametrize(
    ("labels", "problem"), [([[1]], "'image_00002.jpg' beside 1 labels"), ([[1, 103]], "class 103 of 'image_00002.jpg'")]
)
def test_labels_that_do_not_fit_the_images_are_refused(flowers: Path, labels: list[list[int]], problem: str) -> None:
    savemat(flowers / "imagelabels.mat", {"labels": np.array(labels, dtype=np.uint8)})
    with pytest.raises(DatasetLayoutError, match=problem):
        FLOWERS.read(FLOWERS, flowers)


def test_a_file_that_is_no_matrix_is_refused(flowers: Path) -> None:
    (flowers / "imagelabels.mat").write_bytes(b"no matrix" * 50)
    with pytest.raises(DatasetLayoutError, match="without a matrix 'labels'"):
        FLOWERS.read(FLOWERS, flowers)


def test_without_scipy_the_remedy_says_what_to_install(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (flowers / "imagelabels.mat").touch()
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MissingPackageError, match=r"'\.\[datasets\]'"):
        FLOWERS.read(FLOWERS, flowers)
