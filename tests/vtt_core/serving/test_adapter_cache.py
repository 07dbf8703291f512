import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import torch

from vtt_core.adapter.answer import Answering
from vtt_core.serving.adapter_cache import AdapterCache
from vtt_core.serving.served import ServedAdapter

SIZE_BYTES = 4 * (24 + 24 + 16 + 2)
"""Of one adapter that `load` gives."""


def load() -> ServedAdapter:
    """Read a new adapter each time, as a file would give."""
    rows_OX, answering = torch.zeros(2, 8), Answering(("a", "b"), has_negative=False, nonconformity=(), usual=None)
    return ServedAdapter(torch.zeros(1, 3, 1, 8), torch.zeros(1, 3, 8, 1), rows_OX, torch.zeros(2), 2, False, answering)


def refuse() -> ServedAdapter:
    raise AssertionError("it was in memory")


@pytest.fixture
def make_cache() -> Callable[[int], AdapterCache]:
    """Make a cache with room for so many adapters; its stopwatch counts the looks at it."""

    def make(num_adapters: int) -> AdapterCache:
        ticks = count()
        return AdapterCache(num_adapters * SIZE_BYTES, lambda: float(next(ticks)))

    return make


def ids(cache: AdapterCache) -> list[str]:
    return [adapter.model_id for adapter in cache.resident()]


class TestLeastRecentlyUsed:
    def test_one_in_memory_is_not_read_again(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(2)
        first = cache.get("a", load)
        assert cache.get("a", refuse) is first

    def test_the_one_not_asked_for_longest_leaves_first(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(2)
        cache.get("a", load)
        cache.get("b", load)
        cache.get("a", refuse)
        cache.get("c", load)
        assert ids(cache) == ["a", "c"]

    def test_never_more_bytes_than_the_capacity_stay(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(3)
        for index in range(10):
            cache.get(str(index), load)
        assert ids(cache) == ["7", "8", "9"]
        assert sum(adapter.size_bytes for adapter in cache.resident()) == 3 * SIZE_BYTES

    def test_the_one_asked_for_last_stays_even_where_it_does_not_fit(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(0)
        cache.get("a", load)
        cache.get("b", load)
        assert ids(cache) == ["b"]

    def test_an_evicted_one_is_read_again(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(2)
        first = cache.get("a", load)
        cache.evict("a")
        cache.evict("never there")
        assert ids(cache) == []
        assert cache.get("a", load) is not first


class TestPins:
    def test_a_pinned_one_stays_while_others_leave(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(2)
        cache.get("a", load)
        cache.set_pinned("a", True)
        for name in "bcd":
            cache.get(name, load)
        assert ids(cache) == ["a", "d"]
        assert [adapter.is_pinned for adapter in cache.resident()] == [True, False]

    def test_it_may_be_pinned_before_it_is_there(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(1)
        cache.set_pinned("a", True)
        cache.get("a", load)
        cache.get("b", load)
        assert ids(cache) == ["a", "b"]

    def test_one_let_go_leaves_where_there_is_no_room(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(1)
        cache.set_pinned("a", True)
        cache.get("a", load)
        cache.get("b", load)
        cache.set_pinned("a", False)
        cache.set_pinned("never pinned", False)
        assert ids(cache) == ["b"]

    def test_evicting_takes_the_pin_away(self, make_cache: Callable[[int], AdapterCache]) -> None:
        cache = make_cache(1)
        cache.set_pinned("a", True)
        cache.get("a", load)
        cache.evict("a")
        cache.get("a", load)
        cache.get("b", load)
        assert ids(cache) == ["b"]


def test_it_counts_what_happens(make_cache: Callable[[int], AdapterCache]) -> None:
    cache = make_cache(1)
    cache.get("a", load)
    cache.get("a", refuse)
    cache.get("b", load)
    counts = cache.counts
    assert (counts.hits, counts.loads, counts.evictions, counts.load_seconds) == (1, 2, 1, 2.0)


def test_one_that_cannot_be_read_is_not_kept(make_cache: Callable[[int], AdapterCache]) -> None:
    cache = make_cache(2)
    with pytest.raises(OSError, match="gone"):
        cache.get("a", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert ids(cache) == []
    cache.get("a", load)


def test_reading_one_does_not_keep_others_waiting(make_cache: Callable[[int], AdapterCache]) -> None:
    cache, reading, may_end = make_cache(2), threading.Event(), threading.Event()
    cache.get("quick", load)

    def slow() -> ServedAdapter:
        reading.set()
        assert may_end.wait(10)
        return load()

    thread = threading.Thread(target=cache.get, args=("slow", slow))
    thread.start()
    assert reading.wait(10)
    cache.get("quick", refuse)
    may_end.set()
    thread.join(10)
    assert ids(cache) == ["quick", "slow"]


@pytest.mark.parametrize("fails", [False, True])
def test_one_asked_for_by_several_at_once_is_read_once(make_cache: Callable[[int], AdapterCache], fails: bool) -> None:
    cache, has_begun, may_end, reads = make_cache(2), threading.Event(), threading.Event(), []

    def slow() -> ServedAdapter:
        reads.append(1)
        has_begun.set()
        assert may_end.wait(10)
        if fails:
            raise OSError("gone")
        return load()

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(cache.get, "a", slow) for _ in range(4)]
        assert has_begun.wait(10)
        may_end.set()
    if fails:
        assert {str(future.exception()) for future in futures} == {"gone"}
    else:
        assert len(reads) == 1
        assert all(future.result() is futures[0].result() for future in futures)
