"""Keep some classes of a data set apart, so that what is chosen on them is measured on others."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.contract.errors import InputError


def class_shard(images: Sequence[LabelledImage], shard: str) -> list[LabelledImage]:
    """Return the images of shard K of N of the classes, sorted by name.

    Args:
        images: of a data set.
        shard: `K/N`, K from 1.

    Raises:
        InputError: the shard is written otherwise, or has no class.
    """
    labels = sorted({image.label for image in images})
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", shard)
    number, num_shards = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= num_shards <= len(labels):
        raise InputError(
            expected=f"a shard such as 1/2, of {len(labels)} classes",
            got=repr(shard[:40]),
            remedy="Correct --shard, or leave it out",
        )
    chosen = set(labels[(number - 1) * len(labels) // num_shards : number * len(labels) // num_shards])
    return [image for image in images if image.label in chosen]
