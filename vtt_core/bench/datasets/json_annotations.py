"""Read data sets with classes in JSON like COCO's: FGVCx Fungi 2018 and MSCOCO 2017.

Source: visipedia/fgvcx_fungi_comp (`train.json`, `val.json`, file names relative to the folder); Lin et al. 2014 (MSCOCO,
    `annotations/instances_train2017.json`, boxes as left, top, width, height); google-research/meta-dataset,
    dataset_conversion/dataset_to_records.py (an example is the crop of one box, widened by 1.2).
Differs: Meta-Dataset keeps boxes of any size and of crowds. Here a box is of one object and has at least MIN_BOX_PIXELS on
    each side, since a tiny crop shows nothing. Crops are encoded losslessly, not as JPEG again.
"""

from __future__ import annotations

import io
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from vtt_core.bench.datasets.dataset import Dataset, has_images, list_folders, shown_contents
from vtt_core.bench.datasets.folder_layout import list_class_folders
from vtt_core.bench.datasets.labelled_image import LabelledImage, read_file, to_png
from vtt_core.contract.errors import DatasetFileError
from vtt_core.contract.support_set import clean_label

MIN_BOX_PIXELS = 32
"""Smallest side of a box: COCO calls an object under 32 x 32 small."""
BOX_SCALE = 1.2
"""Side of the crop over the side of the box. Source: Meta-Dataset."""
_INSTANCES = "instances_train2017.json"
_NUMBERED = re.compile(r"\d+[._ ](.+)")

Box = tuple[float, float, float, float]
"""Left, top, width, height, in pixels."""


def read_fungi(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the images of `train.json` and `val.json`, or without these files those of the class folders in `images`."""
    tables = [root / name for name in ("train.json", "val.json") if (root / name).is_file()]
    if not tables:
        top = dataset.find(root, ("images",), lambda path: any(has_images(folder.path) for folder in list_folders(path)))
        return list_class_folders(top, _fungus)
    found = []
    for table in tables:
        content = _load(dataset, table)
        names, files = _names(content), _files(content)
        for annotation in content["annotations"]:
            file = files[annotation["image_id"]]
            found.append(LabelledImage(file, names[annotation["category_id"]], None, partial(read_file, str(root / file))))
    if found and not any((root / image.name).is_file() for image in found[:100]):
        raise dataset.bad_layout(f"none of the images of {str(tables[0])!r}, but {shown_contents(root)}")
    return sorted(found, key=lambda image: (image.label, image.name))


def read_mscoco(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return one crop for each box of the training images. The JSON of 450 MB takes some seconds and 3 GB of memory."""
    table = dataset.find(root, (f"annotations/{_INSTANCES}", _INSTANCES), Path.is_file)
    folder = dataset.find(root, ("train2017", "images/train2017"), has_images)
    content = _load(dataset, table)
    names, files = _names(content), _files(content)
    found = []
    for annotation in content["annotations"]:
        left, top, width, height = annotation["bbox"]
        if annotation.get("iscrowd", 0) or min(width, height) < MIN_BOX_PIXELS:
            continue
        file, label = files[annotation["image_id"]], names[annotation["category_id"]]
        read = partial(read_crop, str(folder / file), (left, top, width, height))
        found.append(LabelledImage(f"{label}/{file}#{annotation['id']}", label, None, read))
    return sorted(found, key=lambda image: image.name)


def read_crop(path: str, box: Box) -> bytes:
    """Return the crop of a box that is enlarged by BOX_SCALE and cut at the image's edges.

    Raises:
        DatasetFileError: the image cannot be read or decoded.
    """
    encoded = read_file(path)
    left, top, width, height = box
    across, down = width * (BOX_SCALE - 1) / 2, height * (BOX_SCALE - 1) / 2
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            edges = (
                max(0, round(left - across)),
                max(0, round(top - down)),
                min(image.width, round(left + width + across)),
                min(image.height, round(top + height + down)),
            )
            return to_png(image.convert("RGB").crop(edges))
    except Exception as error:  # damaged bytes can make the decoders raise almost anything
        raise DatasetFileError(
            expected="a complete image", got=f"{path!r} ({str(error)[:120]})", remedy="Unpack the download again"
        ) from error


def _load(dataset: Dataset, table: Path) -> dict[str, Any]:
    try:
        content = json.loads(table.read_bytes())
    except ValueError as error:
        raise dataset.bad_layout(f"{str(table)!r}, which is not JSON ({error})") from error
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(content, dict) or key not in content]
    if missing:
        raise dataset.bad_layout(f"no {', '.join(map(repr, missing))} in {str(table)!r}")
    return dict(content)


def _names(content: dict[str, Any]) -> dict[int, str]:
    return {category["id"]: clean_label(category["name"]) for category in content["categories"]}


def _files(content: dict[str, Any]) -> dict[int, str]:
    return {image["id"]: image["file_name"] for image in content["images"]}


def _fungus(folder: str) -> str:
    match = _NUMBERED.fullmatch(folder)
    return clean_label(match[1] if match else folder)
