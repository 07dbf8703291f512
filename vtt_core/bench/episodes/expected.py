"""Compare the accuracy that methods expect of themselves with their accuracy on an episode's queries.

The queries are few as well: with 75 of them, chance alone moves the accuracy by 5 points. So an interval that is right for the
true accuracy holds this one less often. The bias does not suffer: it is a mean over many episodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from vtt_core.bench.episodes.episode_log import EpisodeLine
from vtt_core.bench.episodes.measures import EXPECTED, EXPECTED_HIGH, EXPECTED_LOW
from vtt_core.contract.interval import mean_half_width, wilson_interval


@dataclass(frozen=True)
class ExpectedLine:
    """What a method expected of itself in one episode, and what came."""

    name: str
    """Of the result that the episode is from."""
    expected: float
    low: float
    high: float
    real: float
    """Accuracy on the queries."""

    @property
    def holds(self) -> bool:
        """Whether the interval holds the real accuracy."""
        return self.low <= self.real <= self.high


def expected_lines(name: str, lines: Iterable[EpisodeLine]) -> list[ExpectedLine]:
    """Return the lines of a log that have an expectation."""
    return [
        ExpectedLine(name, line.facts[EXPECTED], line.facts[EXPECTED_LOW], line.facts[EXPECTED_HIGH], line.accuracy)
        for line in lines
        if EXPECTED in line.facts
    ]


def summarise(lines: Sequence[ExpectedLine]) -> dict[str, Any]:
    """Return how good the expectations of one method are, as JSON values.

    Args:
        lines: at least one.
    """
    gaps = [line.expected - line.real for line in lines]
    num_held = sum(line.holds for line in lines)
    low, high = wilson_interval(num_held, len(lines))
    return {
        "episodes": len(lines),
        "expected": mean(line.expected for line in lines),
        "real": mean(line.real for line in lines),
        "bias": mean(gaps),
        "ci95": mean_half_width(gaps) if len(gaps) > 1 else None,
        "deviation": stdev(gaps) if len(gaps) > 1 else None,
        "held": num_held / len(lines),
        "held_low": low,
        "held_high": high,
    }


def expected_markdown(table: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Return a table in percent: a row for each method and result, and one for all results of a method.

    Args:
        table: of `summarise`, by method and result.
    """
    lines = [
        "| method | result | episodes | expected % | real % | bias in points | spread | intervals that hold, % |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for method, results in table.items():
        for name, row in results.items():
            half = "" if row["ci95"] is None else f" ± {100 * row['ci95']:.2f}"
            spread = "-" if row["deviation"] is None else f"{100 * row['deviation']:.1f}"
            held = f"{100 * row['held']:.1f} ({100 * row['held_low']:.1f} to {100 * row['held_high']:.1f})"
            cells = (
                f"{100 * row['expected']:.2f}",
                f"{100 * row['real']:.2f}",
                f"{100 * row['bias']:+.2f}{half}",
                spread,
                held,
            )
            lines.append(f"| {method} | {name} | {row['episodes']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
