"""A training of `mini`: it learns, repeats itself exactly, and resumes as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load

from vtt_core.backbones.mini.corpus import Corpus, read_corpus
from vtt_core.backbones.mini.model import build_mini
from vtt_core.backbones.mini.recipe import PretrainRecipe
from vtt_core.backbones.mini.training import Pretraining
from vtt_core.contract.errors import RecipeError

pytestmark = pytest.mark.usefixtures("small_towers")

RECIPE = PretrainRecipe(batch_size=8, warmup_steps=2)


@pytest.fixture(scope="module")
def corpus(tiny_zip: Path) -> Corpus:
    return read_corpus([tiny_zip], "train")


def begin(corpus: Corpus, num_steps: int, recipe: PretrainRecipe = RECIPE) -> Pretraining:
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = build_mini()
    return Pretraining(model, corpus, recipe, num_steps)


def finished(corpus: Corpus, num_steps: int, recipe: PretrainRecipe = RECIPE) -> Pretraining:
    training = begin(corpus, num_steps, recipe)
    list(training.run())
    return training


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
    weights = finished(corpus, 3).weights()
    assert finished(corpus, 3).weights() == weights
    assert finished(corpus, 3, PretrainRecipe(batch_size=8, seed=1)).weights() != weights


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
        assert resumed.weights() == undisturbed.weights()
        assert resumed.checkpoint() == undisturbed.checkpoint()

    def test_a_run_made_shorter_before_its_decay_equals_one_planned_so(self, corpus: Corpus, tmp_path: Path) -> None:
        resumed = begin(corpus, 6)
        resumed.resume(stopped(corpus, 40, at=4, path=tmp_path / "checkpoint.safetensors"))
        list(resumed.run())
        assert resumed.weights() == finished(corpus, 6).weights()

    def test_another_length_is_refused_once_the_decay_has_begun(self, corpus: Corpus, tmp_path: Path) -> None:
        path = stopped(corpus, 6, at=5, path=tmp_path / "checkpoint.safetensors")
        with pytest.raises(RecipeError, match="40 steps"):
            begin(corpus, 40).resume(path)

    def test_another_recipe_is_refused(self, corpus: Corpus, tmp_path: Path) -> None:
        path = stopped(corpus, 6, at=1, path=tmp_path / "checkpoint.safetensors")
        with pytest.raises(RecipeError, match="Use the same options"):
            begin(corpus, 6, PretrainRecipe(batch_size=8, seed=1)).resume(path)


class TestWeights:
    def test_they_load_into_the_model_in_half_precision(self, corpus: Corpus) -> None:
        weights = load(finished(corpus, 1).weights())
        assert {value.dtype for value in weights.values()} == {torch.float16}
        build_mini().load_state_dict(weights)

    def test_the_text_tower_stays_as_it_was_taught(self, corpus: Corpus) -> None:
        training = begin(corpus, 4)
        before = load(training.weights())
        list(training.run())
        after = load(training.weights())
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed
        assert all(name.startswith("visual.") for name in changed)

    def test_they_state_the_factor_that_fine_tuning_uses(self, corpus: Corpus) -> None:
        assert load(begin(corpus, 1).weights())["logit_scale"].exp().item() == pytest.approx(100, rel=1e-2)
