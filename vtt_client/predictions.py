"""Predictions of a folder as rows, as CSV, or as a DataFrame."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from vtt_client.errors import VttClientError
from vtt_client.models import ImagePrediction

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula."""


class Predictions(Sequence[ImagePrediction]):
    """The prediction for each image, in the order of their names.

    Args:
        items: of the images.
    """

    def __init__(self, items: Sequence[ImagePrediction]) -> None:
        self._items = list(items)

    def __getitem__(self, place: Any) -> Any:
        """Return a prediction, or several."""
        return self._items[place]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[ImagePrediction]:
        return iter(self._items)

    @property
    def labels(self) -> list[str]:
        """Classes of the model, in alphabetical order."""
        return sorted({label for item in self._items for label in item.probabilities or {}})

    def rows(self) -> list[dict[str, Any]]:
        """Return a flat row for each image: the columns of the CSV of a batch."""
        labels = self.labels
        return [_row(item, labels) for item in self._items]

    def to_csv(self, path: str | Path) -> Path:
        """Write the rows as CSV; a text that a spreadsheet would take for a formula begins with a quote."""
        target, rows = Path(path), self.rows()
        with target.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([_safe(name) for name in rows[0]] if rows else [])
            writer.writerows([_safe(value) for value in row.values()] for row in rows)
        return target

    def to_dataframe(self) -> Any:
        """Return the rows as a pandas DataFrame.

        Raises:
            VttClientError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise VttClientError(
                code="client.missing_package",
                title="Missing package",
                expected="pandas",
                got="an environment without it",
                remedy="Install pandas: pip install pandas",
            ) from error
        return pandas.DataFrame(self.rows())


def _row(item: ImagePrediction, labels: Sequence[str]) -> dict[str, Any]:
    probabilities = item.probabilities or {}
    return {
        "file": item.file,
        "status": item.status,
        "label": item.label,
        "probability": probabilities.get(item.label or ""),
        "none_of_these": item.none_of_these,
        "familiarity": item.familiarity,
        "negative_probability": item.negative_probability,
        "prediction_set": None if item.prediction_set is None else "; ".join(item.prediction_set),
        **{f"p({label})": probabilities.get(label) for label in labels},
        "code": item.code,
        "reason": None if item.code is None else f"expected {item.expected}, got {item.got}. {item.remedy}",
    }


def _safe(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
