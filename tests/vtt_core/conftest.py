"""Tiny backbones with random weights, drawn support sets, and one short fine-tuning that many tests read."""

from __future__ import annotations

import copy
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from vtt_core.adapter.files import Adapter, adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.load import backbone_from_files
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportImage, SupportSet
from vtt_core.training.finetune import Finetune

TINY_CONFIG = Path(__file__).parents[1] / "fixtures" / "tiny_clip.json"
COLOURS = ((200, 40, 40), (40, 80, 200), (60, 180, 60), (220, 200, 60))
LABELS = ("annual crop", "river", "forest", "sea ice")


@pytest.fixture(scope="session")
def tiny_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads(TINY_CONFIG.read_text(encoding="utf-8"))
    return config


@pytest.fixture(scope="session")
def make_backbone(tiny_config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Backbone]:
    """Make a tiny backbone of any depth; `seed` decides its random weights."""

    def make(*, vision_layers: int = 3, text_layers: int = 3, seed: int = 0, **changes: Any) -> Backbone:
        config = copy.deepcopy(tiny_config) | changes
        config["vision_cfg"]["layers"], config["text_cfg"]["layers"] = vision_layers, text_layers
        file = tmp_path_factory.mktemp("backbone") / "model.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return backbone_from_files(f"tiny-{vision_layers}-{text_layers}", file, None)

    return make


@pytest.fixture(scope="session")
def tiny_backbone(make_backbone: Callable[..., Backbone]) -> Backbone:
    """Three layers in each tower."""
    return make_backbone()


@pytest.fixture(scope="session")
def uneven_backbone(make_backbone: Callable[..., Backbone]) -> Backbone:
    """Four vision layers, two text layers."""
    return make_backbone(vision_layers=4, text_layers=2)


@pytest.fixture(scope="session")
def in_float64() -> Callable[[Backbone], Backbone]:
    """Copy a backbone into double precision, where equal means equal to many digits."""

    def convert(backbone: Backbone) -> Backbone:
        clip = copy.deepcopy(backbone.clip).double()
        return Backbone(backbone.backbone_id, clip, backbone.tokenize, backbone.preprocessing)

    return convert


@pytest.fixture(scope="session")
def tiny_backbone_float64(tiny_backbone: Backbone, in_float64: Callable[[Backbone], Backbone]) -> Backbone:
    return in_float64(tiny_backbone)


@pytest.fixture(scope="session")
def draw_image() -> Callable[..., Image.Image]:
    """Draw one image of a class: shapes of the class's colour on its own ground."""

    def draw(class_index: int, variant: int = 0, size: tuple[int, int] = (48, 40)) -> Image.Image:
        source = random.Random(f"{class_index}/{variant}")
        image = Image.new("RGB", size, COLOURS[class_index])
        canvas = ImageDraw.Draw(image)
        for _ in range(6):
            x, y = source.randrange(size[0]), source.randrange(size[1])
            radius = source.randrange(2, 9)
            colour = tuple(source.randrange(256) for _ in range(3))
            canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
        return image

    return draw


@pytest.fixture(scope="session")
def make_support_set(draw_image: Callable[..., Image.Image]) -> Callable[..., SupportSet]:
    """Draw a support set of PNG files."""

    def encode(image: Image.Image) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return buffer.getvalue()

    def make(way: int = 2, shot: int = 1) -> SupportSet:
        return SupportSet(
            tuple(
                SupportClass(
                    LABELS[index],
                    tuple(SupportImage(f"{index}/{k}.png", encode(draw_image(index, k))) for k in range(shot)),
                )
                for index in range(way)
            )
        )

    return make


@pytest.fixture(scope="session")
def make_recipe() -> Callable[..., FinetuneRecipe]:
    """Make a recipe of a few fast steps, large enough to change every tensor."""

    def make(**changes: Any) -> FinetuneRecipe:
        fast = {"iterations": 4, "batch_size": 4, "rank": 4, "host_learning_rate": 1e-2, "fusion_learning_rate": 1e-2}
        return FinetuneRecipe.from_json(fast | changes)

    return make


@pytest.fixture(scope="session")
def support_set(make_support_set: Callable[..., SupportSet]) -> SupportSet:
    """Three classes, two images each."""
    return make_support_set(way=3, shot=2)


@pytest.fixture(scope="session")
def trained(tiny_backbone: Backbone, support_set: SupportSet, make_recipe: Callable[..., FinetuneRecipe]) -> Finetune:
    """A finished fine-tuning; read it, never change it."""
    finetune = Finetune(tiny_backbone, support_set, make_recipe(), seed=0)
    assert [report.step for report in finetune.steps()] == [1, 2, 3, 4]
    return finetune


@pytest.fixture(scope="session")
def adapter(trained: Finetune) -> Adapter:
    return strip(trained)


@pytest.fixture(scope="session")
def adapter_files(adapter: Adapter) -> dict[str, bytes]:
    return adapter_to_files(adapter)
