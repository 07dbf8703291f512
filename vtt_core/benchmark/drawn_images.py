"""Draw support sets for benchmarks, whose images must be decoded but say nothing."""

from __future__ import annotations

import io

from PIL import Image

from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet


def draw_support_set(way: int, shot: int) -> SupportSet:
    """Return a support set as large as a real one, each image of one colour.

    Args:
        way: number of classes.
        shot: images a class.
    """

    def image(label: int, index: int) -> SupportImage:
        buffer = io.BytesIO()
        Image.new("RGB", (256, 256), (label % 256, index * 16 % 256, 99)).save(buffer, "JPEG")
        return SupportImage(f"{label}/{index}.jpg", buffer.getvalue())

    classes = (SupportClass(f"class {label}", tuple(image(label, index) for index in range(shot))) for label in range(way))
    return SupportSet(tuple(classes))
