"""Draw images that belong to no class of any data set: noise, flat colours, textures, text and drawings.

Each image depends only on its purpose, kind and number. Kinds have several painters, which take turns.

Shapes: H = W side in pixels.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

SIDES = (64, 96, 160, 224)
"""Sides that images are drawn with; each has one of them."""
Painter = Callable[[np.random.Generator, int], Image.Image]
"""Draws an image of a given side."""
Colour = tuple[int, int, int]


def generated_image(purpose: str, kind: str, number: int) -> Image.Image:
    """Return an image of a kind.

    Args:
        purpose: such as `teach` or `test`; images of different purposes have nothing in common but their painters.
        kind: a key of `PAINTERS`.
        number: from 0.
    """
    source = np.random.default_rng(list(f"{purpose} {kind} {number}".encode()))
    painters = PAINTERS[kind]
    return painters[number % len(painters)](source, int(source.choice(SIDES)))


def images_to_teach(purpose: str = "teach", per_painter: int = 3) -> list[Image.Image]:
    """Return images by every painter."""
    return [
        generated_image(purpose, kind, number)
        for kind, painters in PAINTERS.items()
        for number in range(per_painter * len(painters))
    ]


def _pixels(values_HW3: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(values_HW3.astype(np.uint8))


def _colour(source: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    red, green, blue = (int(value) for value in source.integers(low, high, 3))
    return red, green, blue


def _mixed(share_HW: NDArray[np.floating], one: Colour, other: Colour) -> Image.Image:
    """Return the mixture of two colours; 1 is all of the first."""
    share_HW1 = share_HW[..., None]
    return _pixels(share_HW1 * np.array(one) + (1 - share_HW1) * np.array(other))


def _colour_noise(source: np.random.Generator, side: int) -> Image.Image:
    return _pixels(source.integers(0, 256, (side, side, 3)))


def _grey_noise(source: np.random.Generator, side: int) -> Image.Image:
    return _pixels(np.repeat(source.integers(0, 256, (side, side, 1)), 3, axis=2))


def _soft_noise(source: np.random.Generator, side: int) -> Image.Image:
    return _colour_noise(source, side).filter(ImageFilter.GaussianBlur(float(source.uniform(1, 3))))


def _sparse_noise(source: np.random.Generator, side: int) -> Image.Image:
    is_on_HW = source.random((side, side)) < source.uniform(0.05, 0.3)
    return _mixed(is_on_HW.astype(float), _colour(source), _colour(source))


def _black_grey_or_white(source: np.random.Generator, side: int) -> Image.Image:
    return Image.new("L", (side, side), int(source.choice((0, 128, 255)))).convert("RGB")


def _any_colour(source: np.random.Generator, side: int) -> Image.Image:
    return Image.new("RGB", (side, side), _colour(source))


def _gradient(source: np.random.Generator, side: int) -> Image.Image:
    ramp_HW = np.tile(np.linspace(0, 1, side), (side, 1))
    return _mixed(ramp_HW if source.random() < 0.5 else ramp_HW.T, _colour(source), _colour(source))


def _stripes(source: np.random.Generator, side: int) -> Image.Image:
    y_HW, x_HW = np.mgrid[:side, :side]
    angle, period = source.uniform(0, np.pi), source.uniform(6, 40)
    wave_HW = np.sin(2 * np.pi * (x_HW * np.cos(angle) + y_HW * np.sin(angle)) / period)
    return _mixed((wave_HW + 1) / 2, _colour(source), _colour(source))


def _checks(source: np.random.Generator, side: int) -> Image.Image:
    y_HW, x_HW = np.mgrid[:side, :side] // int(source.integers(4, 24))
    return _mixed(((x_HW + y_HW) % 2).astype(float), _colour(source), _colour(source))


def _clouds(source: np.random.Generator, side: int) -> Image.Image:
    """Draw noise whose power falls with its frequency."""
    frequency_HW = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    spectrum_HW = np.fft.fft2(source.normal(size=(side, side))) / (frequency_HW + 0.01) ** source.uniform(0.5, 1.8)
    field_HW = np.real(np.fft.ifft2(spectrum_HW))
    return _mixed((field_HW - field_HW.min()) / np.ptp(field_HW), _colour(source), _colour(source))


def _cells(source: np.random.Generator, side: int) -> Image.Image:
    """Draw the borders between the neighbourhoods of random points."""
    y_HW, x_HW = np.mgrid[:side, :side]
    points_P2 = source.uniform(0, side, (30, 2))
    distances_HWP = np.hypot(x_HW[..., None] - points_P2[:, 0], y_HW[..., None] - points_P2[:, 1])
    nearest_HW2 = np.partition(distances_HWP, 1, axis=-1)[..., :2]
    return _mixed(np.clip((nearest_HW2[..., 1] - nearest_HW2[..., 0]) / 8, 0, 1), _colour(source), _colour(source))


def _text(paper: Colour, ink: Colour, source: np.random.Generator, side: int) -> Image.Image:
    image = Image.new("RGB", (side, side), paper)
    draw, letters = ImageDraw.Draw(image), np.array(list(string.ascii_lowercase + "     "))
    for top in range(4, side - 10, 12):
        draw.text((5, top), "".join(source.choice(letters, side // 6)), fill=ink)
    return image


def _face(source: np.random.Generator, side: int) -> Image.Image:
    image, draw, at = _canvas(source, side)
    width = max(1, side // 60)
    draw.ellipse((at(0.15), at(0.1), at(0.85), at(0.9)), fill=_colour(source, 150), outline="black", width=width)
    for left in (0.32, 0.58):
        draw.ellipse((at(left), at(0.35), at(left + 0.1), at(0.45)), fill="black")
    draw.line((at(0.5), at(0.45), at(0.47), at(0.6)), fill="black", width=width)
    draw.arc((at(0.33), at(0.5), at(0.67), at(0.75)), 20, 160, fill="black", width=width)
    return image.rotate(float(source.uniform(-12, 12)), fillcolor="white")


def _house(source: np.random.Generator, side: int) -> Image.Image:
    image, draw, at = _canvas(source, side)
    draw.rectangle((at(0.2), at(0.45), at(0.8), at(0.9)), fill=_colour(source), outline="black")
    draw.polygon(((at(0.12), at(0.45)), (at(0.5), at(0.12)), (at(0.88), at(0.45))), fill=_colour(source), outline="black")
    draw.rectangle((at(0.42), at(0.62), at(0.58), at(0.9)), fill=_colour(source), outline="black")
    return image


def _shapes(source: np.random.Generator, side: int) -> Image.Image:
    image, draw, at = _canvas(source, side)
    for _ in range(int(source.integers(3, 8))):
        left, top = source.uniform(0, 0.7, 2)
        width, height = source.uniform(0.1, 0.4, 2)
        box = (at(left), at(top), at(left + width), at(top + height))
        (draw.ellipse if source.random() < 0.5 else draw.rectangle)(box, fill=_colour(source), outline="black")
    return image


def _scribble(source: np.random.Generator, side: int) -> Image.Image:
    image, draw, at = _canvas(source, side)
    points = [(at(float(x)), at(float(y))) for x, y in source.uniform(0.05, 0.95, (20, 2))]
    draw.line(points, fill=_colour(source, 0, 120), width=max(1, side // 50), joint="curve")
    return image


def _canvas(source: np.random.Generator, side: int) -> tuple[Image.Image, ImageDraw.ImageDraw, Callable[[float], float]]:
    """Return light paper, a pen, and a function from shares of the side to pixels."""
    image = Image.new("RGB", (side, side), _colour(source, 200))
    return image, ImageDraw.Draw(image), lambda share: share * side


PAINTERS: dict[str, tuple[Painter, ...]] = {
    "noise": (_colour_noise, _grey_noise, _soft_noise, _sparse_noise),
    "flat": (_black_grey_or_white, _any_colour, _gradient),
    "texture": (_stripes, _checks, _clouds, _cells),
    "text": (
        partial(_text, (255, 255, 255), (0, 0, 0)),
        partial(_text, (250, 245, 220), (40, 40, 120)),
        partial(_text, (20, 20, 30), (230, 230, 230)),
    ),
    "drawing": (_face, _house, _shapes, _scribble),
}
"""What draws each kind of image, in turns."""
KINDS = tuple(PAINTERS)
