from pathlib import Path
from time import perf_counter

import pytest

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed import stored_adapters
from vtt_core.bench.speed.stored_adapters import serving_from_disk


@pytest.mark.slow
def test_a_batch_is_answered_by_adapters_from_disk_of_which_some_are_in_memory(
    tiny_backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_adapters, "CACHED", 2)
    loaded: list[int] = []
    load = stored_adapters._load
    monkeypatch.setattr(stored_adapters, "_load", lambda *given: loaded.append(given[-1]) or load(*given))
    ways = serving_from_disk(tiny_backbone, tmp_path, 5, num_images=8, stopwatch=perf_counter)
    assert sorted(path.name for path in tmp_path.iterdir()) == list("01234")
    num_loads = {}
    for name, answer in ways.items():
        loaded.clear()
        assert len(answer()) == 8  # type: ignore[arg-type]
        num_loads[name] = len(loaded)
    assert num_loads["none in memory"] == 8
    assert 0 < num_loads["at random"] < 8
    assert num_loads["one, in memory"] == 0
