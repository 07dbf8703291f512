"""The model of model.json, and the weights that are bundled."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from vtt_core.backbones.mini.model import MODEL_FILE, build_mini
from vtt_core.backbones.open_clip_import import open_clip

RECORDED_COSINES = [[0.04209, -0.05036, -0.05436], [0.05315, -0.0573, -0.0162]]
"""Of two images of waves with three captions, as the bundled weights gave them when they were bundled."""


@pytest.fixture
def mini() -> Any:
    return build_mini().eval()


def test_both_towers_have_twelve_layers(mini: Any) -> None:
    assert (len(mini.visual.transformer.resblocks), len(mini.transformer.resblocks)) == (12, 12)
    assert mini.visual.image_size == (48, 48)


class TestBundledWeights:
    def test_they_fit_the_model_and_stay_finite(self, mini: Any) -> None:
        weights = load_file(MODEL_FILE.parent / "weights.safetensors")
        assert {value.dtype for value in weights.values()} == {torch.float16}
        mini.load_state_dict(weights)
        with torch.no_grad():
            image_BD = mini.encode_image(torch.randn(4, 3, 48, 48))
            text_CD = mini.encode_text(open_clip.SimpleTokenizer()(["a photo of a cat.", "x"]))
        assert bool(image_BD.isfinite().all() and text_CD.isfinite().all())

    def test_the_card_is_theirs(self) -> None:
        card = (MODEL_FILE.parent / "CARD.md").read_text(encoding="utf-8")
        content = (MODEL_FILE.parent / "weights.safetensors").read_bytes()
        assert f"{len(content):,} bytes, sha256 `{hashlib.sha256(content).hexdigest()}`" in card
        assert (MODEL_FILE.parent / "training.png").stat().st_size > 0

    def test_a_forward_pass_gives_what_was_recorded(self, mini: Any) -> None:
        mini.load_state_dict(load_file(MODEL_FILE.parent / "weights.safetensors"))
        place = torch.arange(48) / 48
        waves = torch.stack([(wave * torch.pi * (place[:, None] + place)).sin() for wave in (2, 3, 7)])
        captions = [f"a photo of a {name}." for name in ("goldfish", "school bus", "leaf")]
        with torch.no_grad():
            images_BD = functional.normalize(mini.encode_image(torch.stack((waves, -waves))), dim=-1)
            texts_CD = functional.normalize(mini.encode_text(open_clip.SimpleTokenizer()(captions)), dim=-1)
        torch.testing.assert_close(images_BD @ texts_CD.T, torch.tensor(RECORDED_COSINES), rtol=0, atol=1e-4)

    def test_they_are_at_most_25_megabytes(self) -> None:
        assert (MODEL_FILE.parent / "weights.safetensors").stat().st_size <= 25_000_000
