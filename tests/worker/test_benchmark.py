"""A chunk: computed once, gone on with, given up where nobody waits, and its failure told."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
import torch

from app.cli.synthetic_images import PAINTERS, make_image
from app.domain.errors import StoreUnavailableError
from app.domain.messages import EpisodesMessage
from app.infra.benchmarks import BenchmarkBlobs, EpisodesSpec
from vtt_core.bench.datasets.labelled_image import LabelledImage
from vtt_core.bench.episodes.bundle import write_bundle
from vtt_core.bench.episodes.episode_log import EpisodeLine, EpisodeLog, decode_lines
from vtt_core.bench.episodes.image_bank import ImageBank
from vtt_core.bench.episodes.methods import FROZEN
from vtt_core.bench.episodes.runner import Benchmark, run_episodes
from vtt_core.bench.episodes.sampling import Protocol
from vtt_core.contract.method_spec import parse_specs
from worker import benchmark as module
from worker.benchmark import run_chunk
from worker.context import WorkerContext

PROTOCOL = Protocol(way=2, shot=1, num_queries=1, num_episodes=3, seed=1)
METHODS = "zero-shot,linear-probe"
MESSAGE = EpisodesMessage("b1", 1)


@pytest.fixture(scope="module")
def images() -> list[LabelledImage]:
    import random

    def image(label: str, number: int) -> LabelledImage:
        buffer = io.BytesIO()
        make_image(label, random.Random(number)).save(buffer, "PNG")
        return LabelledImage(f"{label}/{number}.png", label, None, buffer.getvalue)

    return [image(label, number) for label in PAINTERS for number in range(3)]


@pytest.fixture
def benchmark(context: WorkerContext, images: list[LabelledImage]) -> Benchmark:
    bank = ImageBank(images, context.backbones.get("mini"))
    return Benchmark(bank, PROTOCOL, parse_specs(METHODS, FROZEN), 1, "cpu")


@pytest.fixture
def blobs(context: WorkerContext) -> BenchmarkBlobs:
    return BenchmarkBlobs(context.store, MESSAGE.benchmark_id)


@pytest.fixture
def place(benchmark: Benchmark, blobs: BenchmarkBlobs) -> Callable[..., EpisodesSpec]:
    def put(**changes: object) -> EpisodesSpec:
        spec = EpisodesSpec("mini", asdict(PROTOCOL), METHODS, {}, 1, 2, benchmark.conditions)
        spec = replace(spec, **changes)  # type: ignore[arg-type]
        stream = io.BytesIO()
        write_bundle(benchmark.bank, range(len(benchmark.bank.images)), stream)
        blobs.put_spec(spec, stream.getvalue())
        return spec

    return put


def without_seconds(lines: list[EpisodeLine]) -> list[EpisodeLine]:
    return [replace(line, seconds=0.0) for line in lines]


def test_a_chunk_has_the_results_of_a_single_process(
    context: WorkerContext, blobs: BenchmarkBlobs, benchmark: Benchmark, place: Callable[..., EpisodesSpec]
) -> None:
    place()
    run_chunk(context, MESSAGE)
    expected = list(run_episodes(benchmark, EpisodeLog(), lambda: 0.0, numbers=[2], together=2))
    assert without_seconds(decode_lines(blobs.lines(1))) == expected
    assert blobs.first_error() is None
    assert context.job_ids == []


def test_the_same_message_twice_computes_nothing_twice(
    context: WorkerContext, blobs: BenchmarkBlobs, place: Callable[..., EpisodesSpec]
) -> None:
    place()
    run_chunk(context, MESSAGE)
    content = blobs.lines(1)
    run_chunk(context, MESSAGE)
    assert blobs.lines(1) == content


def test_a_worker_that_is_asked_to_stop_finishes_its_method_and_another_goes_on(
    context: WorkerContext, blobs: BenchmarkBlobs, place: Callable[..., EpisodesSpec]
) -> None:
    place()
    context.stop.set()
    run_chunk(context, MESSAGE)
    [line] = decode_lines(blobs.lines(1))
    context.stop.clear()
    run_chunk(context, MESSAGE)
    lines = decode_lines(blobs.lines(1))
    assert len(lines) == 2
    assert lines[0] == line


def test_a_chunk_that_no_command_waits_for_is_not_computed(
    context: WorkerContext, blobs: BenchmarkBlobs, place: Callable[..., EpisodesSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_chunk(context, MESSAGE)
    assert context.store.keys("benchmarks") == []
    place()
    monkeypatch.setattr(BenchmarkBlobs, "has_spec", lambda _: False)
    run_chunk(context, MESSAGE)
    assert blobs.begun_chunks() == set()


def test_the_worker_reports_its_chunk_and_uses_the_threads_of_the_spec(
    context: WorkerContext, place: Callable[..., EpisodesSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, before = [], torch.get_num_threads()

    def watch(*_: object) -> None:
        seen.append((context.describe().job_id, torch.get_num_threads()))

    monkeypatch.setattr(module, "_compute", watch)
    place(threads=before + 1, conditions={})
    run_chunk(context, MESSAGE)
    assert seen == [("b1/1", before + 1)]
    assert torch.get_num_threads() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conditions": {"device": "cuda"}}, "device cuda"),
        ({"backbone_id": "no/such"}, "no/such"),
        ({"methods": "nonsense"}, "nonsense"),
    ],
)
def test_an_error_of_a_chunk_is_stored(
    context: WorkerContext,
    blobs: BenchmarkBlobs,
    place: Callable[..., EpisodesSpec],
    change: dict[str, object],
    said: str,
) -> None:
    place(**change)
    run_chunk(context, MESSAGE)
    error = blobs.first_error()
    assert error is not None
    assert said in error["expected"] + error["got"]
    assert context.job_ids == []


def test_an_outage_is_not_an_error_of_the_chunk(
    context: WorkerContext, blobs: BenchmarkBlobs, place: Callable[..., EpisodesSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailableError(expected="a", got="b", remedy="c")

    place()
    monkeypatch.setattr(BenchmarkBlobs, "put_lines", away)
    with pytest.raises(StoreUnavailableError):
        run_chunk(context, MESSAGE)
    assert blobs.first_error() is None


def test_an_unexpected_error_of_a_chunk_is_stored_too(
    context: WorkerContext, blobs: BenchmarkBlobs, place: Callable[..., EpisodesSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("unforeseen")

    place()
    monkeypatch.setattr(module, "_compute", crash)
    run_chunk(context, MESSAGE)
    error = blobs.first_error()
    assert error is not None
    assert error["got"] == "RuntimeError: unforeseen"
