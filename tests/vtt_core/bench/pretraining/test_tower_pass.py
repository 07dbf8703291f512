"""The training passes of `mini` give the same results as open_clip's modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from vtt_core.backbones.mini.model import build_mini
from vtt_core.backbones.open_clip_import import open_clip
from vtt_core.bench.pretraining.growth import silence_blocks
from vtt_core.bench.pretraining.tower_pass import TowerPass, fast_precision

pytestmark = pytest.mark.usefixtures("small_towers")

IMAGES = TowerPass(num_heads=2, is_causal=False)
ALL_PATCHES = torch.arange(16).expand(3, -1)


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return build_mini()


@pytest.fixture
def pixels() -> Tensor:
    return torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def tokens() -> Tensor:
    tokens: Tensor = open_clip.SimpleTokenizer()(["a photo of a cat.", "a blurry photo of a golden retriever.", "cat"])
    return tokens


def image_features(model: Any, pixels: Tensor, kept: Tensor, depth: int = 2, tower: TowerPass = IMAGES) -> Tensor:
    weights = dict(model.visual.named_parameters())
    return tower.image_features(weights, pixels, kept, depth) @ model.visual.proj


def text_features(model: Any, tokens: Tensor) -> Tensor:
    return TowerPass(num_heads=2, is_causal=True).text_features(dict(model.named_parameters()), tokens, 2)


def assert_equal_with_gradients(got: Tensor, expected: Tensor, parameters: list[Tensor]) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    cotangent = torch.randn(got.shape, generator=torch.Generator().manual_seed(2))
    gradients = (torch.autograd.grad(features, parameters, cotangent) for features in (got, expected))
    for got_gradient, expected_gradient in zip(*gradients, strict=True):
        torch.testing.assert_close(got_gradient, expected_gradient, rtol=1e-4, atol=1e-4)


def test_images_give_open_clips_features_and_gradients(model: Any, pixels: Tensor) -> None:
    got = image_features(model, pixels, ALL_PATCHES)
    assert_equal_with_gradients(got, model.visual(pixels), list(model.visual.parameters()))


def test_captions_give_open_clips_features_and_gradients(model: Any, tokens: Tensor) -> None:
    text = [value for name, value in model.named_parameters() if not name.startswith(("visual.", "logit_scale"))]
    assert_equal_with_gradients(text_features(model, tokens), model.encode_text(tokens), text)


def test_the_order_of_the_kept_patches_does_not_matter_but_their_choice_does(model: Any, pixels: Tensor) -> None:
    some = torch.tensor([[0, 5, 9], [3, 7, 15], [1, 2, 8]])
    features = image_features(model, pixels, some)
    torch.testing.assert_close(image_features(model, pixels, some.flip(1)), features, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(image_features(model, pixels, some + torch.tensor([[1], [0], [0]])), features, atol=1e-3)


def test_leaving_silent_blocks_out_changes_nothing(model: Any, pixels: Tensor) -> None:
    silence_blocks(model.visual, 1)
    whole = image_features(model, pixels, ALL_PATCHES)
    torch.testing.assert_close(image_features(model, pixels, ALL_PATCHES, depth=1), whole, rtol=1e-5, atol=1e-5)


def test_half_precision_agrees_to_its_rounding(model: Any, pixels: Tensor) -> None:
    half = TowerPass(num_heads=2, is_causal=False, precision=torch.bfloat16)
    got = image_features(model, pixels, ALL_PATCHES, tower=half)
    expected = image_features(model, pixels, ALL_PATCHES)
    assert (got - expected).norm() < 0.02 * expected.norm()
    assert got.dtype == torch.float32


def test_a_processor_without_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert fast_precision(torch.device("cpu")) == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert fast_precision(torch.device("cpu")) == torch.bfloat16
    assert fast_precision(torch.device("cuda")) == torch.bfloat16
