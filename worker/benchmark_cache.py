"""Keep one benchmark in memory, since the next chunk is likely to be of the same."""

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
"""Memory for decoded images and features of the benchmark."""


class BenchmarkCache:
    """Keeps the benchmark that was used last."""

    def __init__(self) -> None:
        self._id = ""
        self._kept: Benchmark | None = None

    def get(self, benchmark_id: str, blobs: BenchmarkBlobs, spec: EpisodesSpec, backbone: Backbone) -> Benchmark:
        """Return the benchmark, opened from the store if it is not the one in memory.

        Args:
            benchmark_id: of the benchmark.
            blobs: its files in the store.
            spec: what to compute.
            backbone: the frozen backbone that the spec names.

        Raises:
            InputError: this worker's results would differ from those of other workers.
        """
        if self._kept is None or self._id != benchmark_id or self._kept.bank.backbone is not backbone:
            self.clear()
            bank = read_bundle(io.BytesIO(blobs.bundle()), backbone, BANK_BYTES)
            specs = parse_specs(spec.methods, FROZEN, spec.recipe_changes, backbone_id=spec.backbone_id)
            benchmark = Benchmark(bank, Protocol(**spec.protocol), specs, spec.threads, backbone.device.type)
            check_conditions(benchmark, spec)
            self._id, self._kept = benchmark_id, benchmark
        return self._kept

    def clear(self) -> None:
        """Free the memory of images and backbone."""
        self._id, self._kept = "", None


def check_conditions(benchmark: Benchmark, spec: EpisodesSpec) -> None:
    """Refuse to compute results that cannot be compared with those of other workers.

    Raises:
        InputError: device, weights or library versions differ.
    """
    ours = benchmark.conditions
    differing = [name for name, value in spec.conditions.items() if ours.get(name) != value]
    if differing:
        raise InputError(
            expected="a worker with " + ", ".join(f"{name} {spec.conditions[name]}" for name in differing),
            got=", ".join(f"{name} {ours.get(name)}" for name in differing),
            remedy="Install the same versions everywhere, and name the workers' --device",
        )
