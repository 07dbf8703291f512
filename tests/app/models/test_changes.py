"""Names and thresholds of models, and what a list of models leaves out, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fixtures.http_api import Api

METRICS: dict[str, Any] = {
    "expected_accuracy": {"accuracy": 0.8, "low": 0.6, "high": 0.9},
    "num_support_images": 2,
    "confusion": [[1, 0], [0, 1]],
    "mistakes": [{"image": "a.png", "label": "cat", "said": "dog", "probability": 0.9}],
    "per_class": [{"label": "cat", "num_images": 1, "num_held_out": 1, "recall": 1.0}],
    "groups": {"count": 2, "near_duplicates": [["a.png", "b.png"]], "suspected_leaks": 0},
    "advice": ["More images would help."],
    "something_new": [0] * 1000,
}


def test_a_model_is_renamed_and_keeps_its_threshold(api: Api) -> None:
    model_id = api.publish()
    for change, name, false_rejects in (
        ({"false_rejects": 0.02}, "", 0.02),
        ({"name": " leaves "}, "leaves", 0.02),
        ({"false_rejects": None}, "leaves", None),
        ({"name": "", "false_rejects": 0.1}, "", 0.1),
    ):
        answer = api.client.patch(f"/v1/models/{model_id}", json=change)
        assert (answer.status_code, answer.json()["name"], answer.json()["false_rejects"]) == (200, name, false_rejects)
    assert api.client.get(f"/v1/models/{model_id}").json() == answer.json()


@pytest.mark.parametrize("change", [{}, {"name": None}, {"name": "a\nb"}, {"name": "n" * 201}, {"labels": []}])
def test_a_change_that_is_none_is_refused(api: Api, change: dict[str, Any]) -> None:
    answer = api.client.patch(f"/v1/models/{api.publish()}", json=change)
    assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")


def test_a_list_leaves_out_what_grows_with_classes_and_images(api: Api) -> None:
    model_id = api.publish(metrics=METRICS)
    (listed,) = api.client.get("/v1/models").json()["items"]
    shown = api.client.get(f"/v1/models/{model_id}").json()
    assert shown["metrics"].keys() == METRICS.keys()
    assert listed["metrics"].keys() == {"expected_accuracy", "num_support_images"}
    assert listed["metrics"]["expected_accuracy"] == shown["metrics"]["expected_accuracy"]
    assert {**listed, "metrics": None} == {**shown, "metrics": None}
