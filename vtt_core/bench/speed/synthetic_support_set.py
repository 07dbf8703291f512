"""Make support sets for benchmarks: images that must be decoded but say nothing, or whose colour tells the class."""

from __future__ import annotations

import colorsys
import io

from PIL import Image

from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet

SIDE_PIXELS = 256


def synthetic_support_set(way: int, shot: int) -> SupportSet:
    """Return a support set as large as a real one, each image of one colour.

    Args:
        way: number of classes.
        shot: images a class.
    """

    def image(label: int, index: int) -> SupportImage:
        drawn = Image.new("RGB", (SIDE_PIXELS, SIDE_PIXELS), (label % 256, index * 16 % 256, 99))
        return SupportImage(f"{label}/{index}.jpg", _encode(drawn, "JPEG"))

    return _gather([[image(label, index) for index in range(shot)] for label in range(way)])


def learnable_support_set(way: int, shot: int) -> SupportSet:
    """Return a support set whose classes can be told apart: a hue each, on a square that shrinks from image to image.

    Args:
        way: number of classes.
        shot: images a class.
    """

    def image(label: int, index: int) -> SupportImage:
        red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(label / way, 0.9, 0.9))
        side = SIDE_PIXELS * (2 * shot - index) // (2 * shot)
        drawn = Image.new("RGB", (SIDE_PIXELS, SIDE_PIXELS), (128, 128, 128))
        drawn.paste((red, green, blue), (0, 0, side, side))
        return SupportImage(f"{label}/{index}.png", _encode(drawn, "PNG"))

    return _gather([[image(label, index) for index in range(shot)] for label in range(way)])


def _encode(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def _gather(images: list[list[SupportImage]]) -> SupportSet:
    return SupportSet(tuple(SupportClass(f"class {label}", tuple(of_one)) for label, of_one in enumerate(images)))
