from time import perf_counter

import pytest

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed.step_times import RATIOS, compare_steps


@pytest.mark.slow
def test_every_alternative_is_timed_and_every_ratio_is_that_of_its_two(tiny_backbone: Backbone) -> None:
    result = compare_steps(tiny_backbone, way=2, batch_size=4, repeats=1, num_threads=2, stopwatch=perf_counter)
    seconds = {name: spread["median"] for name, spread in result["seconds"].items()}
    assert (
        set(seconds)
        == {"released", "plain", "fast_float32", "fast", "floor", "fast_off", "floor_off"}
        == set(result["peak_bytes"])
    )
    assert min(seconds.values()) > 0
    for name, (above, below) in RATIOS.items():
        assert result[name] == pytest.approx(seconds[above] / seconds[below])
