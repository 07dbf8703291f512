"""Cache adapters in memory, up to a number of bytes; the least recently used one is evicted first."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock

from vtt_core.contract.serving import AdapterCounts, ResidentAdapter
from vtt_core.serving.served import ServedAdapter


class AdapterCache:
    """A cache of adapters by model id; of those that are not pinned, the least recently used one is evicted first."""

    def __init__(self, capacity_bytes: int, stopwatch: Callable[[], float]) -> None:
        """Start empty.

        Args:
            capacity_bytes: memory of all adapters together. Pinned ones and the one used last stay even beyond it.
            stopwatch: gives monotonic seconds.
        """
        self._capacity_bytes = capacity_bytes
        self._stopwatch = stopwatch
        self._adapters: OrderedDict[str, ServedAdapter] = OrderedDict()
        self._pinned: set[str] = set()
        self._used_bytes = 0
        self._loading: dict[str, Future[ServedAdapter]] = {}
        self._lock = Lock()
        self._counts = AdapterCounts()

    def get(self, model_id: str, load: Callable[[], ServedAdapter]) -> ServedAdapter:
        """Return the adapter, loading it where it is not cached.

        Loading holds no lock: it delays only those who want the same adapter, which is read once for all of them.

        Args:
            model_id: an adapter under one id never changes.
            load: reads the adapter; an error is raised for everyone who waits for it.
        """
        with self._lock:
            adapter = self._adapters.get(model_id)
            if adapter is not None:
                self._adapters.move_to_end(model_id)
                self._count(hits=1)
                return adapter
            is_first = model_id not in self._loading
            future = self._loading.setdefault(model_id, Future())
        if not is_first:
            return future.result()
        return self._load(model_id, load, future)

    def set_pinned(self, model_id: str, is_pinned: bool) -> None:
        """Pin an adapter, loaded or not, or unpin it: then it is evicted at once if there is no room."""
        with self._lock:
            if is_pinned:
                self._pinned.add(model_id)
            elif model_id in self._pinned:
                self._pinned.discard(model_id)
                self._make_room()

    def evict(self, model_id: str) -> None:
        """Drop an adapter and its pin; an unknown one is ignored."""
        with self._lock:
            self._pinned.discard(model_id)
            self._drop(model_id)

    def resident(self) -> list[ResidentAdapter]:
        """Return what is in memory, the one asked for longest ago first."""
        with self._lock:
            adapters = self._adapters.items()
            return [ResidentAdapter(model_id, adapter.size_bytes, model_id in self._pinned) for model_id, adapter in adapters]

    @property
    def counts(self) -> AdapterCounts:
        """What has happened since the start."""
        return self._counts

    def _load(self, model_id: str, load: Callable[[], ServedAdapter], future: Future[ServedAdapter]) -> ServedAdapter:
        start = self._stopwatch()
        try:
            adapter = load()
        except BaseException as error:
            with self._lock:
                del self._loading[model_id]
            future.set_exception(error)
            raise
        with self._lock:
            del self._loading[model_id]
            self._drop(model_id)
            self._adapters[model_id] = adapter
            self._used_bytes += adapter.size_bytes
            self._count(loads=1, load_seconds=self._stopwatch() - start)
            self._make_room()
        future.set_result(adapter)
        return adapter

    def _make_room(self) -> None:
        """Evict adapters until the others fit; the one used last stays."""
        while self._used_bytes > self._capacity_bytes:
            # The first that may go is nearly always the first of all, however many there are.
            candidates = itertools.islice(self._adapters, len(self._adapters) - 1)
            model_id = next((model_id for model_id in candidates if model_id not in self._pinned), None)
            if model_id is None:
                return
            self._drop(model_id)
            self._count(evictions=1)

    def _drop(self, model_id: str) -> None:
        adapter = self._adapters.pop(model_id, None)
        self._used_bytes -= 0 if adapter is None else adapter.size_bytes

    def _count(self, *, hits: int = 0, loads: int = 0, evictions: int = 0, load_seconds: float = 0.0) -> None:
        counts = self._counts
        self._counts = AdapterCounts(
            counts.hits + hits, counts.loads + loads, counts.evictions + evictions, counts.load_seconds + load_seconds
        )
