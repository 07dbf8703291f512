"""The model of model.json, and the weights that are bundled."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from vtt_core.backbones.mini.model import MODEL_FILE, build_mini
from vtt_core.backbones.open_clip_import import open_clip


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

    def test_they_are_at_most_25_megabytes(self) -> None:
        assert (MODEL_FILE.parent / "weights.safetensors").stat().st_size <= 25_000_000
