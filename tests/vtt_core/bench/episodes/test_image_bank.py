"""The bank encodes nothing twice and uses limited memory, and a feature does not depend on other images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from vtt_core.adapter.classify import image_features, read, unprojected_features, zero_shot_prototypes
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes.image_bank import ImageBank, Memo
from vtt_core.contract.errors import SameTokensError, TruncatedImageError


@pytest.fixture
def read_names(drawn_images: list[LabelledImage], tiny_backbone: Backbone) -> tuple[ImageBank, list[str]]:
    """A bank, and the names of the images in the order in which they are read."""
    read: list[str] = []

    def noted(image: LabelledImage) -> Callable[[], bytes]:
        def reading() -> bytes:
            read.append(image.name)
            return image.read()

        return reading

    return ImageBank([replace(image, read=noted(image)) for image in drawn_images], tiny_backbone), read


def test_features_are_those_of_the_frozen_tower(bank: ImageBank, tiny_backbone: Backbone) -> None:
    images = list(bank.decoded([0, 7, 3]))
    torch.testing.assert_close(bank.features([0, 7, 3]), image_features(tiny_backbone, images))
    torch.testing.assert_close(bank.unprojected_features([0, 7, 3]), unprojected_features(tiny_backbone, images))
    torch.testing.assert_close(bank.prototypes_CD, zero_shot_prototypes(tiny_backbone, bank.labels, "a photo of a {}."))
    assert not bank.features([0]).is_inference()


def test_an_image_is_read_and_encoded_once(read_names: tuple[ImageBank, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    bank, read = read_names
    encoded = []
    tower = bank.backbone.vision_tower
    original = tower.layer_features
    monkeypatch.setattr(tower, "layer_features", lambda pixels: encoded.append(len(pixels)) or original(pixels))
    bank.features([0, 1, 2])
    bank.features([2, 1, 0, 3])
    list(bank.decoded([3, 0]))
    assert len(read) == 4
    assert sum(encoded) == 4


def test_a_feature_does_not_depend_on_what_is_asked_for_with_it(
    bank: ImageBank, drawn_images: list[LabelledImage], tiny_backbone: Backbone
) -> None:
    other = ImageBank(drawn_images, tiny_backbone)
    together = bank.features(range(20))
    assert torch.equal(torch.cat([other.features([index]) for index in range(20)]), together)


def test_classes_come_in_the_order_of_the_images_and_groups_only_where_there_are_some(
    bank: ImageBank, drawn_images: list[LabelledImage], tiny_backbone: Backbone
) -> None:
    assert bank.labels == ("annual crop", "river", "forest", "sea ice")
    assert bank.class_I == [label for label in range(4) for _ in range(6)]
    assert bank.group_I is not None
    assert bank.group_I[:3] == ["0-0", "0-0", "0-1"]
    ungrouped = [replace(image, group=None) for image in drawn_images]
    assert ImageBank(ungrouped, tiny_backbone).group_I is None


def test_the_hash_sees_contents_names_and_labels(
    bank: ImageBank, drawn_images: list[LabelledImage], tiny_backbone: Backbone
) -> None:
    def hash_with(**changes: Any) -> str:
        return ImageBank([replace(drawn_images[0], **changes), *drawn_images[1:]], tiny_backbone).sha256

    assert hash_with() == bank.sha256
    others = {hash_with(name="other"), hash_with(label="other"), hash_with(group=None), hash_with(read=drawn_images[1].read)}
    assert len(others | {bank.sha256}) == 5


def test_a_damaged_image_is_named(drawn_images: list[LabelledImage], tiny_backbone: Backbone) -> None:
    damaged = replace(drawn_images[0], read=lambda: drawn_images[0].read()[:60])
    with pytest.raises(TruncatedImageError, match="annual crop/0_0.png"):
        ImageBank([damaged], tiny_backbone).features([0])


def test_the_least_recently_used_value_makes_room() -> None:
    memo = Memo(max_bytes=100)
    memo.keep("a", "A", 40)
    memo.keep("b", "B", 40)
    assert memo.get("a") == "A"
    memo.keep("c", "C", 40)
    assert (memo.get("a"), memo.get("b"), memo.get("c")) == ("A", None, "C")
    assert memo.num_bytes == 80
    memo.keep("c", "D", 50)
    assert (memo.get("a"), memo.get("c")) == ("A", "D")
    assert memo.num_bytes == 90


def test_a_bank_without_memory_gives_the_same(
    bank: ImageBank, drawn_images: list[LabelledImage], tiny_backbone: Backbone
) -> None:
    forgetful = ImageBank(drawn_images, tiny_backbone, memory_bytes=0)
    assert torch.equal(forgetful.features([5, 1, 5]), bank.features([5, 1, 5]))


def test_classes_with_the_same_tokens_are_refused_also_if_they_are_far_apart(
    drawn_images: list[LabelledImage], tiny_backbone: Backbone
) -> None:
    labels = ["Star", *(f"class {number}" for number in range(300)), "star"]
    images = [replace(drawn_images[0], label=label) for label in labels]
    with pytest.raises(SameTokensError, match="'Star' and 'star'"):
        _ = ImageBank(images, tiny_backbone).prototypes_CD


def test_a_readout_is_that_of_the_tower_and_read_once(bank: ImageBank, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read(bank.backbone, bank.decoded([4, 2]))
    kept = bank.readouts([2, 4])
    for part, of_tower in zip(kept, expected, strict=True):
        assert torch.allclose(part, of_tower.flip(0), atol=1e-5)
    monkeypatch.setattr(bank.backbone.vision_tower, "read", None)
    assert torch.equal(bank.readouts([4]).levels_BVW, kept.levels_BVW[1:])
