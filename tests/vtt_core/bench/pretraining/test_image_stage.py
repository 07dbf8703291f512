"""The image stage of `mini` learns, is deterministic, and resumes to the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from vtt_core.backbones.mini.model import build_mini
from vtt_core.bench.pretraining.corpus import ClassNames, Corpus, read_corpus
from vtt_core.bench.pretraining.image_stage import ImageStage
from vtt_core.bench.pretraining.recipe import PretrainRecipe
from vtt_core.bench.pretraining.side_by_side import SideBySide
from vtt_core.contract.errors import RecipeError

pytestmark = [pytest.mark.usefixtures("small_towers"), pytest.mark.slow]

RECIPE = PretrainRecipe(batch_size=8, warmup_steps=2, decay_share=0.35, growth=((0, 1), (3, 2)), turning_step=2)


@pytest.fixture(scope="module")
def corpus(tiny_zip: Path) -> Corpus:
    return read_corpus([tiny_zip], "train")


def begin(corpus: Corpus, num_steps: int, recipe: PretrainRecipe = RECIPE) -> ImageStage:
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = build_mini()
    num_names = len(ClassNames(corpus.names).texts)
    return ImageStage(model, corpus, torch.eye(32)[:num_names], recipe, num_steps, SideBySide(2))


def finished(corpus: Corpus, num_steps: int, recipe: PretrainRecipe = RECIPE) -> ImageStage:
    training = begin(corpus, num_steps, recipe)
    list(training.run())
    return training


def vision(training: ImageStage) -> bytes:
    return save(training.visual.state_dict())


def stopped(corpus: Corpus, num_steps: int, at: int, path: Path) -> Path:
    training = begin(corpus, num_steps)
    losses = training.run()
    for _ in range(at):
        next(losses)
    path.write_bytes(training.checkpoint())
    return path


def test_a_few_steps_lower_the_loss(corpus: Corpus) -> None:
    losses = list(begin(corpus, 40).run())
    assert sum(losses[-5:]) / 5 < 0.8 * sum(losses[:3]) / 3


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(corpus: Corpus) -> None:
    weights = vision(finished(corpus, 3))
    assert vision(finished(corpus, 3)) == weights
    assert vision(finished(corpus, 3, replace(RECIPE, seed=1))) != weights


def test_training_leaves_the_callers_random_state_alone(corpus: Corpus) -> None:
    before = torch.get_rng_state()
    finished(corpus, 2)
    assert torch.equal(torch.get_rng_state(), before)


class TestResuming:
    def test_a_resumed_run_ends_with_the_bytes_of_an_undisturbed_one(self, corpus: Corpus, tmp_path: Path) -> None:
        resumed = begin(corpus, 10)
        resumed.resume(stopped(corpus, 10, at=8, path=tmp_path / "checkpoint.safetensors"))
        assert resumed.step == 8
        list(resumed.run())
        undisturbed = finished(corpus, 10)
        assert vision(resumed) == vision(undisturbed)
        assert resumed.checkpoint() == undisturbed.checkpoint()

    def test_a_run_made_shorter_before_its_decay_equals_one_planned_so(self, corpus: Corpus, tmp_path: Path) -> None:
        resumed = begin(corpus, 6)
        resumed.resume(stopped(corpus, 40, at=4, path=tmp_path / "checkpoint.safetensors"))
        list(resumed.run())
        assert vision(resumed) == vision(finished(corpus, 6))

    def test_another_length_is_refused_once_the_decay_has_begun(self, corpus: Corpus, tmp_path: Path) -> None:
        path = stopped(corpus, 6, at=5, path=tmp_path / "checkpoint.safetensors")
        with pytest.raises(RecipeError, match="40 steps"):
            begin(corpus, 40).resume(path)

    def test_another_recipe_is_refused(self, corpus: Corpus, tmp_path: Path) -> None:
        path = stopped(corpus, 6, at=1, path=tmp_path / "checkpoint.safetensors")
        with pytest.raises(RecipeError, match="Use the same options"):
            begin(corpus, 6, replace(RECIPE, seed=1)).resume(path)


def test_accuracy_counts_the_images_nearest_to_their_name(corpus: Corpus) -> None:
    training = begin(corpus, 60)
    assert training.accuracy(corpus) < 0.5
    list(training.run())
    assert training.accuracy(corpus) > 0.9


def test_the_text_tower_is_left_alone(corpus: Corpus) -> None:
    torch.manual_seed(0)
    model = build_mini()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    list(ImageStage(model, corpus, torch.eye(32)[:6], RECIPE, 4, SideBySide(1)).run())
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("visual.") for name in changed)


def test_blocks_learn_from_their_step_on(corpus: Corpus) -> None:
    training = begin(corpus, 5)
    losses = training.run()
    blocks = training.visual.transformer.resblocks
    for _ in range(3):
        next(losses)
    assert not blocks[1].mlp.c_proj.weight.any()
    next(losses)
    assert blocks[1].mlp.c_proj.weight.any()
