"""Pack the images of some episodes with the list of the whole data set, so that a worker can compute these episodes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from functools import partial
from typing import Any, BinaryIO

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes.image_bank import MEMORY_BYTES, ImageBank

_LISTING = "listing.json"


def write_bundle(bank: ImageBank, indices: Iterable[int], stream: BinaryIO) -> None:
    """Write a zip with the list of all images and the bytes of some.

    Args:
        bank: the data set.
        indices: of the images to pack; repeats are allowed.
        stream: to write to.
    """
    images = [[image.name, image.label, image.group] for image in bank.images]
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_LISTING, json.dumps({"sha256": bank.sha256, "images": images}))
        for index in sorted(set(indices)):
            archive.writestr(str(index), bank.images[index].read())


def read_bundle(stream: BinaryIO, backbone: Backbone, memory_bytes: int = MEMORY_BYTES) -> ImageBank:
    """Return the bank of a bundle. Image and class numbers are those of the whole data set.

    Args:
        stream: written by `write_bundle`. It must stay open while the bank is used.
        backbone: frozen.
        memory_bytes: of decoded images and features together.
    """
    archive = zipfile.ZipFile(stream)
    listing: dict[str, Any] = json.loads(archive.read(_LISTING))
    images = [
        LabelledImage(name, label, group, partial(archive.read, str(index)))
        for index, (name, label, group) in enumerate(listing["images"])
    ]
    return ImageBank(images, backbone, memory_bytes=memory_bytes, sha256=listing["sha256"])
