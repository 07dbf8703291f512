import dataclasses
import json

import pytest

from vtt_core.adapter.classify import classify, zero_shot_prototypes
from vtt_core.adapter.files import Adapter, adapter_to_files
from vtt_core.adapter.verify import verify
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import AdapterFormatError, VerificationError
from vtt_core.contract.interval import wilson_half_width
from vtt_core.contract.support_set import SupportSet
from vtt_core.ingest.decode import decode_image
from vtt_core.training.finetune import Finetune


def test_it_measures_the_adapter_beside_its_baselines(
    tiny_backbone: Backbone, trained: Finetune, adapter: Adapter, adapter_files: dict[str, bytes], support_set: SupportSet
) -> None:
    metrics = verify(tiny_backbone, trained, adapter_files, support_set)
    assert set(metrics) == {"num_support_images", "support", "zero_shot", "linear_probe_leave_one_out"}
    assert metrics["num_support_images"] == 6
    images = [decode_image(image.encoded) for cls in support_set.classes for image in cls.images]
    predicted = classify(tiny_backbone, adapter, images).argmax(dim=-1).tolist()
    correct = sum(guess == truth for guess, truth in zip(predicted, [0, 0, 1, 1, 2, 2], strict=True))
    assert metrics["support"] == {"accuracy": correct / 6, "ci95": wilson_half_width(correct, 6)}
    assert json.loads(json.dumps(metrics)) == metrics


def test_zero_shot_is_the_frozen_backbone_with_the_class_prompts(
    tiny_backbone: Backbone, trained: Finetune, adapter_files: dict[str, bytes], support_set: SupportSet
) -> None:
    images = [decode_image(image.encoded) for cls in support_set.classes for image in cls.images]
    features_BD = tiny_backbone.clip.encode_image(trained.data.views_V3HW[: len(images)])
    prototypes_CD = zero_shot_prototypes(tiny_backbone, support_set.labels, trained.recipe.prompt_template)
    correct = int(((features_BD @ prototypes_CD.t()).argmax(dim=-1) == trained.data.labels_V[: len(images)]).sum())
    assert verify(tiny_backbone, trained, adapter_files, support_set)["zero_shot"]["accuracy"] == correct / 6


def test_an_adapter_that_answers_otherwise_is_not_let_through(
    tiny_backbone: Backbone, trained: Finetune, adapter: Adapter, support_set: SupportSet
) -> None:
    other = dataclasses.replace(adapter, prototypes_CD=adapter.prototypes_CD.flip(0))
    with pytest.raises(VerificationError, match="bit-equal logits before and after strip, save and load, got differences"):
        verify(tiny_backbone, trained, adapter_to_files(other), support_set)


def test_a_damaged_file_is_not_let_through(
    tiny_backbone: Backbone, trained: Finetune, adapter_files: dict[str, bytes], support_set: SupportSet
) -> None:
    damaged = adapter_files | {"adapter.safetensors": adapter_files["adapter.safetensors"][:-1]}
    with pytest.raises(AdapterFormatError):
        verify(tiny_backbone, trained, damaged, support_set)
