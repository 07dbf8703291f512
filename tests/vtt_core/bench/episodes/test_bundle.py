"""A bundle's bank draws the same episodes from the same bytes."""

from __future__ import annotations

import io

import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.episodes.bundle import read_bundle, write_bundle
from vtt_core.bench.episodes.image_bank import ImageBank


def test_a_bundle_holds_some_images_and_the_listing_of_all(bank: ImageBank, tiny_backbone: Backbone) -> None:
    stream = io.BytesIO()
    write_bundle(bank, [7, 3, 7], stream)
    unpacked = read_bundle(stream, tiny_backbone)
    assert (unpacked.labels, unpacked.class_I, unpacked.group_I) == (bank.labels, bank.class_I, bank.group_I)
    assert unpacked.sha256 == bank.sha256
    assert unpacked.images[7].read() == bank.images[7].read()
    assert unpacked.images[7].name == bank.images[7].name
    assert torch.equal(unpacked.features([3, 7]), bank.features([3, 7]))
