from time import perf_counter

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed import step_parts
from vtt_core.bench.speed.step_times import synthetic_data
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.hosts.make import draw_vision_dropout
from vtt_core.hosts.training_data import Batch, TrainingData
from vtt_core.training.fast.passes import FastGradients
from vtt_core.training.finetune import start_state
from vtt_core.training.seeding import make_generator
from vtt_core.training.step import StepGradients, plain_gradients


@pytest.mark.slow
def test_every_part_and_every_form_put_aside_is_timed(tiny_backbone: Backbone) -> None:
    result = step_parts.measure_parts(tiny_backbone, way=2, batch_size=4, repeats=1, stopwatch=perf_counter)
    assert len([name for name in result["over_fast"] if name.startswith("without ")]) == 6
    assert {"tower forward", "tower forward and backward", "fusion", "absorption", "DGSO and AdamW"} < set(result["seconds"])
    fast = result["seconds"]["fast"]["median"]
    for name, ratio in result["over_fast"].items():
        assert ratio == pytest.approx(result["seconds"][name]["median"] / fast)


class TestPlainForms:
    @pytest.fixture
    def data(self, tiny_backbone: Backbone) -> TrainingData:
        return synthetic_data(tiny_backbone, FinetuneRecipe(), way=2, num_views=4)

    def gradients(self, data: TrainingData, patches: step_parts.Patches, *, is_fast: bool) -> StepGradients:
        recipe, backbone = FinetuneRecipe(), data.backbone
        state = start_state(backbone, recipe, seed=0)
        dropout = draw_vision_dropout(backbone, state.lora, 4, make_generator(0, "dropout"))
        batch = Batch(torch.arange(4), dropout, is_absorbing=True)
        learnt = (data, state.host, state.fusion, recipe)
        with step_parts.patched(patches):
            return FastGradients(*learnt)(batch) if is_fast else plain_gradients(*learnt, batch)

    def test_each_is_called_and_gives_the_same_gradients(self, data: TrainingData) -> None:
        expected = self.gradients(data, {}, is_fast=True)
        every = [(patches, True) for patches in step_parts.plain_forms(data).values()]
        for patches, is_fast in [*every, (step_parts.fast_forms(data), False)]:
            called: set[str] = set()

            def noted(place: str, stand_in: object, called: set[str] = called) -> object:
                def run(*arguments: object, **named: object) -> object:
                    called.add(place)
                    return stand_in(*arguments, **named)  # type: ignore[operator]

                return run

            got = self.gradients(data, {place: noted(place, form) for place, form in patches.items()}, is_fast=is_fast)
            assert called == set(patches)
            for one, other in zip(got.host_absorption, expected.host_absorption, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
            for one, other in zip(got.fusion_absorption, expected.fusion_absorption, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
