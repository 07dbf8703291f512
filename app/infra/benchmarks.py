"""Exchange data between a benchmark command and the workers that compute its episodes, through the store.

    benchmarks/<id>/spec.json       what to compute; workers do nothing without it
    benchmarks/<id>/bundle.zip      the images
    benchmarks/<id>/lines/<chunk>   lines of the log, perhaps not of all methods yet
    benchmarks/<id>/errors/<chunk>  why a chunk cannot be computed
    benchmarks/<id>/wanted_at       when a command last waited for it

The id is a hash of the spec, so equal commands share these files. The command that has collected all lines removes them. If no
command waits for a benchmark during `KEPT_FOR`, the reaper removes it, since it holds a user's images.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.errors import BlobMissingError
from app.infra.object_store import ObjectStore

KEPT_FOR = timedelta(days=7)
"""How long a command that was killed can still find what its workers computed."""
_PREFIX = "benchmarks"


@dataclass(frozen=True)
class EpisodesSpec:
    """What the workers compute, as JSON values."""

    backbone_id: str
    protocol: Mapping[str, int]
    methods: str
    recipe_changes: Mapping[str, Any]
    threads: int
    chunk_episodes: int
    """Consecutive episodes in a chunk; a method computes them in one call."""
    conditions: Mapping[str, Any]
    """Device, weights and library versions of the command. A worker with different ones refuses the chunk."""

    def episodes_of(self, chunk: int) -> range:
        """Return the numbers of a chunk's episodes."""
        first = chunk * self.chunk_episodes
        return range(first, min(first + self.chunk_episodes, self.protocol["num_episodes"]))

    @property
    def num_chunks(self) -> int:
        """Number of chunks of all episodes."""
        return -(-self.protocol["num_episodes"] // self.chunk_episodes)


class BenchmarkBlobs:
    """The files of one benchmark; every method raises StoreUnavailableError while the store does not answer.

    Args:
        store: the store of the service.
        benchmark_id: of the benchmark.
    """

    def __init__(self, store: ObjectStore, benchmark_id: str) -> None:
        self._store, self._prefix = store, f"{_PREFIX}/{benchmark_id}"

    def put_spec(self, spec: EpisodesSpec, bundle: bytes) -> None:
        """Store the images, then the spec, which lets the workers begin."""
        self._store.put(f"{self._prefix}/bundle.zip", bundle)
        self._store.put(f"{self._prefix}/spec.json", json.dumps(asdict(spec)).encode())

    def note_wanted(self, now: datetime) -> None:
        """Note that a command waits for the benchmark: before anything else is stored, and repeatedly while it waits."""
        self._store.put(f"{self._prefix}/wanted_at", now.isoformat().encode())

    def wanted_at(self) -> datetime | None:
        """Return when a command last waited for the benchmark, or None."""
        content = self._get("wanted_at")
        return datetime.fromisoformat(content.decode()) if content is not None else None

    def has_spec(self) -> bool:
        """Return whether a command still waits for the benchmark."""
        return self._store.exists(f"{self._prefix}/spec.json")

    def spec(self) -> EpisodesSpec | None:
        """Return what to compute, or None if no command waits for it any more."""
        content = self._get("spec.json")
        return EpisodesSpec(**json.loads(content)) if content is not None else None

    def bundle(self) -> bytes:
        """Return the images.

        Raises:
            BlobMissingError: they have just been removed.
        """
        return self._store.get(f"{self._prefix}/bundle.zip")

    def put_lines(self, chunk: int, content: bytes) -> None:
        """Store the lines of a chunk so far."""
        self._store.put(f"{self._prefix}/lines/{chunk}", content)

    def lines(self, chunk: int) -> bytes:
        """Return the lines of a chunk so far; empty if no worker has begun it."""
        return self._get(f"lines/{chunk}") or b""

    def begun_chunks(self) -> set[int]:
        """Return the chunks that have lines."""
        return {int(key.rpartition("/")[2]) for key in self._store.keys(f"{self._prefix}/lines")}

    def put_error(self, chunk: int, error: Mapping[str, str]) -> None:
        """Store why a chunk cannot be computed."""
        self._store.put(f"{self._prefix}/errors/{chunk}", json.dumps(error).encode())

    def first_error(self) -> dict[str, str] | None:
        """Return why a chunk cannot be computed, or None if there is no error."""
        for key in self._store.keys(f"{self._prefix}/errors"):
            return dict(json.loads(self._store.get(key)))
        return None

    def forget_errors(self) -> None:
        """Remove the errors of an earlier command."""
        self._store.delete_prefix(f"{self._prefix}/errors")

    def clear(self) -> None:
        """Remove everything, beginning with the spec."""
        self._store.delete(f"{self._prefix}/spec.json")
        self._store.delete_prefix(self._prefix)

    def _get(self, name: str) -> bytes | None:
        try:
            return self._store.get(f"{self._prefix}/{name}")
        except BlobMissingError:
            return None


def clear_unwanted(store: ObjectStore, now: datetime) -> list[str]:
    """Remove the benchmarks that no command has waited for during `KEPT_FOR`.

    Returns:
        Ids of those removed.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    cleared = []
    for benchmark_id in store.folders(_PREFIX):
        blobs = BenchmarkBlobs(store, benchmark_id)
        wanted_at = blobs.wanted_at()
        if wanted_at is None:
            blobs.note_wanted(now)  # a worker stored lines after the benchmark was removed
        elif now - wanted_at > KEPT_FOR:
            blobs.clear()
            cleared.append(benchmark_id)
    return cleared
