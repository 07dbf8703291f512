"""Replay the gradients of a step as one CUDA graph, so that a GPU never waits for Python to launch the next kernel.

A step of 25 images is over a thousand kernels of some ten microseconds each, as long as Python takes to launch one. A graph is
recorded when the same fine-tunings come with the same shapes for the second time; a batch's indices and dropout are copied to
where the recording read them. The optimiser changes the parameters in place, so a recording stays valid.

Source: torch.cuda.CUDAGraph.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from vtt_core.backbones.towers import VisionTower
from vtt_core.backbones.vision_pass import VisionPass
from vtt_core.hosts.training_data import Batch
from vtt_core.lora.dropout import Dropout
from vtt_core.training.fast.job_gradients import GradientsOfJobs, JobRows, gradients_of_jobs
from vtt_core.training.gradients import StepGradients

MAX_RECORDINGS = 4
"""Of the shapes that came last: full and partial batch, with absorption and without."""


def make_gradients_of_jobs(tower: VisionTower) -> GradientsOfJobs:
    """Return `gradients_of_jobs` for one tower, replayed where it is on a CUDA device."""
    run = partial(gradients_of_jobs, VisionPass(tower))
    return ReplayedGradients(run) if tower.device.type == "cuda" else run


class ReplayedGradients:
    """Gradients of some fine-tunings' batches; what it returns is overwritten by the next call."""

    def __init__(self, run: GradientsOfJobs) -> None:
        """Take what is recorded."""
        self._run = run
        self._pool: Any = None
        self._seen: OrderedDict[tuple[object, ...], _Recording | None] = OrderedDict()

    def __call__(self, jobs: Sequence[JobRows]) -> list[StepGradients]:
        """Return the gradients of every fine-tuning's batch."""
        key = tuple(_shape_of(job) for job in jobs)
        if key not in self._seen:
            self._remember(key, None)
            return self._run(jobs)
        # One pool of memory for all: each result is used up before the next recording writes there.
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        recording = self._seen[key] or _Recording(self._run, jobs, self._pool)
        self._remember(key, recording)
        return recording.replay(jobs)

    def _remember(self, key: tuple[object, ...], recording: _Recording | None) -> None:
        self._seen[key] = recording
        self._seen.move_to_end(key)
        while len(self._seen) > MAX_RECORDINGS:
            self._seen.popitem(last=False)


class _Recording:
    """A graph, and where it reads and writes."""

    def __init__(self, run: GradientsOfJobs, jobs: Sequence[JobRows], pool: Any) -> None:
        """Run once, for kernels to be compiled and workspaces to be made, then record."""
        self._jobs = [replace(job, batch=_copied(job.batch)) for job in jobs]
        side, current = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            run(self._jobs)
        current.wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._results = run(self._jobs)

    def replay(self, jobs: Sequence[JobRows]) -> list[StepGradients]:
        """Return the gradients of batches of the recorded shapes."""
        for own, job in zip(self._jobs, jobs, strict=True):
            own.batch.views_B.copy_(job.batch.views_B)
            if own.batch.dropout is not None and job.batch.dropout is not None:
                own.batch.dropout.bytes_LPBTW.copy_(job.batch.dropout.bytes_LPBTW)
        self._graph.replay()
        return self._results


def _shape_of(job: JobRows) -> tuple[object, ...]:
    batch = job.batch
    return (job.data.views_V3HW.data_ptr(), id(job.lora), len(batch.views_B), batch.dropout is None, batch.is_absorbing)


def _copied(batch: Batch) -> Batch:
    dropout = batch.dropout
    copied = None if dropout is None else Dropout(dropout.bytes_LPBTW.clone(), dropout.num_dropped)
    return Batch(batch.views_B.clone(), copied, batch.is_absorbing)
