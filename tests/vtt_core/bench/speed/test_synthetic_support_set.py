from PIL import Image

from vtt_core.bench.speed.synthetic_support_set import SIDE_PIXELS, learnable_support_set, synthetic_support_set
from vtt_core.contract.support_set import SupportSet
from vtt_core.ingest.decode import decode_image


def decoded(support_set: SupportSet) -> list[list[Image.Image]]:
    return [[decode_image(image.encoded) for image in support_class.images] for support_class in support_set.classes]


def test_every_image_can_be_decoded() -> None:
    for make in (synthetic_support_set, learnable_support_set):
        images = decoded(make(3, 2))
        assert [len(of_one) for of_one in images] == [2, 2, 2]
        assert {image.size for of_one in images for image in of_one} == {(SIDE_PIXELS, SIDE_PIXELS)}


def test_learnable_classes_differ_in_hue_and_their_images_in_size() -> None:
    images = decoded(learnable_support_set(4, 3))
    corners = [[image.getpixel((0, 0)) for image in of_one] for of_one in images]
    assert all(len(set(of_one)) == 1 for of_one in corners)
    assert len({of_one[0] for of_one in corners}) == 4
    assert len({image.tobytes() for of_one in images for image in of_one}) == 12
