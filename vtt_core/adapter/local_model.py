"""Use an adapter in a program of one's own: a classifier with the methods that scikit-learn's have.

Shapes: B images, C classes, X size of what a head reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional

from vtt_core.adapter.answer import answers
from vtt_core.adapter.classify import adapter_scores, read_for
from vtt_core.adapter.files import load_adapter
from vtt_core.backbones.device import resolve_device
from vtt_core.backbones.load import load_backbone
from vtt_core.backbones.towers import Readout
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import NotAnImageError
from vtt_core.contract.serving import AnswerOptions, Prediction
from vtt_core.heads.features import head_input
from vtt_core.ingest.decode import decode_image, decode_opened

AnyImage = Image.Image | bytes | str | Path
"""A picture that was opened, an encoded file, or the path of one."""


class LocalModel:
    """An adapter with its backbone."""

    def __init__(self, folder: str | Path, *, device: str = "auto") -> None:
        """Read an adapter and load its backbone.

        Args:
            folder: that `vtt adapt` wrote.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.

        Raises:
            AdapterFormatError: the folder is no readable adapter.
            BackboneMismatchError: the backbone has other weights than the adapter was made for.
            BackboneUnavailableError: its weights are out of reach.
        """
        self._adapter = load_adapter(Path(folder))
        self._backbone = load_backbone(self._adapter.manifest.backbone_id, device=resolve_device(device))
        self._adapter.check_backbone(self._backbone)

    @property
    def classes_(self) -> list[str]:
        """The labels, in the order of the columns of `predict_proba`."""
        return list(self._adapter.manifest.labels)

    def predict(self, images: Iterable[AnyImage]) -> list[str]:
        """Return the likeliest label of each image.

        Args:
            images: opened by Pillow, as bytes, or as paths.

        Raises:
            ImageError: one of them cannot be read.
        """
        best_B = self.predict_proba(images).argmax(axis=1)
        return [self.classes_[best] for best in best_B]

    def predict_proba(self, images: Iterable[AnyImage]) -> NDArray[np.float64]:
        """Return probabilities of shape (images, classes); the argument is that of `predict`."""
        found = [[answer.probabilities[label] for label in self.classes_] for answer in self.answer(images)]
        return np.asarray(found, dtype=np.float64).reshape(len(found), len(self.classes_))

    def answer(self, images: Iterable[AnyImage], options: AnswerOptions | None = None) -> list[Prediction]:
        """Return all that is known of each image: its prediction set too, and whether it shows none of the classes.

        Args:
            images: as in `predict`.
            options: coverage and share of false rejects; None for the usual ones.
        """
        readout = self._read(images)
        if readout is None:
            return []
        phi_BX = head_input(readout).float().cpu()
        return answers(self._adapter, adapter_scores(self._adapter, readout), phi_BX, options or AnswerOptions())

    def transform(self, images: Iterable[AnyImage]) -> NDArray[np.float32]:
        """Return the unit image feature of each image, as another classifier may read it; the argument is that of `predict`."""
        readout = self._read(images)
        if readout is None:
            return np.zeros((0, self._backbone.joint_size), np.float32)
        features_BD: NDArray[np.float32] = functional.normalize(readout.joint_BD, dim=-1).float().cpu().numpy()
        return features_BD

    def _read(self, images: Iterable[AnyImage]) -> Readout | None:
        """Return what the head reads of the images, None if there are none. One at a time is in memory at its full size."""
        decoded = _decoded(images, self._adapter.manifest.bands)
        first = next(decoded, None)
        if first is None:
            return None
        with torch.inference_mode():
            return read_for(self._backbone, self._adapter, chain([first], decoded))


def _decoded(images: Iterable[AnyImage], bands: BandChoice | None) -> Iterator[Image.Image]:
    """Yield RGB images, read as the service reads them, opened ones too: files of many bands in those of the adapter."""
    if isinstance(images, Image.Image | bytes | str | Path):
        raise NotAnImageError(
            expected="a list of images", got=f"one {type(images).__name__}", remedy="Put it into a list: predict([image])"
        )
    for image in images:
        if isinstance(image, Image.Image):
            yield decode_opened(image, bands=bands)
        else:
            yield decode_image(image if isinstance(image, bytes) else _bytes_of(Path(image)), bands=bands)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotAnImageError(
            expected="a readable image file", got=f"{str(path)!r}: {error.strerror or error}", remedy="Check the path"
        ) from error
