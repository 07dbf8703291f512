"""Keep some classes of a data set apart, so that what is chosen on them is measured on others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.contract.errors import InputError


def class_part(images: Sequence[LabelledImage], part: str) -> list[LabelledImage]:
    """Return the images of part K of N of the classes, whose names are taken in order.

    Args:
        images: of a data set.
        part: `K/N`, K from 1.

    Raises:
        InputError: the part is written otherwise, or no class is in it.
    """
    labels = sorted({image.label for image in images})
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", part)
    number, num_parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= num_parts <= len(labels):
        raise InputError(
            expected=f"a part of {len(labels)} classes such as 1/2",
            got=repr(part[:40]),
            remedy="Correct --part, or leave it out",
        )
    chosen = set(labels[(number - 1) * len(labels) // num_parts : number * len(labels) // num_parts])
    return [image for image in images if image.label in chosen]
