"""Keep one benchmark open in memory: the next chunk most likely is of the same."""

from __future__ import annotations

import io

from app.infra.benchmarks import BenchmarkBlobs, EpisodesSpec
from vtt_core.backbones.backbone import Backbone
from vtt_core.bench.episodes.bundle import read_bundle
from vtt_core.bench.episodes.methods import FROZEN
from vtt_core.bench.episodes.runner import Benchmark
from vtt_core.bench.episodes.sampling import Protocol
from vtt_core.contract.errors import InputError
from vtt_core.contract.method_spec import parse_specs

BANK_BYTES = 2**28
"""Of decoded images and features that a worker keeps beside everything else."""


class BenchmarkCache:
    """Opens a benchmark when it is another than the last one."""

    def __init__(self) -> None:
        self._id = ""
        self._kept: Benchmark | None = None

    def get(self, benchmark_id: str, blobs: BenchmarkBlobs, order: EpisodesSpec, backbone: Backbone) -> Benchmark:
        """Return the benchmark of an order.

        Args:
            benchmark_id: names the order.
            blobs: hold its images.
            order: what to compute.
            backbone: of the order, frozen.

        Raises:
            InputError: this worker's results would be others than the order asks for.
        """
        if self._kept is None or self._id != benchmark_id or self._kept.bank.backbone is not backbone:
            self.clear()
            bank = read_bundle(io.BytesIO(blobs.bundle()), backbone, BANK_BYTES)
            specs = parse_specs(order.methods, FROZEN, order.recipe_changes, backbone_id=order.backbone_id)
            benchmark = Benchmark(bank, Protocol(**order.protocol), specs, order.threads, backbone.device.type)
            check_conditions(benchmark, order)
            self._id, self._kept = benchmark_id, benchmark
        return self._kept

    def clear(self) -> None:
        """Let go of images and backbone."""
        self._id, self._kept = "", None


def check_conditions(benchmark: Benchmark, order: EpisodesSpec) -> None:
    """Refuse to compute what would not be comparable with the other workers' part.

    Raises:
        InputError: device, weights or library versions differ.
    """
    ours = benchmark.conditions
    differing = [name for name, value in order.conditions.items() if ours.get(name) != value]
    if differing:
        raise InputError(
            expected="a worker with " + ", ".join(f"{name} {order.conditions[name]}" for name in differing),
            got=", ".join(f"{name} {ours.get(name)}" for name in differing),
            remedy="Install the same versions everywhere, and name the workers' --device",
        )
