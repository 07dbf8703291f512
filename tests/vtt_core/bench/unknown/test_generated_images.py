import io

import numpy as np
import pytest
from PIL import Image

from vtt_core.bench.unknown.generated_images import KINDS, generated_images
from vtt_core.heads.generated_images import PAINTERS, generated_image, images_to_teach


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_depends_on_its_kind_and_number_alone(kind: str) -> None:
    again = [image.read() for image in generated_images(kind, 6)]
    assert [image.read() for image in generated_images(kind, 6)] == again
    for number, encoded in enumerate(again):
        with Image.open(io.BytesIO(encoded)) as image:
            assert image.mode == "RGB"
            assert np.array_equal(np.asarray(image), np.asarray(generated_image("test", kind, number)))


def test_images_differ() -> None:
    encoded = [image.read() for kind in KINDS for image in generated_images(kind, 12)]
    assert len(set(encoded)) >= len(encoded) - 2, "black, grey and white may come again"


def test_every_painter_has_its_turn_and_fills_the_image() -> None:
    for kind, painters in PAINTERS.items():
        for number in range(len(painters)):
            image = generated_image("test", kind, number)
            assert image.width == image.height >= 64
            assert (len(image.getcolors(256 * 256) or [(0, 0)] * 2) == 1) == (kind == "flat" and number < 2)


def test_images_that_are_offered_were_not_used_to_teach() -> None:
    taught = {(image.size, image.tobytes()) for image in images_to_teach()}
    offered = [image.read() for kind in KINDS if kind != "flat" for image in generated_images(kind, 4)]
    for encoded in offered:
        with Image.open(io.BytesIO(encoded)) as image:
            assert (image.size, image.tobytes()) not in taught
