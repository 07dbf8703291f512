"""What a command and its workers exchange: a spec, lines, errors, and nothing once it is cleared."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.infra.benchmarks import KEPT_FOR, BenchmarkBlobs, EpisodesSpec, clear_unwanted
from app.infra.object_store import ObjectStore

SPEC = EpisodesSpec(
    backbone_id="mini",
    protocol={"way": 5, "shot": 1, "num_queries": 2, "num_episodes": 7, "seed": 1},
    methods="zero-shot,clip-lora",
    recipe_changes={"iterations": 3},
    threads=1,
    chunk_episodes=3,
    conditions={"device": "cpu"},
)


@pytest.fixture
def blobs(tmp_path: Path) -> BenchmarkBlobs:
    return BenchmarkBlobs(ObjectStore(f"file://{tmp_path}"), "b1")


def test_chunks_cover_every_episode_once() -> None:
    assert SPEC.num_chunks == 3
    assert [list(SPEC.episodes_of(chunk)) for chunk in range(3)] == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_spec_comes_back_as_it_was_stored(blobs: BenchmarkBlobs) -> None:
    assert (blobs.spec(), blobs.has_spec()) == (None, False)
    blobs.put_spec(SPEC, b"images")
    assert blobs.spec() == SPEC
    assert blobs.has_spec()
    assert blobs.bundle() == b"images"


def test_lines_are_kept_by_chunk(blobs: BenchmarkBlobs) -> None:
    assert blobs.lines(2) == b""
    assert blobs.begun_chunks() == set()
    blobs.put_lines(2, b"one\n")
    blobs.put_lines(2, b"one\ntwo\n")
    blobs.put_lines(10, b"three\n")
    assert blobs.lines(2) == b"one\ntwo\n"
    assert blobs.begun_chunks() == {2, 10}


def test_errors_can_be_forgotten(blobs: BenchmarkBlobs) -> None:
    error = {"expected": "a", "got": "b", "remedy": "c"}
    assert blobs.first_error() is None
    blobs.put_error(4, error)
    assert blobs.first_error() == error
    blobs.forget_errors()
    assert blobs.first_error() is None


def test_clearing_leaves_nothing_and_touches_no_other_benchmark(blobs: BenchmarkBlobs, tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}")
    other = BenchmarkBlobs(store, "b2")
    for each in (blobs, other):
        each.put_spec(SPEC, b"images")
        each.put_lines(0, b"line\n")
    blobs.clear()
    blobs.clear()
    assert [key for key in store.keys("benchmarks") if "/b1/" in key] == []
    assert other.spec() == SPEC


def test_a_benchmark_that_no_command_waits_for_is_removed_after_a_time(tmp_path: Path, now: datetime) -> None:
    store = ObjectStore(f"file://{tmp_path}")
    forgotten, wanted = BenchmarkBlobs(store, "b1"), BenchmarkBlobs(store, "b2")
    for each in (forgotten, wanted):
        each.note_wanted(now)
        each.put_spec(SPEC, b"images")
    assert clear_unwanted(store, now + KEPT_FOR) == []
    wanted.note_wanted(now + KEPT_FOR)
    assert clear_unwanted(store, now + KEPT_FOR + timedelta(seconds=1)) == ["b1"]
    assert [key for key in store.keys("benchmarks") if "/b1/" in key] == []
    assert wanted.spec() == SPEC


def test_lines_stored_after_the_end_are_removed_after_the_same_time(
    blobs: BenchmarkBlobs, tmp_path: Path, now: datetime
) -> None:
    store = ObjectStore(f"file://{tmp_path}")
    blobs.put_lines(0, b"line\n")
    assert clear_unwanted(store, now) == []
    assert blobs.wanted_at() == now
    assert clear_unwanted(store, now + KEPT_FOR + timedelta(seconds=1)) == ["b1"]
    assert store.keys("benchmarks") == []
