"""Keep the adapters that were asked for last in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from vtt_core.adapter import Adapter


class AdapterStore:
    """Adapters by model id; the one not asked for longest leaves first."""

    def __init__(self, capacity: int) -> None:
        """Start empty.

        Args:
            capacity: number of adapters to keep, at least 1.
        """
        self._capacity = capacity
        self._adapters: OrderedDict[str, Adapter] = OrderedDict()
        self._lock = Lock()

    def get(self, model_id: str, load: Callable[[], Adapter]) -> Adapter:
        """Return the adapter, loading it where it is absent; loading holds no lock.

        Args:
            model_id: an adapter under one id never changes.
            load: reads the adapter; may run twice at once, then one result is kept.
        """
        with self._lock:
            if model_id in self._adapters:
                self._adapters.move_to_end(model_id)
                return self._adapters[model_id]
        adapter = load()
        with self._lock:
            adapter = self._adapters.setdefault(model_id, adapter)
            self._adapters.move_to_end(model_id)
            while len(self._adapters) > self._capacity:
                self._adapters.popitem(last=False)
        return adapter

    def evict(self, model_id: str) -> None:
        """Forget an adapter, if it is there."""
        with self._lock:
            self._adapters.pop(model_id, None)

    def resident(self) -> list[str]:
        """Return the ids in memory, the one asked for longest ago first."""
        with self._lock:
            return list(self._adapters)
