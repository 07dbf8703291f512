"""A small synthetic data set on a tiny backbone, for tests of episodes."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes.episode_images import EpisodeImages
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.sampling import Protocol, draw_episodes

CLASSES = ("annual crop", "river", "forest", "sea ice")
IMAGES_PER_CLASS = 6


@pytest.fixture
def drawn_images(draw_image: Callable[..., Image.Image]) -> list[LabelledImage]:
    """Six images of each of four classes, two of each patient."""

    def image(label: int, variant: int) -> LabelledImage:
        buffer = io.BytesIO()
        draw_image(label, variant).save(buffer, "PNG")
        name = f"{CLASSES[label]}/{variant // 2}_{variant}.png"
        return LabelledImage(name, CLASSES[label], f"{label}-{variant // 2}", buffer.getvalue)

    return [image(label, variant) for label in range(len(CLASSES)) for variant in range(IMAGES_PER_CLASS)]


@pytest.fixture
def bank(drawn_images: list[LabelledImage], tiny_backbone: Backbone) -> ImageBank:
    return ImageBank(drawn_images, tiny_backbone)


@pytest.fixture
def episodes(bank: ImageBank) -> list[EpisodeImages]:
    protocol = Protocol(way=3, shot=2, num_queries=2, num_episodes=3, seed=1)
    return [
        EpisodeImages(bank, episode, number, protocol.seed)
        for number, episode in enumerate(draw_episodes(bank.class_I, protocol, bank.group_I))
    ]
