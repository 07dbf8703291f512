from vtt_core.benchmark.drawn_images import draw_support_set
from vtt_core.images import decode_image


def test_every_image_can_be_decoded() -> None:
    support_set = draw_support_set(3, 2)
    assert [support_class.shot for support_class in support_set.classes] == [2, 2, 2]
    images = [image for support_class in support_set.classes for image in support_class.images]
    assert {decode_image(image.encoded).size for image in images} == {(256, 256)}
