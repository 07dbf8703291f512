"""Zero-shot accuracy, on a model with known predictions."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from vtt_core.bench.pretraining.corpus import read_corpus
from vtt_core.bench.pretraining.zero_shot import count_nearest, zero_shot_accuracy


class NamesBrightestChannel(nn.Module):
    """Red is the first caption, green the second, blue the third."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = ChannelSpread()

    def encode_text(self, tokens: Tensor) -> Tensor:
        return torch.eye(3)[: len(tokens)]


class ChannelSpread(nn.Module):
    """How much each channel varies over the image."""

    image_size = (48, 48)

    def forward(self, pixels: Tensor) -> Tensor:
        return pixels.flatten(2).std(dim=2)


def test_every_image_is_counted_once_whatever_the_batches(tiny_zip: Path) -> None:
    corpus = read_corpus([tiny_zip], "val")
    assert zero_shot_accuracy(NamesBrightestChannel(), corpus, "cpu") == (12, 12)
    assert count_nearest(ChannelSpread(), corpus, torch.eye(3), batch_size=5) == 12
    assert count_nearest(ChannelSpread(), corpus, torch.eye(3).roll(1, 0), batch_size=5) == 0


def test_a_tower_in_training_goes_back_to_it(tiny_zip: Path) -> None:
    tower = ChannelSpread()
    count_nearest(tower, read_corpus([tiny_zip], "val"), torch.eye(3))
    assert tower.training
