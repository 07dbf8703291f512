"""Read data sets with a folder for each class: EuroSAT, PlantVillage, CUB, DTD, GTSRB; Omniglot has one more level.

Source: the downloads' own layouts: Helber et al. 2019 (EuroSAT, `2750/<Class>/<Class>_N.jpg`); Hughes and Salathe 2015
    (PlantVillage, `<Crop>___<State>/`); Wah et al. 2011 (CUB-200-2011, `images/<NNN.Name>/`); Cimpoi et al. 2014 (DTD,
    `images/<texture>/`); Stallkamp et al. 2012 (GTSRB, `Final_Training/Images/<000NN>/*.ppm`); Lake et al. 2015 (Omniglot,
    `images_*/<Alphabet>/<characterNN>/`).
Differs: the regions in GTSRB's `GT-*.csv`, and the boxes and splits of CUB and DTD, are not used. Meta-Dataset does not use
    them either (google-research/meta-dataset, dataset_conversion). Omniglot's drawings are not rotated into more classes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from vtt_core.bench.datasets.class_names import CLASS_NAMES
from vtt_core.bench.datasets.dataset import Dataset, has_images, list_folders, list_images
from vtt_core.bench.datasets.labelled_image import LabelledImage, read_as_png, read_file
from vtt_core.contract.support_set import clean_label

_CUB_FOLDER = re.compile(r"\d{3}\.(.+)")
_GTSRB_FOLDER = re.compile(r"\d{5}")
_PLANT_FOLDER = re.compile(r".+___.+")

Label = Callable[[str], str | None]
"""Returns the class name of a folder, or None if it is not a class."""


def class_folders(tops: Sequence[str], label_of: Label) -> Callable[[Dataset, Path], list[LabelledImage]]:
    """Return the reader of a layout of class folders.

    Args:
        tops: places of the class folders below the user's folder. The first with a class folder is used.
        label_of: class name of a folder.
    """

    def read(dataset: Dataset, root: Path) -> list[LabelledImage]:
        top = dataset.find(root, tops, lambda path: _holds_a_class(path, label_of))
        return list_class_folders(top, label_of)

    return read


def list_class_folders(top: Path, label_of: Label) -> list[LabelledImage]:
    """Return the images of every class folder in a folder."""
    found = []
    for folder in list_folders(top):
        label = label_of(folder.name)
        if label is not None:
            found += [
                LabelledImage(f"{folder.name}/{image.name}", label, None, _reader(image.path))
                for image in list_images(folder.path)
            ]
    return found


def read_omniglot(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the drawings of both halves. A class is a character of an alphabet."""
    folder = dataset.find(root, (".", "omniglot", "omniglot-py", "python"), lambda path: bool(_alphabets(path)))
    found = []
    for half, alphabet in _alphabets(folder):
        for character in list_folders(folder / half / alphabet):
            label = clean_label(f"{alphabet} {character.name}")
            found += [
                LabelledImage(f"{alphabet}/{character.name}/{image.name}", label, None, partial(read_file, image.path))
                for image in list_images(character.path)
            ]
    if not found:
        raise dataset.bad_layout(f"alphabets without a drawing in {str(folder)!r}")
    return found


def eurosat_label(folder: str) -> str | None:
    """Return the class name of a folder such as `AnnualCrop`."""
    return CLASS_NAMES["eurosat"].get(folder)


def plant_label(folder: str) -> str | None:
    """Return the class name of a folder such as `Tomato___Late_blight`."""
    return clean_label(folder) if _PLANT_FOLDER.fullmatch(folder) else None


def cub_label(folder: str) -> str | None:
    """Return the class name of a folder such as `001.Black_footed_Albatross`."""
    match = _CUB_FOLDER.fullmatch(folder)
    return clean_label(match[1]) if match else None


def dtd_label(folder: str) -> str | None:
    """Return the class name of a folder such as `polka-dotted`: itself."""
    return CLASS_NAMES["dtd"].get(folder)


def gtsrb_label(folder: str) -> str | None:
    """Return the class name of a folder such as `00014`."""
    return CLASS_NAMES["traffic_sign"].get(str(int(folder))) if _GTSRB_FOLDER.fullmatch(folder) else None


def _alphabets(folder: Path) -> list[tuple[str, str]]:
    return [
        (half, alphabet.name)
        for half in ("images_background", "images_evaluation")
        for alphabet in list_folders(folder / half)
        if list_folders(alphabet.path)
    ]


def _holds_a_class(path: Path, label_of: Label) -> bool:
    return any(label_of(folder.name) is not None and has_images(folder.path) for folder in list_folders(path))


def _reader(path: str) -> Callable[[], bytes]:
    return partial(read_as_png if path.lower().endswith(".ppm") else read_file, path)
