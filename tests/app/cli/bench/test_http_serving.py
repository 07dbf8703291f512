"""Throughput over HTTP, measured against a real process."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.bench.http_serving import measure_cold_start, measure_http


@pytest.mark.services
@pytest.mark.slow
def test_a_process_of_the_api_answers_with_drawn_models_and_is_stopped(tmp_path: Path) -> None:
    from vtt_core.backbones.load import load_backbone

    result = measure_http(load_backbone("mini"), tmp_path, num_clients=4, num_requests=12, num_threads=1)
    assert result["http_over_bare"] == pytest.approx(result["http_images_per_second"] / result["bare_loop_images_per_second"])
    half_load = result["half_load"]
    assert 0 < half_load["median_ms"] <= half_load["p99_ms"]
    assert half_load["p99_over_median"] == pytest.approx(half_load["p99_ms"] / half_load["median_ms"])


@pytest.mark.services
@pytest.mark.slow
def test_the_first_requests_of_a_process_are_counted_by_their_answers(tmp_path: Path) -> None:
    from vtt_core.backbones.load import load_backbone

    result = measure_cold_start(load_backbone("mini"), tmp_path, num_clients=4, num_requests=12, num_threads=1)
    assert result["statuses"] == {"200": 12}
    assert 0 < result["median_ms"] <= result["longest_ms"]
