import pytest

from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes.class_shard import class_shard
from vtt_core.contract.errors import InputError

IMAGES = [LabelledImage(f"{label}/{k}.png", label, None, bytes) for label in "edcba" for k in range(2)]


def test_shards_share_no_class_and_leave_none_out() -> None:
    first, second = class_shard(IMAGES, "1/2"), class_shard(IMAGES, "2/2")
    assert {image.label for image in first} == {"a", "b"}
    assert {image.label for image in second} == {"c", "d", "e"}
    assert len(first) + len(second) == len(IMAGES)


def test_images_stay_in_their_order() -> None:
    assert [image.name for image in class_shard(IMAGES, "1/1")] == [image.name for image in IMAGES]


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1/6", "half", "1/0", "-1/2", ""])
def test_what_is_no_shard_is_refused(shard: str) -> None:
    with pytest.raises(InputError, match="a shard such as 1/2, of 5 classes"):
        class_shard(IMAGES, shard)
