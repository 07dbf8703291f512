import dataclasses
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from PIL import Image

from vtt_core.adapter.adaptation import Adaptation, Adapted
from vtt_core.adapter.answer import answers
from vtt_core.adapter.classify import adapter_scores, logits, read, read_for
from vtt_core.adapter.files import adapter_from_files, adapter_to_files
from vtt_core.adapter.verify import verify
from vtt_core.backbones.backbone import Backbone
from vtt_core.contract.errors import CheckpointMismatchError
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.contract.serving import AnswerOptions
from vtt_core.contract.support_set import SupportClass, SupportSet
from vtt_core.heads.features import head_input
from vtt_core.ingest.decode import decode_image


def quick(method: str, **changes: Any) -> FinetuneRecipe:
    fast = {"iterations": 4, "batch_size": 4, "rank": 4, "validation_iterations": 2, "host_learning_rate": 1e-2}
    return make_recipe(method, changes={**fast, **changes})


def run(backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe, checkpoint: bytes | None = None) -> Adapted:
    adaptation = Adaptation(backbone, support_set, recipe, 0, checkpoint)
    list(adaptation.steps())
    return adaptation.finish()


@pytest.fixture(scope="module")
def four_shot(make_support_set: Callable[..., SupportSet]) -> SupportSet:
    return make_support_set(way=3, shot=4)


METHODS = {
    "frozen": quick("frozen"),
    "vtt": quick("clip-lora+vtt", head="sum", validation_folds=2),
    "released": quick("clip-lora+vtt"),
    "text tower": quick("clip-lora-text", head="sum", validation_folds=2),
    "prompts": quick("maple", head="ridge", validation_folds=3),
    "auto": quick("auto"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_what_is_learnt_is_what_is_read_again(tiny_backbone: Backbone, four_shot: SupportSet, name: str) -> None:
    adapted = run(tiny_backbone, four_shot, METHODS[name])
    files = adapter_to_files(adapted.adapter)
    images = [decode_image(image.encoded) for known in four_shot.classes for image in known.images]
    verify(tiny_backbone, adapted, files, images)
    assert adapter_to_files(adapter_from_files(files)) == files
    assert json.loads(json.dumps(adapted.metrics)) == adapted.metrics


SLOW = pytest.mark.slow


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vtt", pytest.param("auto", marks=SLOW), pytest.param("prompts", marks=SLOW)])
def test_stopped_at_any_step_it_ends_with_the_same_bytes(tiny_backbone: Backbone, four_shot: SupportSet, name: str) -> None:
    undisturbed, checkpoints = Adaptation(tiny_backbone, four_shot, METHODS[name], 0), []
    for report in undisturbed.steps():
        assert report.step == undisturbed.step or report.phase == "validation"
        checkpoints.append(undisturbed.checkpoint())
    expected = undisturbed.finish()
    assert len(checkpoints) in (undisturbed.num_steps, undisturbed.num_steps - 4)
    for checkpoint in checkpoints[::2]:
        resumed = run(tiny_backbone, four_shot, METHODS[name], checkpoint)
        assert adapter_to_files(resumed.adapter) == adapter_to_files(expected.adapter)
        assert resumed.metrics == expected.metrics


@pytest.mark.slow
def test_a_checkpoint_of_another_run_is_refused(tiny_backbone: Backbone, four_shot: SupportSet) -> None:
    recipe = METHODS["vtt"]
    begun = Adaptation(tiny_backbone, four_shot, recipe, 0)
    next(begun.steps())
    checkpoint = begun.checkpoint()
    for other, seed in ((recipe, 1), (dataclasses.replace(recipe, alpha=4.0), 0), (quick("frozen"), 0)):
        with pytest.raises(CheckpointMismatchError):
            Adaptation(tiny_backbone, four_shot, other, seed, checkpoint)
    with pytest.raises(CheckpointMismatchError):
        Adaptation(tiny_backbone, four_shot, recipe, 0, checkpoint[:-3])


@pytest.mark.slow
def test_reports_count_through_validation_and_fine_tuning(tiny_backbone: Backbone, four_shot: SupportSet) -> None:
    reports = list(Adaptation(tiny_backbone, four_shot, METHODS["vtt"], 0).steps())
    assert [report.step for report in reports] == list(range(1, 9))
    assert {report.num_steps for report in reports} == {8}
    assert [report.phase for report in reports] == ["validation"] * 4 + ["fine-tuning"] * 4


def test_frozen_takes_no_step_and_changes_nothing_of_the_tower(tiny_backbone: Backbone, four_shot: SupportSet) -> None:
    adaptation = Adaptation(tiny_backbone, four_shot, METHODS["frozen"], 0)
    assert list(adaptation.steps()) == []
    adapted = adaptation.finish()
    assert adapted.adapter.lora.rank == 0
    assert adapted.finetune is None
    assert adapted.metrics["choice"]["tower"] == "frozen"


@pytest.mark.slow
def test_an_interim_model_is_the_frozen_one_before_the_first_step(tiny_backbone: Backbone, four_shot: SupportSet) -> None:
    frozen = run(tiny_backbone, four_shot, METHODS["frozen"])
    for name in ("vtt", "released", "auto"):
        interim = Adaptation(tiny_backbone, four_shot, METHODS[name], 0).interim()
        assert interim is not None
        assert interim.adapter.head is not None
        assert frozen.adapter.head is not None
        assert torch.equal(interim.adapter.head.weight_CX, frozen.adapter.head.weight_CX)
        assert (interim.adapter.manifest.recipe["method"], interim.adapter.manifest.recipe["head"]) == ("frozen", "sum")
        assert interim.metrics["expected_accuracy"] == frozen.metrics["expected_accuracy"]
        assert "interim model" in interim.metrics["advice"][0]
        files = adapter_to_files(interim.adapter)
        verify(tiny_backbone, interim, files, [Image.new("RGB", (8, 8))])


def test_nothing_is_interim_where_nothing_is_fine_tuned(
    tiny_backbone: Backbone, four_shot: SupportSet, make_support_set: Callable[..., SupportSet]
) -> None:
    assert Adaptation(tiny_backbone, four_shot, METHODS["frozen"], 0).interim() is None
    assert Adaptation(tiny_backbone, make_support_set(way=3, shot=1), METHODS["auto"], 0).interim() is None


@pytest.mark.slow
def test_auto_publishes_what_explains_the_left_out_images_better(tiny_backbone: Backbone, four_shot: SupportSet) -> None:
    adaptation = Adaptation(tiny_backbone, four_shot, METHODS["auto"], 0)
    list(adaptation.steps())
    adapted = adaptation.finish()
    frozen, tuned = adaptation._frozen_on_validation_folds, adaptation._measured_tuned
    assert tuned is not None
    chosen = adapted.metrics["choice"]["tower"]
    assert (chosen == "fine-tuned") == tuned.is_better_than(frozen)
    assert adapted.adapter.manifest.recipe["method"] == ("clip-lora+vtt" if chosen == "fine-tuned" else "frozen")


def test_with_one_image_a_class_auto_does_not_fine_tune(
    tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet]
) -> None:
    adapted = run(tiny_backbone, make_support_set(way=3, shot=1), METHODS["auto"])
    assert adapted.metrics["choice"]["tower"] == "frozen"
    assert adapted.metrics["expected_accuracy"] is None
    assert "no image can be left out" in adapted.metrics["advice"][0]


def test_images_of_one_group_are_never_told_by_their_twins(
    tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet]
) -> None:
    once = make_support_set(way=3, shot=2)
    grouped = SupportSet(
        tuple(
            SupportClass(known.label, tuple(dataclasses.replace(image, group=known.label) for image in known.images))
            for known in once.classes
        )
    )
    assert run(tiny_backbone, once, METHODS["frozen"]).metrics["expected_accuracy"] is not None
    metrics = run(tiny_backbone, grouped, METHODS["frozen"]).metrics
    assert metrics["expected_accuracy"] is None
    assert metrics["groups"]["count"] == 3


@pytest.mark.slow
def test_metrics_add_up(tiny_backbone: Backbone, four_shot: SupportSet) -> None:
    metrics = run(tiny_backbone, four_shot, METHODS["vtt"]).metrics
    expected, confusion = metrics["expected_accuracy"], metrics["confusion"]
    right = sum(confusion[index][index] for index in range(3))
    assert expected["num_images"] == sum(map(sum, confusion)) == 12
    assert expected["accuracy"] == right / 12
    assert expected["low"] <= expected["accuracy"] <= expected["high"]
    assert [row["recall"] for row in metrics["per_class"]] == [confusion[index][index] / 4 for index in range(3)]
    assert len(metrics["mistakes"]) == 12 - right
    assert sum(one["num_images"] for one in metrics["reliability"]) == 12
    assert sum(one["accuracy"] * one["num_images"] for one in metrics["reliability"]) == pytest.approx(right)
    assert {"zero_shot", "linear_probe", "frozen_head", "fine_tuned"} <= metrics.keys()


def test_a_negative_class_is_no_label_and_is_recognised(
    tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet]
) -> None:
    whole = make_support_set(way=4, shot=4)
    support_set = SupportSet(whole.classes[:3], negatives=whole.classes[3].images)
    adapted = run(tiny_backbone, support_set, METHODS["frozen"])
    adapter = adapter_from_files(adapter_to_files(adapted.adapter))
    assert adapter.manifest.labels == tuple(known.label for known in whole.classes[:3])
    images = [decode_image(image.encoded) for image in support_set.negatives]
    assert logits(tiny_backbone, adapter, images).shape == (4, 3)
    readout = read_for(tiny_backbone, adapter, images)
    answered = answers(adapter, adapter_scores(adapter, readout), head_input(readout), AnswerOptions())
    assert all(answer.none_of_these for answer in answered)
    assert all(sum(answer.probabilities.values()) == pytest.approx(1) for answer in answered)


def test_noise_and_flat_images_are_none_of_the_classes(
    tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet]
) -> None:
    adapted = run(tiny_backbone, make_support_set(way=3, shot=5), METHODS["frozen"])
    noise = Image.frombytes(
        "RGB",
        (64, 64),
        torch.randint(256, (64 * 64 * 3,), generator=torch.Generator().manual_seed(0)).to(torch.uint8).numpy().tobytes(),
    )
    flat = [Image.new("RGB", (64, 64), colour) for colour in ("black", "white")]
    readout = read(tiny_backbone, [noise, *flat])
    answered = answers(adapted.adapter, adapter_scores(adapted.adapter, readout), head_input(readout), AnswerOptions())
    assert [answer.none_of_these for answer in answered] == [True, True, True]


def test_sets_promise_no_more_than_the_left_out_images_allow(tiny_backbone: Backbone, four_shot: SupportSet) -> None:
    adapter = run(tiny_backbone, four_shot, METHODS["frozen"]).adapter
    readout = read(tiny_backbone, [Image.new("RGB", (8, 8))])

    def answer(coverage: float) -> tuple[float | None, int]:
        [one] = answers(adapter, adapter_scores(adapter, readout), head_input(readout), AnswerOptions(coverage=coverage))
        assert one.prediction_set is not None
        return one.coverage, len(one.prediction_set)

    assert answer(0.8)[0] == 0.8
    assert answer(0.99)[0] == pytest.approx(12 / 13)
    assert answer(0.5)[1] <= answer(0.99)[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vtt", "auto", "frozen"])
def test_another_head_of_a_finished_run_is_that_of_its_own_run(
    tiny_backbone: Backbone, four_shot: SupportSet, name: str
) -> None:
    recipe = METHODS[name]
    first = Adaptation(tiny_backbone, four_shot, recipe, 0)
    list(first.steps())
    before = adapter_to_files(first.finish().adapter)
    other = first.with_other_head("gda")
    shared = [*other.steps()], other.finish()
    expected = run(tiny_backbone, four_shot, dataclasses.replace(recipe, head="gda"))
    assert adapter_to_files(shared[1].adapter) == adapter_to_files(expected.adapter)
    assert shared[1].metrics == expected.metrics
    assert adapter_to_files(first.finish().adapter) == before


def test_classes_of_one_group_each_are_told_as_such(
    tiny_backbone: Backbone, make_support_set: Callable[..., SupportSet]
) -> None:
    made = make_support_set(way=2, shot=3)
    classes = [replace(one, images=tuple(replace(image, group=one.label) for image in one.images)) for one in made.classes]
    adapted = run(tiny_backbone, replace(made, classes=tuple(classes)), METHODS["frozen"])
    assert adapted.metrics["expected_accuracy"] is None
    assert "one group" in adapted.metrics["advice"][0]
