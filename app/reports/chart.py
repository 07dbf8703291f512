"""Lay out the picture of accuracies: a point with its interval for each way to classify, and a line at chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.reports.metrics import Accuracy

LEFT, RIGHT, WIDTH = 10.0, 350.0, 360
"""Units of the picture; the axis from 0 to 100 % lies between left and right."""
ROW_HEIGHT, TOP = 38, 8
TICKS = (0, 25, 50, 75, 100)


@dataclass(frozen=True)
class Row:
    """One way to classify."""

    name: str
    accuracy: Accuracy
    is_served: bool = False
    """Whether it is the model that the report is about."""


@dataclass(frozen=True)
class PlacedRow:
    """A row, and where it is drawn."""

    row: Row
    text_y: float
    line_y: float
    low_x: float
    point_x: float
    high_x: float


@dataclass(frozen=True)
class Chart:
    """The picture."""

    rows: tuple[PlacedRow, ...]
    ticks: tuple[tuple[int, float], ...]
    """Per cent, and where."""
    chance_x: float
    bottom: float
    """Where the axis is."""

    @property
    def height(self) -> float:
        """Height of the picture."""
        return self.bottom + 34


def place(share: float) -> float:
    """Return where a share is on the axis."""
    return round(LEFT + (RIGHT - LEFT) * share, 1)


def make_chart(rows: Sequence[Row], chance: float) -> Chart:
    """Return the picture of some rows, the first one on top."""
    placed = tuple(
        PlacedRow(
            row,
            text_y=TOP + number * ROW_HEIGHT + 10,
            line_y=TOP + number * ROW_HEIGHT + 22,
            low_x=place(row.accuracy.low),
            point_x=place(row.accuracy.accuracy),
            high_x=place(row.accuracy.high),
        )
        for number, row in enumerate(rows)
    )
    ticks = tuple((tick, place(tick / 100)) for tick in TICKS)
    return Chart(placed, ticks, place(chance), TOP + len(rows) * ROW_HEIGHT + 4)
