"""Read Oxford 102 Flowers: numbered images, and a MATLAB file with the class number of each.

Source: Nilsback and Zisserman 2008; `jpg/image_NNNNN.jpg`, the matrix `labels` of `imagelabels.mat` counts classes from 1.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from vtt_core.bench.datasets.class_names import CLASS_NAMES
from vtt_core.bench.datasets.dataset import Dataset, has_images, list_images
from vtt_core.bench.datasets.labelled_image import LabelledImage, read_file
from vtt_core.contract.errors import MissingPackageError
from vtt_core.contract.extras import install_extra

_IMAGE = re.compile(r"image_(\d{5})\.jpg")


def read_flowers(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the images of all splits."""
    table = dataset.find(root, ("imagelabels.mat", "flowers-102/imagelabels.mat"), Path.is_file)
    folder = dataset.find(root, ("jpg", "flowers-102/jpg", "102flowers/jpg"), has_images)
    numbers = _read_labels(dataset, table)
    found = []
    for image in list_images(folder):
        match = _IMAGE.fullmatch(image.name)
        if match is None or not 1 <= int(match[1]) <= len(numbers):
            raise dataset.bad_layout(f"{image.name!r} beside {len(numbers)} labels")
        label = CLASS_NAMES["flowers"].get(str(numbers[int(match[1]) - 1]))
        if label is None:
            raise dataset.bad_layout(f"class {numbers[int(match[1]) - 1]} of {image.name!r}")
        found.append(LabelledImage(f"{label}/{image.name}", label, None, partial(read_file, image.path)))
    return sorted(found, key=lambda image: image.name)


def _read_labels(dataset: Dataset, table: Path) -> list[int]:
    try:
        from scipy.io import loadmat  # noqa: PLC0415  (an extra that only this data set needs)
    except ImportError as error:
        raise MissingPackageError(
            expected="scipy, which reads MATLAB files", got="none", remedy=install_extra("datasets")
        ) from error
    try:
        return [int(number) for number in loadmat(table)["labels"].ravel()]
    except Exception as error:  # scipy can raise almost anything for damaged files
        raise dataset.bad_layout(f"{str(table)!r} without a matrix 'labels' ({str(error)[:120]})") from error
