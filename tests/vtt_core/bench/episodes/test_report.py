"""The report has the right means and intervals, every pair and every condition."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest

from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.methods import FROZEN
from vtt_core.bench.episodes.report import make_report, to_markdown
from vtt_core.bench.episodes.runner import Benchmark
from vtt_core.bench.episodes.sampling import Protocol
from vtt_core.contract.method_spec import parse_specs

ZERO_SHOT, VTT = (0.2, 0.4, 0.3), (0.5, 0.6, 0.7)
STOPPED = (None, 100, 120)


def report(bank: ImageBank, num_episodes: int = 3, more: dict[str, float] | None = None) -> dict[str, Any]:
    protocol = Protocol(way=3, shot=2, num_queries=2, num_episodes=num_episodes, seed=1)
    benchmark = Benchmark(bank, protocol, parse_specs("zero-shot,clip-lora+vtt", FROZEN), 1, "cpu")
    keys = [benchmark.key(spec) for spec in benchmark.specs]
    log = EpisodeLog()
    for number in range(num_episodes):
        facts = {"absorption_stopped_at": STOPPED[number], "first_conflict_cosine": 0.5} | (more or {})
        log.append(EpisodeLine(keys[0], "zero-shot", number, ZERO_SHOT[number], 1.0, "cpu"))
        log.append(EpisodeLine(keys[1], "clip-lora+vtt", number, VTT[number], 4.0, "gpu", facts))
    return make_report(benchmark, log)


def test_means_and_intervals_are_those_worked_out_by_hand(bank: ImageBank) -> None:
    result = report(bank)
    assert result["methods"]["zero-shot"]["mean"] == pytest.approx(0.3)
    assert result["methods"]["zero-shot"]["ci95"] == pytest.approx(4.302653 * 0.1 / sqrt(3))
    # Differences 0.3, 0.2, 0.4: mean 0.3, deviation 0.1.
    for name, sign in (("clip-lora+vtt minus zero-shot", 1), ("zero-shot minus clip-lora+vtt", -1)):
        assert result["paired"][name]["mean"] == pytest.approx(sign * 0.3)
        assert result["paired"][name]["ci95"] == pytest.approx(4.302653 * 0.1 / sqrt(3))
    assert result["methods"]["clip-lora+vtt"]["seconds_per_episode"] == 4.0


def test_the_result_says_under_what_it_holds(bank: ImageBank) -> None:
    result = report(bank)
    assert set(result["versions"]) >= {"torch", "open_clip_torch", "vtt-service", "python"}
    assert result["backbone"] == {"id": bank.backbone.backbone_id, "sha256": bank.backbone.weight_sha256}
    assert result["data"]["sha256"] == bank.sha256
    assert result["protocol"] == {"way": 3, "shot": 2, "num_queries": 2, "num_episodes": 3, "seed": 1, "by_patient": True}
    assert (result["episodes"], result["threads"]) == (3, 1)
    assert result["device"] == "cpu, gpu"
    assert result["methods"]["clip-lora+vtt"]["recipe"]["iterations"] == 250
    assert "recipe" not in result["methods"]["zero-shot"]


def test_absorption_is_summed_up(bank: ImageBank) -> None:
    assert report(bank)["methods"]["clip-lora+vtt"]["absorption"] == {
        "stopped_episodes": 2,
        "mean_stopped_at": 110,
        "mean_first_conflict_cosine": 0.5,
    }


def test_one_episode_has_no_interval(bank: ImageBank) -> None:
    result = report(bank, num_episodes=1)
    key = result["methods"]["zero-shot"].pop("key")
    assert len(key) == 64
    assert result["methods"]["zero-shot"] == {"mean": 0.2, "ci95": None, "seconds_per_episode": 1.0}
    assert "| zero-shot | 20.00 | unknown |" in to_markdown(result)


def test_markdown_has_a_row_for_each_method_and_each_pair_once(bank: ImageBank) -> None:
    text = to_markdown(report(bank))
    assert "| zero-shot | 30.00 | ± 24.84 | 1.00 |" in text
    assert "| clip-lora+vtt minus zero-shot | +30.00 | ± 24.84 |" in text
    assert "zero-shot minus clip-lora+vtt" not in text
    assert "3-way 2-shot, 2 queries a class, 3 episodes, seed 1, no patient on both sides" in text


def test_measures_stand_beside_accuracy_where_a_method_has_them(bank: ImageBank) -> None:
    result = report(bank, more={"calibration_error": 0.125, "coverage_0.9": 0.925, "set_size_0.9": 1.5})
    measures = result["methods"]["clip-lora+vtt"]["measures"]
    assert measures["coverage_0.9"] == {"mean": pytest.approx(0.925), "ci95": pytest.approx(0), "episodes": 3}
    assert "measures" not in result["methods"]["zero-shot"]
    text = to_markdown(result)
    assert "| method | accuracy % | 95 % interval | calibration error % | coverage % at 0.9 (classes) | seconds" in text
    assert "| zero-shot | 30.00 | ± 24.84 | - | - | 1.00 |" in text
    assert "| 12.5 | 92.5 (1.50) | 4.00 |" in text
