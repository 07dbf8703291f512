from pathlib import Path
from time import perf_counter

import pytest

from vtt_core.bench.speed import growth


@pytest.mark.slow
def test_there_is_a_curve_for_each_quantity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, values in {
        "WAYS": (2, 3),
        "SHOTS": (1, 2),
        "SIDES_PIXELS": (16, 24),
        "DEPTHS": (1, 2),
        "NUMBERS_OF_ADAPTERS": (1, 3),
        "NUMBERS_STORED": (1, 3),
        "BATCH_SIZE": 3,
        "IMAGES_SERVED": 2,
    }.items():
        monkeypatch.setattr(growth, name, values)
    measures = growth.training_and_serving(tmp_path, repeats=1, num_threads=1, stopwatch=perf_counter)
    curves = {title: measure() for title, measure in measures.items()}
    assert list(curves) == ["way", "shot", "image size", "depth", "adapters", "stored adapters"]
    for curve in curves.values():
        assert len(curve.x) == 2
        assert all(len(milliseconds) == 2 and min(milliseconds) > 0 for milliseconds in curve.milliseconds.values())
    assert set(curves["way"].milliseconds) == {"fast", "floor", "fast_off", "preparation, once"}
    assert "bare backbone" in curves["adapters"].milliseconds
    assert len(list((tmp_path / "stored").iterdir())) == 3
