"""Keep in the store what a command and the workers that compute its episodes tell each other.

    benchmarks/<id>/order.json      what to compute; without it nobody computes anything
    benchmarks/<id>/bundle.zip      the images
    benchmarks/<id>/lines/<chunk>   lines of the log, perhaps not yet of all methods
    benchmarks/<id>/errors/<chunk>  why a chunk cannot be computed
    benchmarks/<id>/wanted_at       when a command last waited for it

The id is a hash of what is computed, so equal commands share all of it, and the one that has collected everything removes it.
What no command has waited for during `KEPT_FOR` is removed by the reaper, since it holds a user's images.
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
"""How long a command that was killed finds again what its workers computed."""
_PREFIX = "benchmarks"


@dataclass(frozen=True)
class EpisodesSpec:
    """What workers compute, as JSON values."""

    backbone_id: str
    protocol: Mapping[str, int]
    methods: str
    recipe_changes: Mapping[str, Any]
    threads: int
    chunk_episodes: int
    """Consecutive episodes of a chunk; a method is given them at once."""
    conditions: Mapping[str, Any]
    """What the command holds that results depend on; a worker under others refuses."""

    def episodes_of(self, chunk: int) -> range:
        """Return the numbers of a chunk's episodes."""
        first = chunk * self.chunk_episodes
        return range(first, min(first + self.chunk_episodes, self.protocol["num_episodes"]))

    @property
    def num_chunks(self) -> int:
        """Number of chunks of all episodes."""
        return -(-self.protocol["num_episodes"] // self.chunk_episodes)


class BenchmarkBlobs:
    """The blobs of one benchmark; every method raises StoreUnavailableError while the store does not answer.

    Args:
        store: where they are.
        benchmark_id: whose they are.
    """

    def __init__(self, store: ObjectStore, benchmark_id: str) -> None:
        self._store, self._prefix = store, f"{_PREFIX}/{benchmark_id}"

    def place_order(self, order: EpisodesSpec, bundle: bytes) -> None:
        """Put the images, then what to compute with them."""
        self._store.put(f"{self._prefix}/bundle.zip", bundle)
        self._store.put(f"{self._prefix}/order.json", json.dumps(asdict(order)).encode())

    def note_wanted(self, now: datetime) -> None:
        """Say that a command waits for it, before anything else is put and now and then."""
        self._store.put(f"{self._prefix}/wanted_at", now.isoformat().encode())

    def wanted_at(self) -> datetime | None:
        """Return when a command last waited for it, if one has said so."""
        content = self._get("wanted_at")
        return datetime.fromisoformat(content.decode()) if content is not None else None

    def is_ordered(self) -> bool:
        """Return whether somebody still waits for it."""
        return self._store.exists(f"{self._prefix}/order.json")

    def order(self) -> EpisodesSpec | None:
        """Return what to compute, or None where nobody waits for it any more."""
        content = self._get("order.json")
        return EpisodesSpec(**json.loads(content)) if content is not None else None

    def bundle(self) -> bytes:
        """Return the images.

        Raises:
            BlobMissingError: they have just been removed.
        """
        return self._store.get(f"{self._prefix}/bundle.zip")

    def put_lines(self, chunk: int, content: bytes) -> None:
        """Put what is done of a chunk."""
        self._store.put(f"{self._prefix}/lines/{chunk}", content)

    def lines(self, chunk: int) -> bytes:
        """Return what is done of a chunk; nothing where it was not begun."""
        return self._get(f"lines/{chunk}") or b""

    def begun_chunks(self) -> set[int]:
        """Return the chunks of which something is done."""
        return {int(key.rpartition("/")[2]) for key in self._store.keys(f"{self._prefix}/lines")}

    def put_error(self, chunk: int, error: Mapping[str, str]) -> None:
        """Say why a chunk cannot be computed."""
        self._store.put(f"{self._prefix}/errors/{chunk}", json.dumps(error).encode())

    def first_error(self) -> dict[str, str] | None:
        """Return why a chunk cannot be computed, if that is so of one."""
        for key in self._store.keys(f"{self._prefix}/errors"):
            return dict(json.loads(self._store.get(key)))
        return None

    def forget_errors(self) -> None:
        """Remove what an earlier command was told."""
        self._store.delete_prefix(f"{self._prefix}/errors")

    def clear(self) -> None:
        """Remove everything, what to compute first."""
        self._store.delete(f"{self._prefix}/order.json")
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
            blobs.note_wanted(now)  # a worker put its lines after the end: its time begins here
        elif now - wanted_at > KEPT_FOR:
            blobs.clear()
            cleared.append(benchmark_id)
    return cleared
