"""Summarise a benchmark: mean accuracies and other measures, paired differences, 95 % intervals; as JSON values and Markdown.

Source: docs/datasets.md, "Protocol"; the interval of a mean over independent episodes (vtt_core/contract/interval.py).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import combinations, permutations
from statistics import mean
from typing import Any

from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog
from vtt_core.bench.episodes.measures import CALIBRATION_ERROR, COVERAGES, MEASURES, coverage_name, set_size_name
from vtt_core.bench.episodes.runner import Benchmark
from vtt_core.contract.interval import mean_half_width

TITLE = "# Episodes"


def make_report(benchmark: Benchmark, log: EpisodeLog) -> dict[str, Any]:
    """Return the result of a finished benchmark.

    Args:
        benchmark: what was run.
        log: its lines.
    """
    numbers = range(benchmark.protocol.num_episodes)
    lines = {spec.text: log.of(benchmark.key(spec), numbers) for spec in benchmark.specs}
    for name, of_method in lines.items():
        assert len(of_method) == len(numbers), f"{name} has {len(of_method)} of {len(numbers)} episodes"
    bank, conditions = benchmark.bank, benchmark.conditions
    return {
        "methods": {
            spec.text: {"key": benchmark.key(spec)} | _method(lines[spec.text], spec.recipe) for spec in benchmark.specs
        },
        "paired": {f"{one} minus {other}": _paired(lines[one], lines[other]) for one, other in permutations(lines, 2)},
        "episodes": len(numbers),
        "protocol": asdict(benchmark.protocol) | {"by_patient": bank.group_I is not None},
        "backbone": conditions["backbone"],
        "data": {"sha256": bank.sha256, "images": len(bank.images), "classes": list(bank.labels)},
        "device": ", ".join(sorted({line.device for of_method in lines.values() for line in of_method})),
        "threads": benchmark.num_threads,
        "versions": conditions["versions"] | {"python": platform.python_version()},
    }


def _method(lines: Sequence[EpisodeLine], recipe: Any) -> dict[str, Any]:
    result = _interval([line.accuracy for line in lines])
    result["seconds_per_episode"] = mean(line.seconds for line in lines)
    if measures := _measures(lines):
        result["measures"] = measures
    if recipe is not None:
        result["recipe"] = recipe.to_json()
    stopped = [line.facts["absorption_stopped_at"] for line in lines if "absorption_stopped_at" in line.facts]
    if stopped:
        steps = [step for step in stopped if step is not None]
        result["absorption"] = {
            "stopped_episodes": len(steps),
            "mean_stopped_at": mean(steps) if steps else None,
            "mean_first_conflict_cosine": _mean_of([line.facts.get("first_conflict_cosine") for line in lines]),
        }
    return result


def _measures(lines: Sequence[EpisodeLine]) -> dict[str, Any]:
    """Return the mean of what lines say besides accuracy; a line of an older log may lack it."""
    measures = {}
    for name in MEASURES:
        values = [line.facts[name] for line in lines if name in line.facts]
        if values:
            measures[name] = _interval(values) | {"episodes": len(values)}
    return measures


def _paired(one: Sequence[EpisodeLine], other: Sequence[EpisodeLine]) -> dict[str, Any]:
    assert [line.episode for line in one] == [line.episode for line in other]
    return _interval([first.accuracy - second.accuracy for first, second in zip(one, other, strict=True)])


def _interval(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": mean(values), "ci95": mean_half_width(values) if len(values) > 1 else None}


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def to_markdown(result: Mapping[str, Any]) -> str:
    """Return the tables of a result, in percent."""
    lines = [TITLE, "", _circumstances(result), "", *_method_rows(result["methods"])]
    if len(result["methods"]) > 1:
        lines += ["", "| paired difference | points | 95 % interval |", "| --- | ---: | ---: |"]
    for earlier, later in combinations(result["methods"], 2):
        name = f"{later} minus {earlier}"
        row = result["paired"][name]
        lines.append(f"| {name} | {100 * row['mean']:+.2f} | {_half_width(row)} |")
    return "\n".join(lines) + "\n"


def _method_rows(methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a table; it has no column that is empty for all methods."""
    of_methods = [row.get("measures", {}) for row in methods.values()]
    has_errors = any(CALIBRATION_ERROR in measures for measures in of_methods)
    coverages = [wanted for wanted in COVERAGES if any(coverage_name(wanted) in measures for measures in of_methods)]
    columns = ["accuracy %", "95 % interval"]
    columns += ["calibration error %"] if has_errors else []
    columns += [f"coverage % at {wanted:g} (classes)" for wanted in coverages] + ["seconds an episode"]
    lines = ["| method | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for (name, row), measures in zip(methods.items(), of_methods, strict=True):
        cells = [f"{100 * row['mean']:.2f}", _half_width(row)]
        cells += [f"{100 * measures[CALIBRATION_ERROR]['mean']:.1f}" if CALIBRATION_ERROR in measures else "-"] * has_errors
        cells += [_coverage_cell(measures, wanted) for wanted in coverages]
        lines.append(f"| {name} | " + " | ".join([*cells, f"{row['seconds_per_episode']:.2f}"]) + " |")
    return lines


def _coverage_cell(measures: Mapping[str, Any], wanted: float) -> str:
    if coverage_name(wanted) not in measures:
        return "-"
    coverage, size = measures[coverage_name(wanted)]["mean"], measures[set_size_name(wanted)]["mean"]
    return f"{100 * coverage:.1f} ({size:.2f})"


def _circumstances(result: Mapping[str, Any]) -> str:
    protocol, backbone = result["protocol"], result["backbone"]
    parts = [
        f"{protocol['way']}-way {protocol['shot']}-shot",
        f"{protocol['num_queries']} queries a class",
        f"{result['episodes']} episodes",
        f"seed {protocol['seed']}",
        *(["no patient on both sides"] if protocol["by_patient"] else []),
        f"backbone {backbone['id']} ({backbone['sha256'][:12]})",
        f"data {result['data']['sha256'][:12]}",
        result["device"],
        f"{result['threads']} threads",
        f"torch {result['versions']['torch']}",
    ]
    return ", ".join(parts) + "."


def _half_width(row: Mapping[str, Any]) -> str:
    return "unknown" if row["ci95"] is None else f"± {100 * row['ci95']:.2f}"
