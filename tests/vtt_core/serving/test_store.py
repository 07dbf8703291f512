import dataclasses
import threading
from collections.abc import Callable

import pytest

from vtt_core.adapter import Adapter
from vtt_core.serving.store import AdapterStore


@pytest.fixture
def load(adapter: Adapter) -> Callable[[], Adapter]:
    """Read a new copy each time, as a file would give."""
    return lambda: dataclasses.replace(adapter)


def refuse() -> Adapter:
    raise AssertionError("it was in memory")


class TestLeastRecentlyUsed:
    def test_one_in_memory_is_not_read_again(self, load: Callable[[], Adapter]) -> None:
        store = AdapterStore(2)
        first = store.get("a", load)
        assert store.get("a", refuse) is first

    def test_the_one_not_asked_for_longest_leaves_first(self, load: Callable[[], Adapter]) -> None:
        store = AdapterStore(2)
        store.get("a", load)
        store.get("b", load)
        store.get("a", refuse)
        store.get("c", load)
        assert store.resident() == ["a", "c"]

    def test_never_more_than_the_capacity_stay(self, load: Callable[[], Adapter]) -> None:
        store = AdapterStore(3)
        for index in range(10):
            store.get(str(index), load)
        assert store.resident() == ["7", "8", "9"]

    def test_an_evicted_one_is_read_again(self, load: Callable[[], Adapter]) -> None:
        store = AdapterStore(2)
        first = store.get("a", load)
        store.evict("a")
        store.evict("never there")
        assert store.resident() == []
        assert store.get("a", load) is not first


def test_one_that_cannot_be_read_is_not_kept(load: Callable[[], Adapter]) -> None:
    store = AdapterStore(2)
    with pytest.raises(OSError, match="gone"):
        store.get("a", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert store.resident() == []
    store.get("a", load)


def test_reading_one_does_not_keep_others_waiting(load: Callable[[], Adapter]) -> None:
    store, reading, may_end = AdapterStore(2), threading.Event(), threading.Event()
    store.get("quick", load)

    def slow() -> Adapter:
        reading.set()
        assert may_end.wait(10)
        return load()

    thread = threading.Thread(target=store.get, args=("slow", slow))
    thread.start()
    assert reading.wait(10)
    store.get("quick", refuse)
    may_end.set()
    thread.join(10)
    assert store.resident() == ["quick", "slow"]


def test_two_that_read_the_same_one_at_once_get_the_same(load: Callable[[], Adapter]) -> None:
    store, meeting, got = AdapterStore(2), threading.Barrier(2, timeout=10), []

    def together() -> Adapter:
        meeting.wait()
        return load()

    threads = [threading.Thread(target=lambda: got.append(store.get("a", together))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 2
    assert got[0] is got[1]
