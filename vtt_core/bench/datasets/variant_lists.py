"""Read FGVC-Aircraft: text files list the variant of each image.

Source: Maji et al. 2013, arXiv:1306.5151; `data/images_variant_*.txt` has lines `<image> <variant>`, images are
    `data/images/<image>.jpg`.
Differs: images are whole, with the copyright line at the bottom. Meta-Dataset crops them to `images_box.txt`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vtt_core.bench.datasets.dataset import Dataset, list_images
from vtt_core.bench.datasets.labelled_image import LabelledImage, read_file
from vtt_core.contract.support_set import clean_label

_PATTERN = "images_variant_*.txt"


def read_aircraft(dataset: Dataset, root: Path) -> list[LabelledImage]:
    """Return the images of all splits. A class is a variant such as `707-320`."""
    data = dataset.find(root, ("fgvc-aircraft-2013b/data", "data", "."), lambda path: any(path.glob(_PATTERN)))
    variants: dict[str, str] = {}
    for table in sorted(data.glob(_PATTERN)):
        for line in table.read_text(encoding="utf-8").splitlines():
            image, _, variant = line.strip().partition(" ")
            if variant:
                variants[f"{image}.jpg"] = variant
    found = [
        LabelledImage(
            f"{variants[image.name]}/{image.name}", clean_label(variants[image.name]), None, partial(read_file, image.path)
        )
        for image in list_images(data / "images")
        if image.name in variants
    ]
    if not found:
        raise dataset.bad_layout(f"none of the {len(variants)} images that its lists name in {str(data / 'images')!r}")
    return sorted(found, key=lambda image: image.name)
