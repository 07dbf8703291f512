from pathlib import Path
from time import perf_counter

import pytest
import torch

from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.speed.serve_times import compare_batches, largest_difference, time_cold_loads
from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter
from vtt_core.serving.engine import BatchItem
from vtt_core.serving.served import make_served


def test_ratios_are_those_of_throughputs(tiny_backbone: Backbone) -> None:
    result = compare_batches(
        tiny_backbone, batch_size=4, registered=[1, 6], repeats=1, precision="float32", stopwatch=perf_counter
    )
    per_second = result["images_per_second"]
    assert result["distinct4_over_bare"] == pytest.approx(per_second["distinct"] / per_second["bare"])
    assert result["adapters6_over_1"] == pytest.approx(per_second["adapters_6"] / per_second["adapters_1"])
    assert set(result["ratio_quartiles"]) <= set(result)
    assert result["largest_difference_to_merged"] < 1e-5
    headed = make_served(synthetic_adapter(tiny_backbone, 0, has_head=True), torch.device("cpu"), "float32")
    assert result["adapter_bytes"] == headed.size_bytes


def test_a_lora_that_is_not_applied_would_show(tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    side = tiny_backbone.preprocessing.side_pixels
    adapters = [make_served(synthetic_adapter(tiny_backbone, seed), torch.device("cpu"), "float32") for seed in range(2)]
    items = [BatchItem(torch.randn(3, side, side), adapter) for adapter in adapters]
    assert largest_difference(tiny_backbone, items) < 1e-5
    monkeypatch.setattr("vtt_core.serving.mixed_lora.GatheredLayer.add_to", lambda self, packed, x, dropout=None: packed)
    assert largest_difference(tiny_backbone, items) > 1e-3


def test_cold_loads_are_timed_alone_and_beside_others(tiny_backbone: Backbone, tmp_path: Path) -> None:
    result = time_cold_loads(tiny_backbone, tmp_path, precision="float16", repeats=1, stopwatch=perf_counter)
    assert result["cold_load_ms"] > 0
    assert result["warm_beside_cold_over_alone"] > 0
