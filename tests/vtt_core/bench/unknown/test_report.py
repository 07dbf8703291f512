from math import sqrt
from typing import Any

import pytest

from vtt_core.bench.unknown.report import summarise_trials, unknown_markdown
from vtt_core.bench.unknown.trials import Trial

TRIALS = [
    Trial(number, accuracy=0.5, false_rejects=rejects, false_accepts={"noise": 0.25}, auroc={"noise": 1.0})
    for number, rejects in enumerate((0.0, 0.1, 0.2))
]


def result(trials: list[Trial]) -> dict[str, Any]:
    return {
        "method": "frozen",
        "in": "maps",
        "asked_false_rejects": 0.05,
        "images": 30,
        "protocol": {"way": 3, "shot": 2, "seed": 1},
        "backbone": {"id": "mini", "sha256": "ab"},
        "threads": 1,
        "versions": {"torch": "2"},
        **summarise_trials(trials),
    }


def test_means_have_students_interval_over_the_episodes() -> None:
    found = summarise_trials(TRIALS)
    assert found["false_rejects"] == {"mean": pytest.approx(0.1), "ci95": pytest.approx(4.302653 * 0.1 / sqrt(3))}
    assert found["out"]["noise"]["false_accepts"] == {"mean": 0.25, "ci95": 0.0}


def test_markdown_has_a_row_for_each_set() -> None:
    text = unknown_markdown(result(TRIALS))
    assert "Rejected by mistake: 10.0 ± 24.8 %, asked for 5 %." in text
    assert "| noise | 25.0 ± 0.0 | 100.0 ± 0.0 |" in text


def test_one_episode_has_no_interval() -> None:
    assert "| noise | 25.0 | 100.0 |" in unknown_markdown(result(TRIALS[:1]))
