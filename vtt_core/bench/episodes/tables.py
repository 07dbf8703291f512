"""Put the results of several data sets into one table: a row for each method, a column for each data set, and the average.

Source: docs/datasets.md, "Protocol". Episodes of different data sets are independent, so the variance of their average is the
    sum of the variances over the square of their number. Half widths are combined in the same way, which is a little too
    wide for few episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import mean
from typing import Any

from vtt_core.contract.errors import InputError

Results = Mapping[str, Mapping[str, Any]]
"""Results of `make_report` by column name."""


def make_table(results: Results, against: str | None = None) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return mean and interval of every method on every data set and on average, as fractions.

    Args:
        results: of at least one data set.
        against: subtract this method's accuracies from the others'; None for plain accuracies.

    Raises:
        InputError: no method is in all results, or `against` is not.
    """
    methods = _common_methods(results)
    if against is not None:
        if against not in methods:
            raise InputError(
                expected="a method that every result has: " + ", ".join(methods), got=repr(against), remedy="Correct --against"
            )
        methods = [method for method in methods if method != against]
    return {method: _line(method, results, against) for method in methods}


def _common_methods(results: Results) -> list[str]:
    first = next(iter(results.values()))
    methods = [method for method in first["methods"] if all(method in result["methods"] for result in results.values())]
    if not methods:
        raise InputError(
            expected="a method that every result has",
            got="; ".join(f"{name}: {', '.join(result['methods'])}" for name, result in results.items()),
            remedy="Give results of runs with the same --methods",
        )
    return methods


def _line(method: str, results: Results, against: str | None) -> dict[str, dict[str, float | None]]:
    def values_of(result: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = (
            result["methods"][method] if against is None else result["paired"][f"{method} minus {against}"]
        )
        return found

    line = {name: {key: values_of(result)[key] for key in ("mean", "ci95")} for name, result in results.items()}
    return line | {"average": _average(list(line.values()))}


def _average(cells: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    means = [cell["mean"] for cell in cells if cell["mean"] is not None]
    widths = [cell["ci95"] for cell in cells if cell["ci95"] is not None]
    is_known = len(widths) == len(cells)
    return {"mean": mean(means), "ci95": sqrt(sum(width**2 for width in widths)) / len(cells) if is_known else None}


def table_markdown(results: Results, against: str | None = None) -> str:
    """Return the table in percent, or in points of difference."""
    table = make_table(results, against)
    columns = [*results, "average"]
    head = "method" if against is None else f"minus {against}"
    lines = [f"| {head} | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for method, line in table.items():
        lines.append(
            f"| {method} | " + " | ".join(_cell(line[column], is_signed=against is not None) for column in columns) + " |"
        )
    return "\n".join(lines) + "\n"


def _cell(values: Mapping[str, float | None], *, is_signed: bool) -> str:
    assert values["mean"] is not None
    value = f"{100 * values['mean']:{'+' if is_signed else ''}.2f}"
    return value if values["ci95"] is None else f"{value} ± {100 * values['ci95']:.2f}"
