import time

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed.job_times import compare_jobs


def test_both_ways_learn_the_same(tiny_backbone: Backbone) -> None:
    result = compare_jobs(
        tiny_backbone, num_jobs=2, iterations=2, way=2, shot=1, repeats=1, num_threads=1, stopwatch=time.perf_counter
    )
    assert set(result["seconds"]) == {"one_by_one", "stacked"}
    assert result["jobs_per_hour"]["stacked"] > 0
    assert result["largest_difference"] < 1e-4
