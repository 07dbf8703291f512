import torch

from vtt_core.adapter.files import adapter_from_files, adapter_to_files
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter


def test_it_fits_its_backbone_and_survives_its_files(tiny_backbone: Backbone) -> None:
    drawn = synthetic_adapter(tiny_backbone, 3, way=4)
    read = adapter_from_files(adapter_to_files(drawn))
    read.check_backbone(tiny_backbone)
    assert torch.equal(read.lora.lora_B, drawn.lora.lora_B)
    assert read.prototypes_CD.shape == (4, tiny_backbone.joint_size)


def test_another_seed_gives_another_and_the_global_generator_stays(tiny_backbone: Backbone) -> None:
    before = torch.random.get_rng_state()
    first, other, again = (synthetic_adapter(tiny_backbone, seed) for seed in (1, 2, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.lora.lora_A, again.lora.lora_A)
    assert not torch.equal(first.lora.lora_A, other.lora.lora_A)
    assert not torch.equal(first.lora.lora_B, other.lora.lora_B)
