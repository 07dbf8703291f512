"""What a batch's result looks like as a file."""

from __future__ import annotations

import json

import pytest

from app.batches.results import csv_lines, json_lines, safe_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_compute_gets_a_quote(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("cell", ["a=1", "leaf", "", None, -0.5, 1])
def test_other_cells_stay_as_they_are(cell: object) -> None:
    assert safe_cell(cell) == cell


def test_names_of_files_and_classes_are_made_safe() -> None:
    refusal = {"code": "c", "expected": "e", "got": "g", "remedy": "r"}
    text = "".join(csv_lines(["-spiral"], [{"file": "=cmd.png", "status": 422, **refusal}]))
    assert text.splitlines()[0].endswith("prediction_set,'-spiral,code,reason")
    assert text.splitlines()[1].startswith("'=cmd.png,422,")


def test_many_rows_come_in_pieces_that_fit_together() -> None:
    rows = [{"file": f"{place}.png", "status": 200, "label": "cat", "probabilities": {"cat": 1.0}} for place in range(200)]
    pieces = list(csv_lines(["cat"], rows))
    assert len(pieces) > 2
    assert len("".join(pieces).splitlines()) == 201
    assert json.loads("".join(json_lines({"id": "bat_1"}, rows))) == {"id": "bat_1", "predictions": rows}
