"""Compute a chunk of a benchmark's episodes, and put the results into the store.

A chunk may be computed twice, even at the same time: its results depend on the spec alone. Results that are in the store
already are not computed again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import torch

from app.domain.messages import EpisodesMessage
from app.infra.benchmarks import BenchmarkBlobs, EpisodesSpec
from app.infra.outages import OUTAGES
from vtt_core.bench.episodes.episode_log import EpisodeLog, decode_lines
from vtt_core.bench.episodes.runner import Benchmark, run_episodes
from vtt_core.contract.errors import VttError
from worker.context import WorkerContext

_log = structlog.get_logger(__name__)


def run_chunk(context: WorkerContext, message: EpisodesMessage) -> None:
    """Compute what is left of a chunk, or return at once if no command waits for it any more.

    A worker that is asked to stop finishes the method it is at. The command then sends the chunk again.

    Args:
        context: connections and state of this process.
        message: names the chunk.

    Raises:
        OUTAGES: the store is away; the command sends the chunk again.
    """
    blobs = BenchmarkBlobs(context.store, message.benchmark_id)
    spec = blobs.spec()
    if spec is None:
        _log.info("nothing_to_measure", benchmark_id=message.benchmark_id, chunk=message.chunk)
        return
    context.job_ids.append(message.work_id)
    try:
        backbone = context.backbones.get(spec.backbone_id)
        benchmark = context.benchmarks.get(message.benchmark_id, blobs, spec, backbone)
        with _threads(spec.threads):
            _compute(context, blobs, spec, benchmark, message.chunk)
    except OUTAGES:
        raise
    except Exception as error:
        _log.exception("chunk_failed", benchmark_id=message.benchmark_id, chunk=message.chunk)
        blobs.put_error(message.chunk, _described(error))
    finally:
        context.job_ids.remove(message.work_id)


def _compute(context: WorkerContext, blobs: BenchmarkBlobs, spec: EpisodesSpec, benchmark: Benchmark, chunk: int) -> None:
    log = EpisodeLog(decode_lines(blobs.lines(chunk)))
    numbers = spec.episodes_of(chunk)
    for line in run_episodes(benchmark, log, time.perf_counter, numbers=numbers, together=spec.chunk_episodes):
        if not blobs.has_spec():
            return
        blobs.put_lines(chunk, log.encode())
        _log.info("episode_measured", method=line.method, episode=line.episode, accuracy=line.accuracy)
        if context.stop.is_set():
            return


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use this many threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _described(error: Exception) -> dict[str, str]:
    if isinstance(error, VttError):
        return {"expected": error.expected, "got": error.got, "remedy": error.remedy}
    got = f"{type(error).__name__}: {str(error)[:300]}"
    return {"expected": "an episode that can be computed", "got": got, "remedy": "Read the worker's log"}
