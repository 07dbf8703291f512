"""From which queue a worker takes its next message."""

from __future__ import annotations

from worker.queue_order import TurnsBeforeBenchmarks


def test_the_queue_that_was_not_read_last_comes_first_and_benchmarks_come_last() -> None:
    order = TurnsBeforeBenchmarks(["measurements", "finetune", "batches"])
    assert order.consume(3) == ["batches", "finetune", "measurements"]
    order.rotate("batches")
    assert order.consume(3) == ["finetune", "batches", "measurements"]
    order.rotate("finetune")
    assert order.consume(3) == ["batches", "finetune", "measurements"]
    order.rotate("measurements")
    assert order.consume(3)[-1] == "measurements"


def test_of_three_queues_that_are_never_empty_each_has_its_turn() -> None:
    order = TurnsBeforeBenchmarks(["measurements", "finetune", "exports", "batches"])
    taken = []
    for _ in range(6):
        taken.append(order.consume(1)[0])
        order.rotate(taken[-1])
    assert taken == ["batches", "exports", "finetune"] * 2
