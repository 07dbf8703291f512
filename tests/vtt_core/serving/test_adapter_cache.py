import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import torch

from vtt_core.serving.adapter_cache import AdapterCache
from vtt_core.serving.served import ServedAdapter

SIZE_BYTES = 4 * (24 + 24 + 16)
"""Of one adapter that `load` gives."""


def load() -> ServedAdapter:
    """Read a new adapter each time, as a file would give."""
    return ServedAdapter(("a", "b"), torch.zeros(1, 3, 1, 8), torch.zeros(1, 3, 8, 1), torch.zeros(2, 8), 100.0)


def refuse() -> ServedAdapter:
    raise AssertionError("it was in memory")


@pytest.fixture
def make_store() -> Callable[[int], AdapterCache]:
    """Make a store with room for so many adapters; its stopwatch counts the looks at it."""

    def make(num_adapters: int) -> AdapterCache:
        ticks = count()
        return AdapterCache(num_adapters * SIZE_BYTES, lambda: float(next(ticks)))

    return make


def ids(store: AdapterCache) -> list[str]:
    return [adapter.model_id for adapter in store.resident()]


class TestLeastRecentlyUsed:
    def test_one_in_memory_is_not_read_again(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(2)
        first = store.get("a", load)
        assert store.get("a", refuse) is first

    def test_the_one_not_asked_for_longest_leaves_first(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(2)
        store.get("a", load)
        store.get("b", load)
        store.get("a", refuse)
        store.get("c", load)
        assert ids(store) == ["a", "c"]

    def test_never_more_bytes_than_the_capacity_stay(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(3)
        for index in range(10):
            store.get(str(index), load)
        assert ids(store) == ["7", "8", "9"]
        assert sum(adapter.size_bytes for adapter in store.resident()) == 3 * SIZE_BYTES

    def test_the_one_asked_for_last_stays_even_where_it_does_not_fit(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(0)
        store.get("a", load)
        store.get("b", load)
        assert ids(store) == ["b"]

    def test_an_evicted_one_is_read_again(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(2)
        first = store.get("a", load)
        store.evict("a")
        store.evict("never there")
        assert ids(store) == []
        assert store.get("a", load) is not first


class TestPins:
    def test_a_pinned_one_stays_while_others_leave(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(2)
        store.get("a", load)
        store.set_pinned("a", True)
        for name in "bcd":
            store.get(name, load)
        assert ids(store) == ["a", "d"]
        assert [adapter.is_pinned for adapter in store.resident()] == [True, False]

    def test_it_may_be_pinned_before_it_is_there(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(1)
        store.set_pinned("a", True)
        store.get("a", load)
        store.get("b", load)
        assert ids(store) == ["a", "b"]

    def test_one_let_go_leaves_where_there_is_no_room(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(1)
        store.set_pinned("a", True)
        store.get("a", load)
        store.get("b", load)
        store.set_pinned("a", False)
        store.set_pinned("never pinned", False)
        assert ids(store) == ["b"]

    def test_evicting_takes_the_pin_away(self, make_store: Callable[[int], AdapterCache]) -> None:
        store = make_store(1)
        store.set_pinned("a", True)
        store.get("a", load)
        store.evict("a")
        store.get("a", load)
        store.get("b", load)
        assert ids(store) == ["b"]


def test_it_counts_what_happens(make_store: Callable[[int], AdapterCache]) -> None:
    store = make_store(1)
    store.get("a", load)
    store.get("a", refuse)
    store.get("b", load)
    counts = store.counts
    assert (counts.hits, counts.loads, counts.evictions, counts.load_seconds) == (1, 2, 1, 2.0)


def test_one_that_cannot_be_read_is_not_kept(make_store: Callable[[int], AdapterCache]) -> None:
    store = make_store(2)
    with pytest.raises(OSError, match="gone"):
        store.get("a", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert ids(store) == []
    store.get("a", load)


def test_reading_one_does_not_keep_others_waiting(make_store: Callable[[int], AdapterCache]) -> None:
    store, reading, may_end = make_store(2), threading.Event(), threading.Event()
    store.get("quick", load)

    def slow() -> ServedAdapter:
        reading.set()
        assert may_end.wait(10)
        return load()

    thread = threading.Thread(target=store.get, args=("slow", slow))
    thread.start()
    assert reading.wait(10)
    store.get("quick", refuse)
    may_end.set()
    thread.join(10)
    assert ids(store) == ["quick", "slow"]


@pytest.mark.parametrize("fails", [False, True])
def test_one_asked_for_by_several_at_once_is_read_once(make_store: Callable[[int], AdapterCache], fails: bool) -> None:
    store, may_end, reads = make_store(2), threading.Event(), []

    def slow() -> ServedAdapter:
        reads.append(1)
        assert may_end.wait(10)
        if fails:
            raise OSError("gone")
        return load()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(store.get, "a", slow) for _ in range(4)]
        while store._loading.get("a") is None:
            pass
        may_end.set()
    if fails:
        assert {str(future.exception()) for future in futures} == {"gone"}
    else:
        assert len(reads) == 1
        assert all(future.result() is futures[0].result() for future in futures)
