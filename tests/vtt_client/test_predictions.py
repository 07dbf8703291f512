"""Predictions as a table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vtt_client import Predictions, VttClientError
from vtt_client.models import ImagePrediction

FOUND = Predictions(
    [
        ImagePrediction(
            file="=1.png", status=200, label="cat", probabilities={"cat": 0.7, "dog": 0.3}, prediction_set=["cat", "dog"]
        ),
        ImagePrediction(file="b.txt", status=422, code="image.not_an_image", expected="an image", got="text", remedy="Look"),
    ]
)


def test_a_row_has_a_column_for_each_class_and_the_reason_of_a_refusal() -> None:
    good, bad = FOUND.rows()
    assert (good["probability"], good["p(dog)"], good["prediction_set"], good["reason"]) == (0.7, 0.3, "cat; dog", None)
    assert (bad["label"], bad["reason"]) == (None, "expected an image, got text. Look")


def test_no_cell_of_a_csv_is_a_formula(tmp_path: Path) -> None:
    assert FOUND.to_csv(tmp_path / "a.csv").read_text().splitlines()[1].startswith("'=1.png,200,cat,0.7,")


def test_a_dataframe_without_pandas_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(VttClientError, match="pip install pandas"):
        FOUND.to_dataframe()


def test_it_is_a_sequence() -> None:
    assert (len(FOUND), FOUND[1].file, [one.status for one in FOUND]) == (2, "b.txt", [200, 422])
