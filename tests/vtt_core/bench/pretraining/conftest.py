"""A zip for pretraining: two splits of synthetic images in three classes."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from torch.nn import functional

from vtt_core.bench.pretraining import pretrain
from vtt_core.bench.pretraining.recipe import PretrainRecipe

NAMES = {"n01": ["red disc", "circle"], "n02": ["green square"], "n03": ["blue bar", "stripe", "line"]}


def drawn(class_id: str, luck: random.Random) -> bytes:
    image = Image.new("RGB", (64, 64), (luck.randrange(90), luck.randrange(90), luck.randrange(90)))
    left, top = luck.randrange(4, 24), luck.randrange(4, 24)
    draw = ImageDraw.Draw(image)
    if class_id == "n01":
        draw.ellipse((left, top, left + 32, top + 32), fill=(230, 30, 30))
    elif class_id == "n02":
        draw.rectangle((left, top, left + 32, top + 32), fill=(30, 220, 40))
    else:
        draw.rectangle((0, top, 63, top + 10), fill=(30, 40, 240))
    buffer = io.BytesIO()
    image.save(buffer, "WEBP")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def tiny_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 training and 4 validation images a class."""
    path = tmp_path_factory.mktemp("corpus") / "tiny.zip"
    luck = random.Random(0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("classes.json", json.dumps(NAMES))
        for split, shot in (("train", 20), ("val", 4)):
            for class_id in NAMES:
                for number in range(shot):
                    archive.writestr(f"{split}/{class_id}/{number}.webp", drawn(class_id, luck))
    return path


@pytest.fixture
def small_towers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Towers of two narrow layers in place of mini's, so that a test can afford whole trainings."""
    shape = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
    }
    path = tmp_path / "small.json"
    path.write_text(json.dumps(shape), encoding="utf-8")
    monkeypatch.setattr("vtt_core.backbones.mini.model.MODEL_FILE", path)


@pytest.fixture
def train_mini(small_towers: None, tiny_zip: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Run the command into a folder, with few words and early growth.

    Random directions teach it: the sentence encoder is no dependency of the tests.
    """

    def directions(phrases: tuple[str, ...], joint_size: int, num_typical: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(num_typical)
        return functional.normalize(torch.randn(len(phrases), joint_size, generator=generator), dim=-1)

    def train(out: Path, *more: str) -> None:
        common = ["--data", str(tiny_zip), "--out", str(out), "--batch-size", "16", "--threads", "2", "--device", "cpu"]
        pretrain.main([*common, "--no-wordnet", "--text-steps", "3", *more])

    monkeypatch.setattr(pretrain, "teacher_features", directions)
    small = partial(
        PretrainRecipe,
        num_words=20,
        naming_steps=2,
        text_batch_size=8,
        growth=((0, 1), (2, 2)),
        warmup_steps=2,
        decay_share=0.35,
    )
    monkeypatch.setattr(pretrain, "PretrainRecipe", small)
    return train
