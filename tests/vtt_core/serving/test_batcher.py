import threading
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any

import pytest

from vtt_core.serving.batcher import Batcher, Batching

MakeBatcher = Callable[..., "Batcher[int, int]"]


class Gate:
    """Doubles numbers, one batch at a time, each only when it is let through."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_run = threading.Semaphore(0)
        self.has_begun = threading.Semaphore(0)

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.has_begun.release()
        assert self.may_run.acquire(timeout=10)
        return [2 * item for item in items]


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.may_run.release(100)


@pytest.fixture
def make_batcher(gate: Gate) -> Iterator[MakeBatcher]:
    batchers: list[Batcher[int, int]] = []

    def make(*, run: Any = gate, stopwatch: Callable[[], float] = perf_counter, observe: Any = None, **bounds: Any) -> Any:
        observers = {} if observe is None else {"observe": observe}
        batchers.append(Batcher(run, Batching(**bounds), stopwatch, **observers))
        return batchers[-1]

    yield make
    gate.may_run.release(100)
    for batcher in batchers:
        batcher.close()


def test_what_arrives_during_a_batch_makes_the_next_one(make_batcher: MakeBatcher, gate: Gate) -> None:
    batcher = make_batcher(wait_seconds=0)
    first = batcher.submit([1])
    assert gate.has_begun.acquire(timeout=10)
    later = batcher.submit([2]) + batcher.submit([3, 4])
    gate.may_run.release(2)
    assert [future.result(60) for future in first + later] == [2, 4, 6, 8]
    assert gate.batches == [[1], [2, 3, 4]]


def test_a_batch_has_at_most_so_many_items_in_the_order_of_arrival(make_batcher: MakeBatcher, gate: Gate) -> None:
    gate.may_run.release(10)
    futures = make_batcher(max_items=3, wait_seconds=0).submit(list(range(8)))
    assert [future.result(60) for future in futures] == [2 * item for item in range(8)]
    assert gate.batches == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_the_first_waits_for_others_until_the_batch_is_full(make_batcher: MakeBatcher, gate: Gate) -> None:
    gate.may_run.release(10)
    batcher = make_batcher(max_items=2, wait_seconds=120)
    futures = batcher.submit([1])
    futures += batcher.submit([2])
    assert [future.result(60) for future in futures] == [2, 4]
    assert gate.batches == [[1, 2]]


def test_a_batch_is_kept_as_short_as_the_bound_on_its_duration(make_batcher: MakeBatcher, gate: Gate) -> None:
    clock = iter([0.0, 8.0, *[0.0] * 20])  # the first batch, of four items, takes 8 seconds
    batcher = make_batcher(max_items=4, wait_seconds=0, max_seconds=5, stopwatch=lambda: next(clock))
    gate.may_run.release(20)
    for future in batcher.submit([1, 2, 3, 4]):
        future.result(60)
    for future in batcher.submit([5, 6, 7, 8]):
        future.result(60)
    assert gate.batches[:2] == [[1, 2, 3, 4], [5, 6]]


def test_an_error_reaches_every_caller_of_the_batch_and_the_next_batch_runs(make_batcher: MakeBatcher) -> None:
    def run(items: Sequence[int]) -> list[int]:
        if 0 in items:
            raise ZeroDivisionError("no zeros")
        return list(items)

    batcher = make_batcher(run=run, wait_seconds=0)
    for future in batcher.submit([0, 1]):
        with pytest.raises(ZeroDivisionError, match="no zeros"):
            future.result(60)
    assert batcher.submit([1])[0].result(10) == 1


def test_every_batch_is_observed(make_batcher: MakeBatcher, gate: Gate) -> None:
    seen: list[tuple[int, float]] = []
    gate.may_run.release(10)
    batcher = make_batcher(max_items=2, wait_seconds=0, observe=lambda items, seconds: seen.append((items, seconds)))
    for future in batcher.submit([1, 2, 3]):
        future.result(60)
    batcher.close()
    assert [items for items, _ in seen] == [2, 1]
    assert all(seconds >= 0 for _, seconds in seen)


def test_closing_finishes_what_is_queued_and_takes_no_more(make_batcher: MakeBatcher, gate: Gate) -> None:
    batcher = make_batcher(max_items=1, wait_seconds=0)
    futures = batcher.submit([1, 2])
    gate.may_run.release(2)
    batcher.close()
    assert [future.result(0) for future in futures] == [2, 4]
    with pytest.raises(RuntimeError, match="ended"):
        batcher.submit([3])
