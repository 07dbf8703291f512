from pathlib import Path
from time import perf_counter

import pytest

from app.cli.bench import growth_sets


@pytest.mark.slow
def test_image_sets_are_added_listed_and_removed_at_each_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth_sets, "NUMBERS_OF_SETS", (20, 40))
    curve = growth_sets.measure_sets(tmp_path / "sets", repeats=2, stopwatch=perf_counter, num_points=None)
    assert curve.x == (20, 40)
    assert list(curve.milliseconds) == ["add a set", "list a page", "read an image", "sweep", "remove a set"]
    assert all(min(values) > 0 for values in curve.milliseconds.values())
    stored = tmp_path / "sets" / "40" / "blobs" / growth_sets.FOLDER
    assert len(list(stored.glob("set_0*/image"))) == 40
    assert not list(stored.glob("set_new*/*"))
