"""A recording reads what the tower reads, to the bit, whatever the number of images."""

import pytest
import torch

from tests.vtt_core.serving.test_mixed_lora import draw
from vtt_core.backbones.backbone import Backbone
from vtt_core.heads.features import head_input
from vtt_core.serving.mixed_lora import MixedLora
from vtt_core.serving.traced_read import MAX_WIDTH, TracedRead


def images_of(backbone: Backbone, number: int) -> torch.Tensor:
    side = backbone.preprocessing.side_pixels
    return torch.randn(number, 3, side, side, generator=torch.Generator().manual_seed(number))


@pytest.mark.parametrize("first", [1, 5])
@pytest.mark.parametrize("ranks", [(), (4,), (4, 2, 3)])
def test_it_reads_the_same_to_the_bit(tiny_backbone: Backbone, ranks: tuple[int, ...], first: int) -> None:
    served = [draw(tiny_backbone, rank)[1] for rank in ranks]
    read = TracedRead(tiny_backbone.vision_tower)
    assert read.is_traced
    with torch.inference_mode():
        for number in (first, 1, 2, 5, 9, 1):
            adapters = [served[index % len(served)] for index in range(number)] if served else []
            lora = MixedLora(adapters, torch.float32) if adapters else None
            images_B3HW = images_of(tiny_backbone, number)
            expected = head_input(tiny_backbone.vision_tower.read(images_B3HW, lora))
            for _ in range(3):  # torch may change a recording after its first runs
                assert torch.equal(read(images_B3HW, lora), expected)


def test_each_rank_has_its_own_recording(tiny_backbone: Backbone) -> None:
    read = TracedRead(tiny_backbone.vision_tower)
    images_B3HW = images_of(tiny_backbone, 2)
    with torch.inference_mode():
        for rank in (2, 4, 2):
            lora = MixedLora([draw(tiny_backbone, rank)[1]] * 2, torch.float32)
            assert torch.equal(read(images_B3HW, lora), head_input(tiny_backbone.vision_tower.read(images_B3HW, lora)))


@pytest.mark.parametrize("reason", ["a wide tower", "a torch without recordings"])
def test_what_cannot_be_recorded_is_read_as_it_is(
    tiny_backbone: Backbone, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TracedRead(tiny_backbone.vision_tower)
    if reason == "a wide tower":
        monkeypatch.setattr(tiny_backbone.vision_tower, "width", MAX_WIDTH + 1)
    else:
        monkeypatch.delattr(torch.jit, "trace")
    assert not read.is_traced
    images_B3HW = images_of(tiny_backbone, 2)
    with torch.inference_mode():
        assert torch.equal(read(images_B3HW), head_input(tiny_backbone.vision_tower.read(images_B3HW)))
