import json
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save

from vtt_core.adapter.files import adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import CheckpointMismatchError
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportClass, SupportSet
from vtt_core.training.checkpoint import HASH_TENSOR, STATE_TENSOR, Belonging, read_checkpoint
from vtt_core.training.finetune import Finetune

STEPS, SEED = 6, 0
Begin = Callable[..., Finetune]


@pytest.fixture(scope="module")
def recipe(make_recipe: Callable[..., FinetuneRecipe]) -> FinetuneRecipe:
    """One whose absorption stops in the middle: only the last cosine counts, and conflict is strong."""
    return make_recipe(iterations=STEPS, conflict_window=1, absorption_weight=1000, logit_scale=10)


@pytest.fixture(scope="module")
def begin(tiny_backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe) -> Begin:
    def start(checkpoint: bytes | None = None) -> Finetune:
        return Finetune(tiny_backbone, support_set, recipe, seed=SEED, checkpoint=checkpoint)

    return start


@pytest.fixture(scope="module")
def checkpoints(begin: Begin) -> list[bytes]:
    """The states after 0, 1, ... steps of an undisturbed fine-tuning."""
    finetune = begin()
    states = [finetune.checkpoint()]
    states.extend(finetune.checkpoint() for _ in finetune.steps())
    return states


@pytest.fixture(scope="module")
def undisturbed(begin: Begin) -> Finetune:
    finetune = begin()
    for _ in finetune.steps():
        pass
    return finetune


def test_absorption_stops_in_the_middle_of_this_case(undisturbed: Finetune) -> None:
    stopped_at = undisturbed.state.dgso.stopped_at
    assert stopped_at is not None
    assert 1 < stopped_at < STEPS - 1


class TestResume:
    @pytest.mark.slow
    @pytest.mark.parametrize("step", range(STEPS + 1))
    def test_going_on_from_any_step_ends_with_the_same_adapter_bytes(
        self, begin: Begin, checkpoints: list[bytes], undisturbed: Finetune, step: int
    ) -> None:
        resumed = begin(checkpoints[step])
        assert resumed.step == step
        reports = list(resumed.steps())
        assert [report.step for report in reports] == list(range(step + 1, STEPS + 1))
        assert adapter_to_files(strip(resumed)) == adapter_to_files(strip(undisturbed))
        assert resumed.checkpoint() == checkpoints[-1]

    @pytest.mark.parametrize("step", range(STEPS + 1))
    def test_reading_and_writing_gives_equal_bytes(self, begin: Begin, checkpoints: list[bytes], step: int) -> None:
        assert begin(checkpoints[step]).checkpoint() == checkpoints[step]

    def test_reports_after_it_are_those_of_an_undisturbed_run(self, begin: Begin, checkpoints: list[bytes]) -> None:
        assert list(begin(checkpoints[1]).steps()) == list(begin().steps())[1:]

    def test_resuming_twice_changes_nothing(self, begin: Begin, checkpoints: list[bytes]) -> None:
        first = begin(checkpoints[1])
        next(first.steps())
        second = begin(first.checkpoint())
        next(second.steps())
        assert second.checkpoint() == checkpoints[3]


class TestRefused:
    def test_one_of_another_seed(
        self, tiny_backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe, checkpoints: list[bytes]
    ) -> None:
        with pytest.raises(CheckpointMismatchError, match="another seed: 0"):
            Finetune(tiny_backbone, support_set, recipe, seed=SEED + 1, checkpoint=checkpoints[2])

    @pytest.mark.parametrize("change", [{"host_learning_rate": 2e-2}, {"iterations": STEPS + 1}, {"rank": 2}])
    def test_one_of_another_recipe(
        self,
        tiny_backbone: Backbone,
        support_set: SupportSet,
        recipe: FinetuneRecipe,
        checkpoints: list[bytes],
        change: dict[str, float],
    ) -> None:
        other = FinetuneRecipe.from_json(recipe.to_json() | change)
        with pytest.raises(CheckpointMismatchError, match="another recipe"):
            Finetune(tiny_backbone, support_set, other, seed=SEED, checkpoint=checkpoints[2])

    def test_one_of_a_backbone_of_other_size(
        self, uneven_backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe, checkpoints: list[bytes]
    ) -> None:
        with pytest.raises(CheckpointMismatchError, match="another backbone_sha256"):
            Finetune(uneven_backbone, support_set, recipe, seed=SEED, checkpoint=checkpoints[2])

    def test_one_of_another_support_set(
        self, tiny_backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe, checkpoints: list[bytes]
    ) -> None:
        first, *others = support_set.classes
        renamed = SupportSet((SupportClass(label="something else", images=first.images), *others))
        exchanged = SupportSet((SupportClass(label=first.label, images=others[0].images), *others))
        for other in (renamed, exchanged):
            with pytest.raises(CheckpointMismatchError, match="another problem_sha256"):
                Finetune(tiny_backbone, other, recipe, seed=SEED, checkpoint=checkpoints[2])

    @pytest.mark.parametrize("length", [0, 7, 8, 1000, -1])
    def test_one_that_ends_early(self, begin: Begin, checkpoints: list[bytes], length: int) -> None:
        with pytest.raises(CheckpointMismatchError, match="SafetensorError"):
            begin(checkpoints[2][:length])

    def test_another_safetensors_file(self, begin: Begin) -> None:
        with pytest.raises(CheckpointMismatchError, match="KeyError"):
            begin(save({"weight": torch.zeros(3)}))

    def test_one_without_a_tensor(self, begin: Begin, checkpoints: list[bytes]) -> None:
        tensors = load(checkpoints[2])
        del tensors["fusion.pos_embed"]
        with pytest.raises(CheckpointMismatchError, match="it was damaged"):
            begin(save(tensors))

    def test_any_damaged_byte_of_its_tensors(
        self, tiny_backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe, checkpoints: list[bytes]
    ) -> None:
        encoded, fresh = checkpoints[2], Finetune(tiny_backbone, support_set, recipe, SEED)
        header = 8 + int.from_bytes(encoded[:8], "little")

        @settings(deadline=None, derandomize=True, max_examples=25)
        @given(position=st.integers(header, len(encoded) - 1), change=st.integers(1, 255))
        def check(position: int, change: int) -> None:
            damaged = bytearray(encoded)
            damaged[position] ^= change
            with pytest.raises(CheckpointMismatchError, match="it was damaged"):
                read_checkpoint(bytes(damaged), fresh.state, Belonging(recipe.to_json(), SEED, "", ""))

        check()


def test_it_is_plain_tensors_and_json(checkpoints: list[bytes]) -> None:
    tensors = load(checkpoints[2])
    scalars = json.loads(bytes(tensors[STATE_TENSOR].tolist()))
    assert set(scalars) == {"belonging", "step", "is_absorbing", "stopped_at", "queue"}
    assert scalars["step"] == 2
    assert len(scalars["queue"]) == 3
    assert tensors[HASH_TENSOR].shape == (32,)
