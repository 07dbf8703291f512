"""Write the result of a batch as JSON or CSV, a chunk in memory at a time."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.domain.batches import BatchState
from app.domain.errors import BatchNotReadyError
from app.infra.tables import BatchRow

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters by which a spreadsheet takes a text for a formula."""
COLUMNS = ("file", "status", "label", "probability", "none_of_these", "familiarity", "negative_probability", "prediction_set")
REFUSAL = ("code", "reason")
"""Last columns: why a file was refused."""
ROWS_AT_ONCE = 64


def check_ready(row: BatchRow) -> None:
    """Refuse to show the result of a batch that has none.

    Raises:
        BatchNotReadyError: it has not succeeded.
    """
    if row.state != BatchState.SUCCEEDED:
        is_over = BatchState(row.state).is_final
        raise BatchNotReadyError(
            expected="a batch that has succeeded",
            got=f"{row.id}, which is {row.state}",
            remedy=f"See why with GET /v1/predictions/{row.id}"
            if is_over
            else "Ask GET /v1/predictions/{id} until it has ended",
        )


def begun(results: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Read the first result now, so that a store that is away is told by a status, and return all of them."""
    return itertools.chain(list(itertools.islice(results, 1)), results)


def json_lines(head: Mapping[str, Any], results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a JSON object with the fields of `head` and the list `predictions`, an entry on a line."""
    opening = json.dumps(dict(head), ensure_ascii=False)
    yield opening[:-1] + ', "predictions": ['
    separator = "\n"
    for result in results:
        yield separator + json.dumps(result, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def csv_lines(labels: Sequence[str], results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a CSV file: a row for each file, with a column for each class."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow([*COLUMNS, *map(safe_cell, labels), *REFUSAL])
    for place, result in enumerate(results, start=1):
        writer.writerow(_cells(labels, result))
        if place % ROWS_AT_ONCE == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def safe_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: a quote comes before a text that begins like one."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _cells(labels: Sequence[str], result: Mapping[str, Any]) -> list[Any]:
    probabilities = result.get("probabilities") or {}
    likely = result.get("prediction_set")
    reason = f"expected {result['expected']}, got {result['got']}. {result['remedy']}" if result.get("code") else None
    cells = [
        result["file"],
        result["status"],
        result.get("label"),
        probabilities.get(result.get("label")),
        {True: "true", False: "false"}.get(result.get("none_of_these")),  # type: ignore[arg-type]
        result.get("familiarity"),
        result.get("negative_probability"),
        None if likely is None else "; ".join(likely),
        *(probabilities.get(label) for label in labels),
        result.get("code"),
        reason,
    ]
    return [safe_cell(cell) for cell in cells]
