from importlib.metadata import version
from pathlib import Path

import torch

from vtt_core.adapter.classify import image_features, logits
from vtt_core.adapter.files import Adapter, adapter_from_files, load_adapter, save_adapter
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone, hash_weights
from vtt_core.contract.support_set import SupportSet
from vtt_core.ingest.decode import decode_image
from vtt_core.training.finetune import Finetune
from vtt_core.training.losses import class_logits


def test_logits_stay_bit_equal_through_strip_save_and_load(
    trained: Finetune, tiny_backbone: Backbone, support_set: SupportSet, adapter_files: dict[str, bytes], tmp_path: Path
) -> None:
    images = [decode_image(image.encoded) for cls in support_set.classes for image in cls.images]
    features_BD = image_features(tiny_backbone, images, trained.state.lora)
    expected = class_logits(features_BD, trained.data.prototypes_CD, trained.recipe.logit_scale)
    stripped = strip(trained)
    save_adapter(stripped, tmp_path / "adapter")
    for adapter in (stripped, adapter_from_files(adapter_files), load_adapter(tmp_path / "adapter")):
        assert torch.equal(logits(tiny_backbone, adapter, images), expected)
    frozen = class_logits(image_features(tiny_backbone, images), trained.data.prototypes_CD, 100.0)
    assert not torch.allclose(expected, frozen)


def test_nothing_that_only_training_needs_is_left(adapter: Adapter, trained: Finetune) -> None:
    assert set(adapter.lora.state_dict()) == set(trained.state.lora.state_dict())
    assert not any(parameter.requires_grad for parameter in adapter.lora.parameters())


def test_training_on_does_not_change_what_was_stripped(
    tiny_backbone: Backbone, support_set: SupportSet, trained: Finetune
) -> None:
    finetune = Finetune(tiny_backbone, support_set, trained.recipe, seed=0)
    next(finetune.steps())
    stripped = strip(finetune)
    before = hash_weights(stripped.lora.state_dict())
    next(finetune.steps())
    assert hash_weights(stripped.lora.state_dict()) == before != hash_weights(finetune.state.lora.state_dict())


def test_the_manifest_tells_where_the_adapter_came_from(adapter: Adapter, trained: Finetune, tiny_backbone: Backbone) -> None:
    manifest = adapter.manifest
    assert manifest.backbone_id == tiny_backbone.backbone_id
    assert manifest.backbone_sha256 == tiny_backbone.weight_sha256
    assert manifest.labels == ("annual crop", "river", "forest")
    assert manifest.prompts[1] == "a photo of a river."
    assert manifest.preprocessing == tiny_backbone.preprocessing
    assert manifest.recipe == trained.recipe.to_json()
    assert manifest.seed == 0
    assert manifest.absorption_stopped_at == trained.state.dgso.stopped_at
    assert manifest.library_versions["torch"] == version("torch")


def test_prototypes_have_unit_length(adapter: Adapter) -> None:
    torch.testing.assert_close(adapter.prototypes_CD.norm(dim=-1), torch.ones(3))
