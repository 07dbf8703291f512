"""A recording reads what the tower reads, to the bit, whatever the number of images."""

import pytest
import torch

from tests.vtt_core.serving.test_mixed_lora import draw
from vtt_core.backbones.backbone import Backbone
from vtt_core.heads.features import head_input
from vtt_core.serving import traced_read
from vtt_core.serving.mixed_lora import MixedLora
from vtt_core.serving.traced_read import MAX_RECORDINGS, MAX_WIDTH, TracedRead, _recorded


def images_of(backbone: Backbone, number: int) -> torch.Tensor:
    side = backbone.preprocessing.side_pixels
    return torch.randn(number, 3, side, side, generator=torch.Generator().manual_seed(number))


@pytest.mark.parametrize("first", [1, 5])
@pytest.mark.parametrize("ranks", [(), (4,), (4, 2, 3)])
def test_it_reads_the_same_to_the_bit(tiny_backbone: Backbone, ranks: tuple[int, ...], first: int) -> None:
    served = [draw(tiny_backbone, rank)[1] for rank in ranks]
    read = TracedRead(tiny_backbone.vision_tower)
    assert read.can_trace
    with torch.inference_mode():
        for number in (first, 1, 2, 5, 9, 1):
            adapters = [served[index % len(served)] for index in range(number)] if served else []
            lora = MixedLora(adapters, torch.float32) if adapters else None
            images_B3HW = images_of(tiny_backbone, number)
            expected = head_input(tiny_backbone.vision_tower.read(images_B3HW, lora))
            for _ in range(3):  # torch may change a recording after its first runs
                assert torch.equal(read(images_B3HW, lora), expected)


def test_each_rank_has_its_own_recording_and_few_are_kept(tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(traced_read, "_recorded", lambda *given: made.append(given) or _recorded(*given))
    read = TracedRead(tiny_backbone.vision_tower)
    images_B3HW = images_of(tiny_backbone, 2)
    with torch.inference_mode():
        for rank in (*range(1, MAX_RECORDINGS + 2), MAX_RECORDINGS, 1):
            lora = MixedLora([draw(tiny_backbone, rank)[1]] * 2, torch.float32)
            assert torch.equal(read(images_B3HW, lora), head_input(tiny_backbone.vision_tower.read(images_B3HW, lora)))
    assert len(made) == MAX_RECORDINGS + 2  # that of rank 1 was dropped for the last one


def test_in_float64_and_with_large_loras_nothing_is_recorded(
    tiny_backbone: Backbone, tiny_backbone_float64: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traced_read, "_recorded", None)
    exact, images_B3HW = tiny_backbone_float64.vision_tower, images_of(tiny_backbone, 2)
    with torch.inference_mode():
        assert torch.equal(TracedRead(exact)(images_B3HW.double()), head_input(exact.read(images_B3HW.double())))
        lora = MixedLora([draw(tiny_backbone, rank)[1] for rank in (4, 2)], torch.float32)
        monkeypatch.setattr(traced_read, "MAX_STACKED_BYTES", lora.stacked_bytes - 1)
        tower = tiny_backbone.vision_tower
        assert torch.equal(TracedRead(tower)(images_B3HW, lora), head_input(tower.read(images_B3HW, lora)))
    stacked = lora.stacked()
    assert lora.stacked_bytes == stacked.A.nbytes + stacked.B.nbytes


@pytest.mark.parametrize("reason", ["a wide tower", "a torch without recordings"])
def test_what_cannot_be_recorded_is_read_as_it_is(
    tiny_backbone: Backbone, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = TracedRead(tiny_backbone.vision_tower)
    if reason == "a wide tower":
        monkeypatch.setattr(tiny_backbone.vision_tower, "width", MAX_WIDTH + 1)
    else:
        monkeypatch.delattr(torch.jit, "trace")
    assert not read.can_trace
    images_B3HW = images_of(tiny_backbone, 2)
    with torch.inference_mode():
        assert torch.equal(read(images_B3HW), head_input(tiny_backbone.vision_tower.read(images_B3HW)))
