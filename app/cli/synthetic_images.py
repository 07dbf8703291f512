"""Make synthetic labelled images, to try everything out without images from elsewhere.

Each class is a pattern. Size, place, angle, colours and noise vary, so that colour does not tell the class.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

SIDE_PIXELS = 96
NOISE_STRENGTH = 18
"""Largest change of a channel by noise, out of 255."""

Colour = tuple[int, int, int]
Painter = Callable[[ImageDraw.ImageDraw, random.Random, Colour], None]


def _stripes(draw: ImageDraw.ImageDraw, rng: random.Random, ink: Colour) -> None:
    pitch = rng.randint(12, 20)
    for x in range(rng.randint(-pitch, 0), 2 * SIDE_PIXELS, pitch):
        draw.rectangle((x, 0, x + pitch // 2, 2 * SIDE_PIXELS), fill=ink)


def _chessboard(draw: ImageDraw.ImageDraw, rng: random.Random, ink: Colour) -> None:
    cell = rng.randint(12, 20)
    for row in range(2 * SIDE_PIXELS // cell + 1):
        for column in range(row % 2, 2 * SIDE_PIXELS // cell + 1, 2):
            draw.rectangle((column * cell, row * cell, (column + 1) * cell - 1, (row + 1) * cell - 1), fill=ink)


def _dots(draw: ImageDraw.ImageDraw, rng: random.Random, ink: Colour) -> None:
    pitch = rng.randint(16, 24)
    radius = pitch // 4
    for y in range(pitch // 2, 2 * SIDE_PIXELS, pitch):
        for x in range(pitch // 2, 2 * SIDE_PIXELS, pitch):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _rings(draw: ImageDraw.ImageDraw, rng: random.Random, ink: Colour) -> None:
    x, y = (SIDE_PIXELS + rng.randint(-14, 14) for _ in range(2))
    pitch = rng.randint(11, 17)
    for radius in range(pitch, 2 * SIDE_PIXELS, pitch):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=ink, width=pitch // 2)


def _star(draw: ImageDraw.ImageDraw, rng: random.Random, ink: Colour) -> None:
    x, y = (SIDE_PIXELS + rng.randint(-10, 10) for _ in range(2))
    outer = rng.randint(34, 44)
    points = [
        (x + r * math.sin(i * math.pi / 5), y - r * math.cos(i * math.pi / 5))
        for i in range(10)
        for r in (outer if i % 2 == 0 else 0.42 * outer,)
    ]
    draw.polygon(points, fill=ink)


PAINTERS: dict[str, Painter] = {
    "stripes": _stripes,
    "chessboard": _chessboard,
    "polka dots": _dots,
    "rings": _rings,
    "star": _star,
}


def make_image(label: str, rng: random.Random) -> Image.Image:
    """Return one image of a class.

    Args:
        label: one of the keys of PAINTERS.
        rng: of all that varies.
    """
    paper, ink = _colours(rng)
    canvas = Image.new("RGB", (2 * SIDE_PIXELS, 2 * SIDE_PIXELS), paper)
    PAINTERS[label](ImageDraw.Draw(canvas), rng, ink)
    turned = canvas.rotate(rng.uniform(0, 360), resample=Image.Resampling.BILINEAR)
    edge = SIDE_PIXELS // 2
    image = turned.crop((edge, edge, edge + SIDE_PIXELS, edge + SIDE_PIXELS))
    noise = bytes(rng.randrange(2 * NOISE_STRENGTH) for _ in range(SIDE_PIXELS**2))
    grain = Image.frombytes("L", image.size, noise).convert("RGB")
    return Image.eval(Image.blend(image, grain, 0.25), lambda value: min(255, int(value * 1.3)))


def _colours(rng: random.Random) -> tuple[Colour, Colour]:
    """Return two colours of clearly different brightness, in either order."""
    dark: Colour = (rng.randint(0, 90), rng.randint(0, 90), rng.randint(0, 90))
    light: Colour = (rng.randint(160, 255), rng.randint(160, 255), rng.randint(160, 255))
    return (dark, light) if rng.random() < 0.5 else (light, dark)


def write_folders(folder: Path, *, num_images: int, seed: int = 0) -> None:
    """Write a folder per class with PNG files, the same for the same seed.

    Args:
        folder: where to write; made where it is missing.
        num_images: images of each class.
        seed: start of the random numbers.
    """
    for label in PAINTERS:
        rng = random.Random(f"{seed}/{label}")
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(num_images):
            encoded = BytesIO()
            make_image(label, rng).save(encoded, format="PNG")
            (folder / label / f"{index:03}.png").write_bytes(encoded.getvalue())
