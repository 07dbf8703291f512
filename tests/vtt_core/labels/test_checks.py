"""Labels are refused before training where a backbone cannot read them apart or in full."""

from __future__ import annotations

import pytest

from vtt_core.contract.errors import BadLabelError, SameTokensError, SeveralProblemsError, TooFewShotsError
from vtt_core.contract.recipe import FinetuneRecipe, make_recipe
from vtt_core.labels.checks import KnownLabels, LabelReader, label_problems, prompt_templates, raise_problems

READER = LabelReader("mini", FinetuneRecipe())
LONG = "plate " + "1234567890" * 8
"""Fewer than 100 characters, but each digit is a token."""


@pytest.mark.parametrize(("first", "second"), [("Star", "star"), ("child’s toy", "child's toy"), ("b&amp;w", "b&w")])
def test_two_labels_with_the_same_tokens_are_one_problem_that_names_both(first: str, second: str) -> None:
    (problem,) = label_problems([first, "rings", second], READER)
    assert isinstance(problem, SameTokensError)
    assert f"{first!r} and {second!r}" in problem.got
    with pytest.raises(SameTokensError):
        KnownLabels(READER, ["rings", first]).add(second)


def test_a_label_does_not_conflict_with_itself_or_with_others() -> None:
    KnownLabels(READER, ["star", "rings", "stars"]).add("star")
    assert label_problems(["star", "rings", "stars"], READER) == []


def test_a_label_whose_prompt_is_too_long_is_named_with_its_number_of_tokens() -> None:
    assert len(LONG) < 100
    with pytest.raises(BadLabelError, match=r"at most 75 tokens .* 86 tokens in the prompt of 'plate 12"):
        READER.check_length(LONG)


def test_a_shorter_text_tower_takes_shorter_labels() -> None:
    label = "plate 1234567890 1234567890 1234567890"
    READER.check_length(label)
    with pytest.raises(BadLabelError, match="at most 30 tokens"):
        LabelReader("PE-Core-B-16/meta", FinetuneRecipe()).check_length(label)


def test_the_vectors_of_coop_take_room_from_the_label() -> None:
    recipe = make_recipe("coop", changes={"num_context_tokens": 60})
    label = "1234567890" * 2
    READER.check_length(label)
    with pytest.raises(BadLabelError):
        LabelReader("mini", recipe).check_length(label)
    assert prompt_templates(recipe) == ("a photo of a {}.", "x " * 60 + "{}.")


def test_several_problems_are_one_error_that_names_them_all() -> None:
    problems = label_problems(["Star", "star", LONG], READER)
    with pytest.raises(SeveralProblemsError, match=r"2 problems: \(1\) .*'Star' and 'star'.*\(2\) .*plate 12") as caught:
        raise_problems(problems)
    assert all(problem.remedy in caught.value.remedy for problem in problems)


def test_problems_of_one_cause_are_one_error_of_that_kind() -> None:
    problems = [TooFewShotsError(expected="2 images", got=f"1 in {label!r}", remedy="Add some") for label in ("star", "rings")]
    with pytest.raises(TooFewShotsError) as caught:
        raise_problems(problems)
    assert (caught.value.got, caught.value.remedy) == ("1 in 'star'; 1 in 'rings'", "Add some")


def test_very_many_problems_are_counted() -> None:
    problems = [TooFewShotsError(expected="2 images", got=f"1 in {number}", remedy="Add some") for number in range(200)]
    with pytest.raises(TooFewShotsError, match=r"1 in 19; and 180 more\. Add some"):
        raise_problems(problems)


def test_no_problem_raises_nothing() -> None:
    raise_problems([])


@pytest.mark.parametrize("label", ["{}", "{label}", "a {0} b", "100 %s"])
def test_braces_in_a_label_are_letters(label: str) -> None:
    READER.check_length(label)
    assert READER.keys(label) != READER.keys("star")
    assert label_problems([label, "star", "x"], READER) == []


def test_labels_that_are_there_already_are_not_checked() -> None:
    known = KnownLabels(READER, ["Star", "star", LONG])
    known.add("star")
    known.add(LONG)
    with pytest.raises(SameTokensError, match="'Star' and 'STAR'"):
        known.add("STAR")
