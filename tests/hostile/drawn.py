"""Small pictures whose bytes differ, encoded by Pillow."""

from __future__ import annotations

import io
import random
from typing import Any

from PIL import Image


def noise(mode: str = "RGB", side: tuple[int, int] = (32, 24), seed: int = 0) -> Image.Image:
    width, height = side
    return Image.frombytes("RGB", side, random.Random(seed).randbytes(3 * width * height)).convert(mode)


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def good(seed: int = 0, image_format: str = "PNG") -> bytes:
    return encode(noise(seed=seed), image_format)


def frames(image_format: str, count: int = 3, **options: Any) -> bytes:
    """A file of several pictures."""
    first, *others = (noise(seed=place) for place in range(count))
    return encode(first, image_format, save_all=True, append_images=others, **options)
