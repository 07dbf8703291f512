"""Offer generated images as a data set of each kind; none of them was used to teach an adapter what strangers look like."""

from __future__ import annotations

from functools import partial

from vtt_core.bench.datasets.labelled_image import LabelledImage, to_png
from vtt_core.heads.generated_images import PAINTERS, generated_image

KINDS = tuple(PAINTERS)


def generated_images(kind: str, num_images: int) -> list[LabelledImage]:
    """Return images of a kind, drawn when they are read."""
    return [LabelledImage(f"{kind}/{number}.png", kind, None, partial(_encoded, kind, number)) for number in range(num_images)]


def _encoded(kind: str, number: int) -> bytes:
    return to_png(generated_image("test", kind, number))
