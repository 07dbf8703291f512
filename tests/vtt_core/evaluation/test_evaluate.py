import json

import pytest

from vtt_core.contract.interval import wilson_interval
from vtt_core.contract.serving import Prediction
from vtt_core.evaluation.evaluate import Judged, evaluate

LABELS = ("cat", "dog", "cow")


def judged(label: str | None, said: str, probability: float = 0.8, **facts: object) -> Judged:
    rest = {other: (1 - probability) / 2 for other in LABELS if other != said}
    prediction = Prediction({said: probability, **rest}, **facts)  # type: ignore[arg-type]
    return Judged.of(f"{label}/{said}.png", label or "zebra", label, prediction)


IMAGES = [
    judged("cat", "cat"),
    judged("cat", "cat"),
    judged("cat", "dog", 0.6),
    judged("dog", "dog"),
    judged("dog", "cat", 0.9),
]


def test_each_class_has_the_numbers_of_the_textbook() -> None:
    found = evaluate(LABELS, IMAGES)
    cat, dog, cow = found.per_class
    assert found.confusion == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert (cat.support, cat.precision, cat.recall, cat.f1) == (3, 2 / 3, 2 / 3, 2 / 3)
    assert (dog.support, dog.precision, dog.recall, dog.f1) == (2, 1 / 2, 1 / 2, 1 / 2)
    assert (cow.support, cow.precision, cow.recall, cow.f1) == (0, None, None, None)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_the_accuracy_has_wilsons_interval() -> None:
    accuracy = evaluate(LABELS, IMAGES).accuracy
    low, high = wilson_interval(3, 5)
    assert accuracy == {"accuracy": 0.6, "low": low, "high": high, "num_images": 5}


def test_the_surest_mistake_comes_first() -> None:
    assert [(one.label, one.said) for one in evaluate(LABELS, IMAGES).mistakes] == [("dog", "cat"), ("cat", "dog")]


def test_images_of_unknown_classes_count_only_for_none_of_these() -> None:
    images = [
        judged("cat", "cat", none_of_these=False),
        judged("dog", "dog", none_of_these=True),
        judged(None, "cow", none_of_these=True),
        judged(None, "cow", none_of_these=True),
        judged(None, "cat", none_of_these=False),
    ]
    found = evaluate(LABELS, images)
    assert found.accuracy["num_images"] == 2
    assert found.none_of_these is not None
    assert (found.none_of_these.share, found.none_of_these.num_images) == (0.5, 2)
    assert found.unknown.labels == {"zebra": 3}
    assert found.unknown.told is not None
    assert found.unknown.told.share == pytest.approx(2 / 3)


def test_sets_are_measured_against_their_promise() -> None:
    images = [
        judged("cat", "cat", prediction_set=("cat",), coverage=0.9),
        judged("cat", "dog", prediction_set=("dog", "cat"), coverage=0.9),
        judged("cow", "dog", prediction_set=("dog", "cat"), coverage=0.9),
    ]
    sets = evaluate(LABELS, images).prediction_sets
    assert sets is not None
    assert (sets.promised, sets.covered.share, sets.mean_size) == (0.9, pytest.approx(2 / 3), pytest.approx(5 / 3))


def test_what_a_model_does_not_know_is_null() -> None:
    found = evaluate(LABELS, IMAGES)
    assert (found.prediction_sets, found.none_of_these, found.unknown.told) == (None, None, None)


def test_the_result_is_json() -> None:
    found = json.loads(json.dumps(evaluate(LABELS, IMAGES).to_json()))
    assert found["mistakes"][0] == {
        "image": "dog/cat.png",
        "label": "dog",
        "said": "cat",
        "probability": 0.9,
        "none_of_these": None,
        "image_id": None,
    }
    assert found["per_class"][2]["recall"] is None
