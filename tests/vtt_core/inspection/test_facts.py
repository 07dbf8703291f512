import numpy as np
import pytest
from PIL import Image

from vtt_core.inspection.facts import facts_of


def photo(width: int = 80, height: int = 60, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(height // 10, width // 10, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)


def framed(colour: tuple[int, int, int]) -> Image.Image:
    canvas = Image.new("RGB", (100, 100), colour)
    canvas.paste(photo(80, 60), (10, 20))
    return canvas


def test_a_photo_has_its_size_and_no_border() -> None:
    facts = facts_of(photo(), "PNG")
    assert (facts.width, facts.height, facts.image_format) == (80, 60, "PNG")
    assert (facts.border, facts.border_brightness, facts.is_grey) == ((0, 0, 0, 0), 0, False)


@pytest.mark.parametrize(("colour", "brightness"), [((0, 0, 0), 0.0), ((255, 255, 255), 1.0)])
def test_a_frame_is_measured_on_each_side(colour: tuple[int, int, int], brightness: float) -> None:
    facts = facts_of(framed(colour), "PNG")
    assert facts.border == pytest.approx((0.2, 0.2, 0.1, 0.1), abs=0.02)
    assert facts.border_brightness == pytest.approx(brightness, abs=0.02)


def test_an_even_picture_has_no_border() -> None:
    noise = np.random.default_rng(0).integers(38, 43, size=(60, 60, 3), dtype=np.uint8)
    assert facts_of(Image.fromarray(noise), "PNG").border == (0, 0, 0, 0)
    assert facts_of(Image.new("RGB", (60, 60), (40, 40, 40)), "PNG").border == (0, 0, 0, 0)


def test_grey_is_told_from_colour() -> None:
    assert facts_of(photo().convert("L").convert("RGB"), "PNG").is_grey
    assert not facts_of(photo(), "PNG").is_grey


def test_the_parts_of_a_smaller_copy_are_the_same_and_those_of_another_photo_are_not() -> None:
    whole, small = facts_of(photo(320, 240), "PNG").thumbnail, facts_of(photo(320, 240).resize((100, 75)), "PNG").thumbnail
    other = facts_of(photo(320, 240, seed=1), "PNG").thumbnail
    assert float((whole * small).sum()) > 0.97
    assert float((whole * other).sum()) < 0.5
    assert not facts_of(Image.new("RGB", (60, 60)), "PNG").thumbnail.any()
