from collections.abc import Callable

import torch

from tests.vtt_core.hosts.conftest import Setting
from vtt_core.hosts.clip_lora import ClipLora
from vtt_core.hosts.host import Host
from vtt_core.hosts.training_data import Batch, TrainingData


def test_each_place_trains_its_own_towers(make_setting: Callable[..., Setting]) -> None:
    places = {name: make_setting(name)[1] for name in ("clip-lora", "clip-lora-text", "clip-lora-both")}
    assert {name: sorted(key for key, _ in host.named_parameters()) for name, host in places.items()} == {
        "clip-lora": ["vision_lora.lora_A", "vision_lora.lora_B"],
        "clip-lora-text": ["text_lora.lora_A", "text_lora.lora_B"],
        "clip-lora-both": ["text_lora.lora_A", "text_lora.lora_B", "vision_lora.lora_A", "vision_lora.lora_B"],
    }


def test_a_lora_on_text_moves_the_prototypes_and_no_image(
    make_setting: Callable[..., Setting], batch_of: Callable[[TrainingData, Host], Batch]
) -> None:
    data, host, _ = make_setting("clip-lora-text")
    assert isinstance(host, ClipLora)
    assert host.text_lora is not None
    with torch.no_grad():
        host.text_lora.lora_B.normal_()
    batch = batch_of(data, host)
    assert torch.equal(host.vision_layers(data, batch), data.vision_VLD[batch.views_B])
    assert not torch.allclose(host.prototypes(data), data.prototypes_CD)


def test_dropout_is_drawn_for_the_text_too(
    make_setting: Callable[..., Setting], batch_of: Callable[[TrainingData, Host], Batch]
) -> None:
    data, host, _ = make_setting("clip-lora-text")
    assert host.text_lora is not None
    with torch.no_grad():
        host.text_lora.lora_B.normal_()
    assert not torch.allclose(host.text_layers(data, batch_of(data, host)), host.text_layers(data))
