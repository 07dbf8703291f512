import pytest

from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes.class_part import class_part
from vtt_core.contract.errors import InputError

IMAGES = [LabelledImage(f"{label}/{k}.png", label, None, bytes) for label in "edcba" for k in range(2)]


def test_parts_share_no_class_and_leave_none_out() -> None:
    first, second = class_part(IMAGES, "1/2"), class_part(IMAGES, "2/2")
    assert {image.label for image in first} == {"a", "b"}
    assert {image.label for image in second} == {"c", "d", "e"}
    assert len(first) + len(second) == len(IMAGES)


def test_images_stay_in_their_order() -> None:
    assert [image.name for image in class_part(IMAGES, "1/1")] == [image.name for image in IMAGES]


@pytest.mark.parametrize("part", ["0/2", "3/2", "1/6", "half", "1/0", "-1/2", ""])
def test_what_is_no_part_is_refused(part: str) -> None:
    with pytest.raises(InputError, match="a part of 5 classes such as 1/2"):
        class_part(IMAGES, part)
