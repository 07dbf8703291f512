"""Cache the decoded images and features of a data set for hundreds of episodes.

Shapes: B images, I images of the data set, C its classes, L layers, V level vectors, D joint size, W tower width.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from vtt_core.adapter.classify import zero_shot_prototypes
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.class_tokens import tokenize_classes
from vtt_core.backbones.preprocess import preprocess
from vtt_core.backbones.towers import Readout
from vtt_core.bench.datasets.labelled_image import LOCAL_LIMITS, LabelledImage
from vtt_core.contract.errors import ImageError
from vtt_core.contract.limits import Limits
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.ingest.decode import decode_image

MEMORY_BYTES = 2**30
"""Most bytes that a bank keeps."""
PIXEL_BYTES = 4
"""Bytes of a pixel in a Pillow RGB image."""
MAX_HASHED_IMAGES = 1000
"""In a larger data set, only this many evenly spaced images are hashed."""
GPU_CHUNK_IMAGES = 64
"""Images that a GPU encodes at once. A CPU encodes them one by one: the rounding of a product depends on its number of rows,
and an image's feature must not depend on the other images of a request."""


class Memo:
    """A cache of the values used last, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self.num_bytes = max_bytes, 0
        self._kept: OrderedDict[Hashable, tuple[object, int]] = OrderedDict()

    def get(self, key: Hashable) -> object | None:
        """Return the value of the key, or None."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, value: object, num_bytes: int) -> None:
        """Keep a value, and drop the least recently used ones if the cache is full."""
        self.num_bytes -= self._kept.pop(key, (None, 0))[1]
        self._kept[key] = (value, num_bytes)
        self.num_bytes += num_bytes
        while self.num_bytes > self._max_bytes:
            _, (_, freed_bytes) = self._kept.popitem(last=False)
            self.num_bytes -= freed_bytes


class ImageBank:
    """All images of a data set with their features by a frozen backbone."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        backbone: Backbone,
        limits: Limits = LOCAL_LIMITS,
        memory_bytes: int = MEMORY_BYTES,
        sha256: str | None = None,
    ) -> None:
        """Number the classes in the order of the images. Nothing is read yet.

        Args:
            images: of the data set. They must stay readable.
            backbone: frozen.
            limits: of one image.
            memory_bytes: of decoded images and features together.
            sha256: of the whole data set, if not all of its images can be read.
        """
        self.images, self.backbone, self.limits = images, backbone, limits
        numbers = {label: number for number, label in enumerate(dict.fromkeys(image.label for image in images))}
        self.labels = tuple(numbers)
        self.class_I = [numbers[image.label] for image in images]
        groups = [image.group for image in images]
        self.group_I = None if all(group is None for group in groups) else [str(group) for group in groups]
        self._memo = Memo(memory_bytes)
        self._known_sha256 = sha256

    @cached_property
    def sha256(self) -> str:
        """Hash over the names, labels and groups of all images, and the contents of at most MAX_HASHED_IMAGES."""
        if self._known_sha256 is not None:
            return self._known_sha256
        digest = hashlib.sha256()
        for image in self.images:
            digest.update(f"{image.name}\n{image.label}\n{image.group}\n".encode())
        num_images = len(self.images)
        num_hashed = min(num_images, MAX_HASHED_IMAGES)
        for position in range(num_hashed):
            digest.update(hashlib.sha256(self.images[position * num_images // num_hashed].read()).digest())
        return digest.hexdigest()

    @cached_property
    def prototypes_CD(self) -> Tensor:
        """Unit text feature of every class of the data set, with the released prompt."""
        template = FinetuneRecipe().prompt_template
        tokenize_classes(self.backbone.tokenize, self.labels, template)  # refuses equal ones, even in different parts
        parts = [self.labels[start : start + GPU_CHUNK_IMAGES] for start in range(0, len(self.labels), GPU_CHUNK_IMAGES)]
        return torch.cat([zero_shot_prototypes(self.backbone, part, template) for part in parts])

    def decoded(self, indices: Iterable[int]) -> Iterator[Image.Image]:
        """Yield RGB images one by one, so that they need not all be in memory at once.

        Raises:
            ImageError: an image cannot be decoded. Its name is in the message.
        """
        return map(self._decoded, indices)

    def pixels(self, indices: Sequence[int]) -> Tensor:
        """Return images_B3HW, preprocessed and on the backbone's device."""
        pixels_B3HW = preprocess(self.decoded(indices), self.backbone.preprocessing)
        return pixels_B3HW.to(self.backbone.device, self.backbone.dtype)

    def layer_features(self, indices: Sequence[int]) -> Tensor:
        """Return vision_BLD of the frozen tower, not normalised."""
        return self._encoded("layers", indices, self.backbone.vision_tower.layer_features)

    def features(self, indices: Sequence[int]) -> Tensor:
        """Return f_BD of the frozen tower's last layer, not normalised."""
        return self.layer_features(indices)[:, -1]

    def unprojected_features(self, indices: Sequence[int]) -> Tensor:
        """Return pooled_BW of the frozen tower, before the projection into the joint space."""
        return self._encoded("unprojected", indices, self.backbone.vision_tower.unprojected_features)

    def readouts(self, indices: Sequence[int]) -> Readout:
        """Return what heads read of the frozen tower."""
        tower = self.backbone.vision_tower

        def flat_readout(images_B3HW: Tensor) -> Tensor:
            readout = tower.read(images_B3HW)
            return torch.cat((readout.levels_BVW.flatten(1), readout.joint_BD), dim=1)

        flat_BX = self._encoded("readout", indices, flat_readout)
        levels_BX, joint_BD = flat_BX.tensor_split([tower.num_level_vectors * tower.width], dim=1)
        return Readout(levels_BX.unflatten(1, (tower.num_level_vectors, tower.width)), joint_BD)

    def _decoded(self, index: int) -> Image.Image:
        kept = self._memo.get(("decoded", index))
        if isinstance(kept, Image.Image):
            return kept
        image = self.images[index]
        try:
            decoded = decode_image(image.read(), self.limits)
        except ImageError as error:
            raise type(error)(
                expected=error.expected, got=f"{error.got} in {image.name!r}", remedy="Repair the image or remove it"
            ) from error
        self._memo.keep(("decoded", index), decoded, PIXEL_BYTES * decoded.width * decoded.height)
        return decoded

    def _encoded(self, kind: str, indices: Sequence[int], features_of: Callable[[Tensor], Tensor]) -> Tensor:
        found: dict[int, Tensor] = {}
        for index in indices:
            kept = self._memo.get((kind, index))
            if isinstance(kept, Tensor):
                found[index] = kept
        missing = [index for index in dict.fromkeys(indices) if index not in found]
        chunk_images = GPU_CHUNK_IMAGES if self.backbone.device.type == "cuda" else 1
        for start in range(0, len(missing), chunk_images):
            chunk = missing[start : start + chunk_images]
            # Padded, so that a GPU always runs the same kernels.
            filled = chunk + chunk[-1:] * (chunk_images - len(chunk))
            with torch.inference_mode():
                features = features_of(self.pixels(filled))
            for index, feature in zip(chunk, features, strict=False):
                # Copied: a row would keep the whole chunk in memory. Outside inference mode, since methods train on it.
                found[index] = feature.detach().clone()
                self._memo.keep((kind, index), found[index], found[index].nbytes)
        return torch.stack([found[index] for index in indices])
