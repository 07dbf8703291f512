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

from vtt_core.bench.episodes.measures import ACCURACY, MEASURES, SIZE_MEASURES
from vtt_core.contract.errors import InputError

Results = Mapping[str, Mapping[str, Any]]
"""Results of `make_report` by column name."""


def make_table(
    results: Results, against: str | None = None, of: str = ACCURACY
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return mean and interval of every method on every data set and on average, as fractions.

    Args:
        results: of at least one data set.
        against: subtract this method's accuracies from the others'; None for plain accuracies.
        of: `accuracy`, or a name of `measures.py`.

    Raises:
        InputError: no method is in all results, or `against` is not; or the measure is unknown, or has no differences.
    """
    _check_measure(of, against)
    methods = _common_methods(results, of)
    if against is not None:
        if against not in methods:
            raise InputError(
                expected="a method that every result has: " + ", ".join(methods), got=repr(against), remedy="Correct --against"
            )
        methods = [method for method in methods if method != against]
    return {method: _line(method, results, against, of) for method in methods}


def _check_measure(of: str, against: str | None) -> None:
    if of != ACCURACY and of not in MEASURES:
        raise InputError(expected="one of " + ", ".join((ACCURACY, *MEASURES)), got=repr(of[:80]), remedy="Correct --of")
    if of != ACCURACY and against is not None:
        raise InputError(
            expected="differences of accuracies alone", got=f"--against with --of {of}", remedy="Leave one of them out"
        )


def _common_methods(results: Results, of: str) -> list[str]:
    first = next(iter(results.values()))
    methods = [method for method in first["methods"] if all(_has(result, method, of) for result in results.values())]
    if not methods and of != ACCURACY:
        raise InputError(
            expected=f"a method with {of} in every result",
            got="none",
            remedy="Give results of methods that say it, such as frozen; run `vtt bench episodes` again if they are older",
        )
    if not methods:
        raise InputError(
            expected="a method that every result has",
            got="; ".join(f"{name}: {', '.join(result['methods'])}" for name, result in results.items()),
            remedy="Give results of runs with the same --methods",
        )
    return methods


def _has(result: Mapping[str, Any], method: str, of: str) -> bool:
    methods = result["methods"]
    return method in methods and (of == ACCURACY or of in methods[method].get("measures", {}))


def _line(method: str, results: Results, against: str | None, of: str) -> dict[str, dict[str, float | None]]:
    def values_of(result: Mapping[str, Any]) -> Mapping[str, Any]:
        if against is not None:
            found: Mapping[str, Any] = result["paired"][f"{method} minus {against}"]
        else:
            found = result["methods"][method] if of == ACCURACY else result["methods"][method]["measures"][of]
        return found

    line = {name: {key: values_of(result)[key] for key in ("mean", "ci95")} for name, result in results.items()}
    return line | {"average": _average(list(line.values()))}


def _average(cells: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    means = [cell["mean"] for cell in cells if cell["mean"] is not None]
    widths = [cell["ci95"] for cell in cells if cell["ci95"] is not None]
    is_known = len(widths) == len(cells)
    return {"mean": mean(means), "ci95": sqrt(sum(width**2 for width in widths)) / len(cells) if is_known else None}


def table_markdown(results: Results, against: str | None = None, of: str = ACCURACY) -> str:
    """Return the table in percent, in points of difference, or in numbers of classes."""
    table, factor = make_table(results, against, of), 1 if of in SIZE_MEASURES else 100
    columns = [*results, "average"]
    head = f"minus {against}" if against is not None else "method" if of == ACCURACY else of
    lines = [f"| {head} | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for method, line in table.items():
        lines.append(
            f"| {method} | "
            + " | ".join(_cell(line[column], factor, is_signed=against is not None) for column in columns)
            + " |"
        )
    return "\n".join(lines) + "\n"


def _cell(values: Mapping[str, float | None], factor: int, *, is_signed: bool) -> str:
    assert values["mean"] is not None
    value = f"{factor * values['mean']:{'+' if is_signed else ''}.2f}"
    return value if values["ci95"] is None else f"{value} ± {factor * values['ci95']:.2f}"
