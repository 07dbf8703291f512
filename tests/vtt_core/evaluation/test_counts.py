import pytest

from vtt_core.evaluation.counts import accuracy_facts, class_scores, confusion_counts


def test_rows_are_true_classes_and_columns_what_was_said() -> None:
    assert confusion_counts([0, 0, 1], [0, 1, 1], 3) == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_a_class_that_nothing_was_taken_for_has_no_precision() -> None:
    cat, dog = class_scores(("cat", "dog"), [[2, 0], [1, 0]])
    assert (dog.precision, dog.recall, dog.f1) == (None, 0.0, 0.0)
    assert (cat.precision, cat.f1) == (pytest.approx(2 / 3), pytest.approx(0.8))


def test_images_that_are_not_independent_widen_the_interval() -> None:
    plain, wide = accuracy_facts(8, 10), accuracy_facts(8, 10, 1.6)
    assert wide["low"] < plain["low"] < 0.8 < plain["high"] < wide["high"]
