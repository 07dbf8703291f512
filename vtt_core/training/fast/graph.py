"""Replay the gradients of a step as one CUDA graph, so that a GPU never waits for Python to launch the next kernel.

A step of 25 images is over a thousand kernels of some ten microseconds each, as long as Python takes to launch one. A graph is
recorded when a batch of the same shape comes for the second time; a batch's indices and dropout are copied to where the
recording read them. The optimiser changes the parameters in place, so a recording stays valid.

Source: torch.cuda.CUDAGraph.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from vtt_core.hosts.training_data import Batch
from vtt_core.lora.dropout import Dropout
from vtt_core.training.step import StepGradients

MAX_RECORDINGS = 4
"""Of the shapes that came last: full and partial batch, with absorption and without."""
Shape = tuple[int, bool, bool]
"""Number of images, whether inputs are dropped, whether to absorb."""


class ReplayedGradients:
    """Gradients of one fine-tuning's whole batches; the next call overwrites what it returned."""

    def __init__(self, run: Callable[[Batch], StepGradients]) -> None:
        """Take what is recorded."""
        self._run = run
        self._pool: Any = None
        self._seen: OrderedDict[Shape, _Recording | None] = OrderedDict()

    def __call__(self, batch: Batch, share: float = 1.0) -> StepGradients:
        """Return the gradients of a batch.

        Args:
            batch: the images.
            share: of these images in their whole batch: all.
        """
        assert share == 1.0, "a recording holds the share, so parts of a batch would need recordings of their own"
        shape = (len(batch.views_B), batch.dropout is not None, batch.is_absorbing)
        if shape not in self._seen:
            self._remember(shape, None)
            return self._run(batch)
        # One pool of memory for all: each result is used up before the next recording writes there.
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        recording = self._seen[shape] or _Recording(self._run, batch, self._pool)
        self._remember(shape, recording)
        return recording.replay(batch)

    def _remember(self, shape: Shape, recording: _Recording | None) -> None:
        self._seen[shape] = recording
        self._seen.move_to_end(shape)
        while len(self._seen) > MAX_RECORDINGS:
            self._seen.popitem(last=False)


class _Recording:
    """A graph, and where it reads and writes."""

    def __init__(self, run: Callable[[Batch], StepGradients], batch: Batch, pool: Any) -> None:
        """Run once, for kernels to be compiled and workspaces to be made, then record."""
        self._batch = _copied(batch)
        side, current = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(current)
        with torch.cuda.stream(side):
            run(self._batch)
        current.wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=pool, capture_error_mode="thread_local"):
            self._result = run(self._batch)

    def replay(self, batch: Batch) -> StepGradients:
        """Return the gradients of a batch of the recorded shape."""
        own = self._batch
        own.views_B.copy_(batch.views_B)
        if own.dropout is not None and batch.dropout is not None:
            own.dropout.bytes_LPBTW.copy_(batch.dropout.bytes_LPBTW)
        self._graph.replay()
        return self._result


def _copied(batch: Batch) -> Batch:
    dropout = batch.dropout
    copied = None if dropout is None else Dropout(dropout.bytes_LPBTW.clone(), dropout.num_dropped)
    return Batch(batch.views_B.clone(), copied, batch.is_absorbing)
