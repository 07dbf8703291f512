"""What is accepted is answered, in bounded time; what is refused is told when to come again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event

import pytest

from app.domain.errors import OverloadedError
from app.overload.admission_queue import LARGEST_RISE, AdmissionQueue, QueueBounds


class Clock:
    """A stopwatch that only work moves on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> Callable[[], str]:
        def act() -> str:
            self.seconds += seconds
            return "done"

        return act


def queue_of(clock: Clock, **bounds: float) -> AdmissionQueue:
    chosen = {"num_threads": 1, "max_wait_seconds": 2.0} | bounds
    return AdmissionQueue("images", QueueBounds(**chosen), clock)  # type: ignore[arg-type]


async def until(is_true: Callable[[], bool]) -> None:
    while not is_true():
        await asyncio.sleep(0.001)


def test_a_queue_whose_wait_is_too_long_refuses_until_it_is_shorter() -> None:
    async def fill() -> None:
        clock, gate = Clock(), Event()
        queue = queue_of(clock)
        await queue.run(1, clock.pass_by(1.0))
        accepted = [asyncio.create_task(queue.run(1, gate.wait)) for _ in range(3)]
        await until(lambda: queue.num_units == 3)
        with pytest.raises(OverloadedError) as refused:
            queue.check()
        assert refused.value.retry_after_seconds == 3
        with pytest.raises(OverloadedError):
            await queue.run(1, gate.wait)
        assert queue.num_refused == 2
        gate.set()
        assert await asyncio.gather(*accepted) == [True] * 3
        queue.check()

    asyncio.run(fill())


def test_a_queue_takes_no_more_units_than_it_may_hold_but_any_request_when_empty() -> None:
    async def fill() -> None:
        gate = Event()
        queue = queue_of(Clock(), max_units=10)
        accepted = asyncio.create_task(queue.run(64, gate.wait))
        await until(lambda: queue.num_units == 64)
        with pytest.raises(OverloadedError):
            queue.check()
        gate.set()
        assert await accepted

    asyncio.run(fill())


def test_no_more_requests_are_worked_on_than_there_are_threads() -> None:
    async def fill() -> None:
        gate, running = Event(), []
        queue = queue_of(Clock(), num_threads=2)

        def act() -> None:
            running.append(1)
            gate.wait()

        tasks = [asyncio.create_task(queue.run(1, act)) for _ in range(5)]
        await until(lambda: len(running) == 2)
        await asyncio.sleep(0.05)
        assert len(running) == 2
        gate.set()
        await asyncio.gather(*tasks)
        assert len(running) == 5

    asyncio.run(fill())


def wait_for_one(queue: AdmissionQueue) -> float:
    queue.num_units += 1
    try:
        return queue.wait_seconds
    finally:
        queue.num_units -= 1


def test_one_slow_request_raises_the_estimate_only_so_far() -> None:
    async def learn() -> None:
        clock = Clock()
        queue = queue_of(clock)
        queue.calibrate(1.0, 3)
        await queue.run(1, clock.pass_by(1000.0))
        assert 1.0 < wait_for_one(queue) < LARGEST_RISE

    asyncio.run(learn())


def test_the_estimate_follows_a_lasting_change() -> None:
    async def learn() -> None:
        clock = Clock()
        queue = queue_of(clock)
        queue.calibrate(0.01, 16)
        for _ in range(60):
            await queue.run(1, clock.pass_by(1.0))
        assert wait_for_one(queue) == pytest.approx(1.0, rel=0.1)
        for _ in range(3000):
            await queue.run(1, clock.pass_by(0.01))
        assert wait_for_one(queue) == pytest.approx(0.01, rel=0.3)

    asyncio.run(learn())


def test_what_is_finished_side_by_side_takes_its_share_of_the_time() -> None:
    """Ten requests of one batch that takes a second leave a queue of ten a second, not of one."""

    async def learn() -> None:
        clock, gate = Clock(), Event()
        queue = queue_of(clock, num_threads=10)
        tasks = [asyncio.create_task(queue.run(1, gate.wait)) for _ in range(10)]
        await until(lambda: queue.num_units == 10)
        clock.seconds += 1.0
        gate.set()
        await asyncio.gather(*tasks)
        assert wait_for_one(queue) == pytest.approx(0.1)

    asyncio.run(learn())


def test_time_without_requests_is_no_work() -> None:
    async def learn() -> None:
        clock = Clock()
        queue = queue_of(clock)
        for _ in range(20):
            await queue.run(1, clock.pass_by(0.1))
            clock.seconds += 100.0
        assert wait_for_one(queue) == pytest.approx(0.1)

    asyncio.run(learn())


def test_a_request_that_fails_leaves_the_queue_and_teaches_nothing() -> None:
    def fail() -> None:
        raise ValueError("bad image")

    async def go_wrong() -> None:
        queue = queue_of(Clock())
        with pytest.raises(ValueError, match="bad image"):
            await queue.run(3, fail)
        assert (queue.num_units, queue.wait_seconds) == (0, 0.0)

    asyncio.run(go_wrong())


def test_a_slow_first_request_of_a_calibrated_queue_refuses_nobody() -> None:
    async def start_cold() -> None:
        clock, gate = Clock(), Event()
        queue = queue_of(clock)
        queue.calibrate(0.05, 16)
        await queue.run(1, clock.pass_by(3.0))
        accepted = [asyncio.create_task(queue.run(1, gate.wait)) for _ in range(32)]
        await until(lambda: queue.num_units == 32)
        queue.check()
        gate.set()
        await asyncio.gather(*accepted)

    asyncio.run(start_cold())


def test_a_queue_that_was_told_how_slow_it_is_refuses_what_would_wait_too_long() -> None:
    async def fill() -> None:
        gate = Event()
        queue = queue_of(Clock())
        queue.calibrate(1.0, 16)
        accepted = [asyncio.create_task(queue.run(1, gate.wait)) for _ in range(3)]
        await until(lambda: queue.num_units == 3)
        with pytest.raises(OverloadedError):
            queue.check()
        gate.set()
        await asyncio.gather(*accepted)

    asyncio.run(fill())
