"""Summarise trials with unknown images: means over the episodes with 95 % intervals, as JSON values and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from vtt_core.bench.unknown.trials import Trial
from vtt_core.contract.interval import mean_half_width


def summarise_trials(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the means of at least one trial; intervals are unknown (null) for a single one."""
    return {
        "episodes": len(trials),
        "accuracy": _interval([trial.accuracy for trial in trials]),
        "false_rejects": _interval([trial.false_rejects for trial in trials]),
        "out": {
            name: {
                "false_accepts": _interval([trial.false_accepts[name] for trial in trials]),
                "auroc": _interval([trial.auroc[name] for trial in trials]),
            }
            for name in trials[0].false_accepts
        },
    }


def unknown_markdown(result: Mapping[str, Any]) -> str:
    """Return the table of a result, in percent."""
    protocol, backbone = result["protocol"], result["backbone"]
    lines = [
        "# Unknown images",
        "",
        f"{result['method']} on {result['in']}, {protocol['way']}-way {protocol['shot']}-shot, {result['episodes']} episodes, "
        f"seed {protocol['seed']}, {result['images']} images of each set and episode, backbone {backbone['id']} "
        f"({backbone['sha256'][:12]}), {result['threads']} threads, torch {result['versions']['torch']}.",
        "",
        f"Accuracy of the queries: {_percent(result['accuracy'])} %. "
        f"Rejected by mistake: {_percent(result['false_rejects'])} %, asked for {100 * result['asked_false_rejects']:g} %.",
        "",
        "| images of none of the classes | accepted by mistake % | AUROC % |",
        "| --- | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {_percent(row['false_accepts'])} | {_percent(row['auroc'])} |" for name, row in result["out"].items()
    ]
    return "\n".join(lines) + "\n"


def _interval(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": mean(values), "ci95": mean_half_width(values) if len(values) > 1 else None}


def _percent(values: Mapping[str, float | None]) -> str:
    assert values["mean"] is not None
    text = f"{100 * values['mean']:.1f}"
    return text if values["ci95"] is None else f"{text} ± {100 * values['ci95']:.1f}"
