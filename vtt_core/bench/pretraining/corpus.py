"""Read Tiny-ImageNet zips into memory, and make the batches for training `mini`.

A zip holds `train/<wnid>/<n>.webp`, `val/<wnid>/<n>.webp` and `classes.json` (wnid -> names, the usual
one first). Any image format and side works; all images of one corpus have the same side.

Shapes: I images of the corpus, B images of a batch, C classes in a batch, T tokens, H W sides in pixels.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.contract.errors import ArchiveLayoutError

USUAL_NAME_SHARE = 0.5
"""How often a class has its usual name. Otherwise any of its names is drawn."""
SMALLEST_CROP = 0.6
"""Side of the smallest crop, as a fraction of the image's side."""


@dataclass(frozen=True)
class Corpus:
    """Decoded images with the names of their classes."""

    images_IHWC: Tensor
    """uint8, RGB."""
    class_I: Tensor
    """int64, index into names."""
    names: tuple[tuple[str, ...], ...]
    """Synonyms of each class, the usual one first."""


def read_corpus(zips: Sequence[Path], split: str, max_images_per_class: int | None = None) -> Corpus:
    """Decode one split of every zip, ordered by class and file name.

    Args:
        zips: files of the format above. Images of a class in several files are joined.
        split: "train" or "val".
        max_images_per_class: use only this many images of each class.

    Raises:
        ArchiveLayoutError: the split has no image.
    """
    encoded: dict[str, list[tuple[str, bytes]]] = {}
    names: dict[str, list[str]] = {}
    for path in zips:
        with zipfile.ZipFile(path) as archive:
            names.update(json.loads(archive.read("classes.json")))
            for entry in archive.namelist():
                parts = entry.split("/")
                if len(parts) == 3 and parts[0] == split and parts[2]:
                    encoded.setdefault(parts[1], []).append((parts[2], archive.read(entry)))
    if not encoded:
        raise ArchiveLayoutError(
            expected=f"images under {split}/<class>/",
            got=f"none in {', '.join(repr(path.name) for path in zips)}",
            remedy="Give zips of the format that vtt_core/bench/pretraining/corpus.py describes",
        )
    class_ids = sorted(encoded)
    images, classes = [], []
    for index, class_id in enumerate(class_ids):
        for _, image in sorted(encoded[class_id])[:max_images_per_class]:
            images.append(np.asarray(Image.open(io.BytesIO(image)).convert("RGB")))
            classes.append(index)
    return Corpus(
        images_IHWC=torch.from_numpy(np.stack(images)),
        class_I=torch.tensor(classes),
        names=tuple(tuple(names[class_id]) for class_id in class_ids),
    )


def epoch_batches(num_images: int, batch_size: int, generator: torch.Generator) -> Tensor:
    """Return the image indices of one pass, with a row for each batch. Each image appears at most once.

    Raises:
        ArchiveLayoutError: there are fewer images than in one batch.
    """
    num_batches = num_images // batch_size
    if num_batches == 0:
        raise ArchiveLayoutError(
            expected=f"at least one batch of {batch_size} images", got=f"{num_images} images", remedy="Lower the batch size"
        )
    order = torch.randperm(num_images, generator=generator)
    return order[: num_batches * batch_size].reshape(num_batches, batch_size)


@dataclass(frozen=True)
class Crops:
    """Crop and augmentation of each image of a batch."""

    side: int
    """Of every crop, in pixels of the image."""
    top_B: Tensor
    left_B: Tensor
    is_mirrored_B: Tensor
    is_upside_down_B: Tensor
    is_transposed_B: Tensor
    is_grey_B: Tensor

    def __getitem__(self, rows: slice) -> Crops:
        """Return the crops of some rows."""
        return self._each(lambda value: value[rows])

    def to(self, device: torch.device) -> Crops:
        """Return the crops on a device."""
        return self._each(lambda value: value.to(device))

    def turned(self, turned_share: float, grey_share: float, generator: torch.Generator) -> Crops:
        """Return the crops with some images in one of eight orientations, and some in grey.

        Args:
            turned_share: fraction of the images that get a random orientation.
            grey_share: fraction of the images that become grey.
            generator: of the CPU.
        """
        luck_4B = torch.rand(4, len(self.top_B), generator=generator)
        is_turned_B = luck_4B[0] < turned_share
        return replace(
            self,
            is_upside_down_B=is_turned_B & (luck_4B[1] < 0.5),
            is_transposed_B=is_turned_B & (luck_4B[2] < 0.5),
            is_grey_B=luck_4B[3] < grey_share,
        )

    def _each(self, change: Callable[[Tensor], Tensor]) -> Crops:
        flags = (self.is_mirrored_B, self.is_upside_down_B, self.is_transposed_B, self.is_grey_B)
        return Crops(self.side, *(change(value) for value in (self.top_B, self.left_B, *flags)))


def draw_crops(batch_size: int, full: int, generator: torch.Generator) -> Crops:
    """Draw random crops for a batch, upright and in colour, half of them mirrored.

    Args:
        batch_size: number of images.
        full: side of the images in pixels.
        generator: of the CPU, so that a seed gives the same crops on every device.
    """
    side = int(torch.randint(max(1, round(full * SMALLEST_CROP)), full + 1, (1,), generator=generator))
    corner_2B = torch.randint(0, full - side + 1, (2, batch_size), generator=generator)
    is_mirrored_B = torch.rand(batch_size, generator=generator) < 0.5
    never_B = torch.zeros(batch_size, dtype=torch.bool)
    return Crops(side, corner_2B[0], corner_2B[1], is_mirrored_B, never_B, never_B, never_B)


def cut_crops(images_BHWC: Tensor, crops: Crops, side: int) -> Tensor:
    """Crop the images, scale them to `side`, augment them and normalise them like CLIP."""
    device = images_BHWC.device
    rows = crops.top_B[:, None] + torch.arange(crops.side, device=device)
    columns = crops.left_B[:, None] + torch.arange(crops.side, device=device)
    batch = torch.arange(len(images_BHWC), device=device)[:, None, None]
    cut_BHWC = images_BHWC[batch, rows[:, :, None], columns[:, None, :]]
    pixels = cut_BHWC.permute(0, 3, 1, 2).float() / 255
    if crops.side != side:
        pixels = functional.interpolate(pixels, (side, side), mode="bilinear", antialias=True, align_corners=False)
    pixels = torch.where(crops.is_mirrored_B[:, None, None, None], pixels.flip(3), pixels)
    pixels = torch.where(crops.is_upside_down_B[:, None, None, None], pixels.flip(2), pixels)
    pixels = torch.where(crops.is_transposed_B[:, None, None, None], pixels.transpose(2, 3), pixels)
    pixels = torch.where(crops.is_grey_B[:, None, None, None], pixels.mean(dim=1, keepdim=True), pixels)
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN, device=device)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD, device=device)
    normalised: Tensor = (pixels - mean[:, None, None]) / std[:, None, None]
    return normalised


class ClassNames:
    """All names of all classes in one list, and the random choice of one for each class.

    Args:
        names: synonyms of each class, the usual one first.
    """

    def __init__(self, names: Sequence[Sequence[str]]) -> None:
        self.texts = [name for synonyms in names for name in synonyms]
        self._num_synonyms = torch.tensor([len(synonyms) for synonyms in names])
        self.usual = self._num_synonyms.cumsum(0) - self._num_synonyms
        """Index of the usual name of each class."""

    def draw(self, generator: torch.Generator) -> Tensor:
        """Return the index in `texts` of one random name for each class: half the time the usual one, otherwise any."""
        luck = torch.rand(2, len(self._num_synonyms), generator=generator)
        synonym = (luck[1] * self._num_synonyms).long()
        return self.usual + torch.where(luck[0] < USUAL_NAME_SHARE, 0, synonym)
