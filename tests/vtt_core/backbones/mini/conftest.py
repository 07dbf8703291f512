"""A zip of the format that the recipe reads: two splits of drawn images, three classes."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

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
