from collections.abc import Callable

import pytest
import torch
from PIL import Image

from vtt_core.adapter import classify as classify_module
from vtt_core.adapter.classify import classify, image_features, logits, unprojected_features, zero_shot_prototypes
from vtt_core.adapter.files import Adapter
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.preprocess import preprocess
from vtt_core.contract.errors import BackboneMismatchError
from vtt_core.training.finetune import Finetune


@pytest.fixture(scope="module")
def images(draw_image: Callable[..., Image.Image]) -> list[Image.Image]:
    return [draw_image(index % 3, 10 + index) for index in range(5)]


def test_probabilities_of_an_image_sum_to_one(tiny_backbone: Backbone, adapter: Adapter, images: list[Image.Image]) -> None:
    probabilities_BC = classify(tiny_backbone, adapter, images)
    assert probabilities_BC.shape == (5, 3)
    torch.testing.assert_close(probabilities_BC.sum(dim=-1), torch.ones(5))
    assert torch.equal(probabilities_BC, logits(tiny_backbone, adapter, images).softmax(dim=-1))


def test_logits_are_scaled_cosines_with_the_adapters_prototypes(
    tiny_backbone: Backbone, adapter: Adapter, images: list[Image.Image]
) -> None:
    features_BD = image_features(tiny_backbone, images, adapter.lora)
    expected = 100 * torch.nn.functional.cosine_similarity(features_BD[:, None], adapter.prototypes_CD[None], dim=-1)
    torch.testing.assert_close(logits(tiny_backbone, adapter, images), expected, rtol=1e-4, atol=1e-4)


def test_without_a_lora_features_are_the_frozen_models(tiny_backbone: Backbone, images: list[Image.Image]) -> None:
    expected = tiny_backbone.clip.encode_image(preprocess(images, tiny_backbone.preprocessing))
    torch.testing.assert_close(image_features(tiny_backbone, images), expected, rtol=1e-4, atol=1e-5)
    projected_BD = unprojected_features(tiny_backbone, images) @ tiny_backbone.clip.visual.proj
    torch.testing.assert_close(projected_BD, expected, rtol=1e-4, atol=1e-5)


def test_many_images_are_read_in_chunks_with_the_same_answer(
    tiny_backbone: Backbone, adapter: Adapter, images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = logits(tiny_backbone, adapter, images)
    monkeypatch.setattr(classify_module, "CHUNK_IMAGES", 2)
    torch.testing.assert_close(logits(tiny_backbone, adapter, images), whole, rtol=1e-4, atol=1e-3)


def test_the_same_image_gets_the_same_answer_twice(
    tiny_backbone: Backbone, adapter: Adapter, images: list[Image.Image]
) -> None:
    assert torch.equal(classify(tiny_backbone, adapter, images), classify(tiny_backbone, adapter, images))


def test_an_adapter_of_another_backbone_is_refused(
    uneven_backbone: Backbone, adapter: Adapter, images: list[Image.Image]
) -> None:
    with pytest.raises(BackboneMismatchError, match="'tiny-3-3'"):
        classify(uneven_backbone, adapter, images)


def test_zero_shot_prototypes_are_those_that_training_uses(tiny_backbone: Backbone, trained: Finetune) -> None:
    prototypes_CD = zero_shot_prototypes(tiny_backbone, trained.labels, trained.recipe.prompt_template)
    assert torch.equal(prototypes_CD, trained.data.prototypes_CD)
