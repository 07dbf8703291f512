"""What is said of a model follows from what was measured of it."""

from __future__ import annotations

from typing import Any

import pytest

from vtt_core.adapter.advice import Facts, advise


def metrics(pairs: list[list[str]]) -> dict[str, Any]:
    groups = {"near_duplicates": pairs, "suspected_leaks": 0}
    return {"expected_accuracy": None, "confusion": None, "groups": groups}


@pytest.mark.parametrize("is_tuned", [False, True])
def test_classes_of_one_group_each_are_why_nothing_is_known(is_tuned: bool) -> None:
    said = advise(Facts(("cat", "dog"), (5, 5), metrics([]), is_tuned, (), ("cat", "dog")))[0]
    assert "all images of 'cat', 'dog' belong to one group" in said
    assert "second image" not in said


def test_copies_are_named_too() -> None:
    said = advise(Facts(("cat", "dog"), (5, 1), metrics([["a", "b"]]), False, (), ("cat",)))[0]
    assert "all images of 'cat' are copies or of one group" in said


def test_classes_of_one_image_need_a_second() -> None:
    assert "Add a second image of each class" in advise(Facts(("cat", "dog"), (1, 1), metrics([]), False))[0]


@pytest.mark.parametrize(("number", "words"), [(1, "'b' look"), (2, "and 1 more pair look"), (3, "and 2 more pairs look")])
def test_pairs_are_counted(number: int, words: str) -> None:
    said = " ".join(advise(Facts(("cat", "dog"), (1, 1), metrics([["a", "b"]] * number), False)))
    assert words in said
