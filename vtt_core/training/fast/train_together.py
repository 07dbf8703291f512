"""Run several fine-tunings on one backbone side by side: each step is one run of the vision tower for all of them.

A fine-tuning of 25 images a step leaves a large GPU idle between its kernels; several fill it. Each keeps its own LoRA, fusion
network, optimiser, order of batches and dropout, so that its adapter is the one it would have become alone, but for rounding.

Source: METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

from vtt_core.contract.errors import BackboneMismatchError
from vtt_core.contract.progress import StepReport
from vtt_core.training.fast.fast_gradients import prepare_thread, split_rows
from vtt_core.training.fast.graph import make_gradients_of_jobs
from vtt_core.training.fast.job_gradients import GradientsOfJobs, JobRows
from vtt_core.training.finetune import Finetune
from vtt_core.training.gradients import StepGradients


class SharedSteps:
    """Lets fine-tunings in threads of their own take their steps together: the last to arrive runs the tower for all."""

    def __init__(self) -> None:
        """Wait for members; all of them must be on one backbone."""
        self._lock = Lock()
        self._gradients_of_jobs: GradientsOfJobs | None = None
        self._num_members = 0
        self._waiting: list[tuple[JobRows, Future[StepGradients]]] = []

    @contextmanager
    def member(self) -> Iterator[None]:
        """Take part inside; the others wait for a member at each of their steps, and no longer once it has left."""
        with self._lock:
            self._num_members += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_members -= 1
                due = self._take_if_complete()
            self._run(due)

    def gradients(self, rows: JobRows) -> StepGradients:
        """Return the gradients of a member's next batch; what fails for one of them fails for all."""
        future: Future[StepGradients] = Future()
        with self._lock:
            self._waiting.append((rows, future))
            due = self._take_if_complete()
        self._run(due)
        return future.result()

    def _take_if_complete(self) -> list[tuple[JobRows, Future[StepGradients]]]:
        if len(self._waiting) < self._num_members:
            return []
        due, self._waiting = self._waiting, []
        return due

    def _run(self, due: list[tuple[JobRows, Future[StepGradients]]]) -> None:
        if not due:
            return
        try:
            if self._gradients_of_jobs is None:
                self._gradients_of_jobs = make_gradients_of_jobs(due[0][0].data.backbone.vision_tower)
            results = self._gradients_of_jobs([rows for rows, _ in due])
        except BaseException as error:
            for _, future in due:
                future.set_exception(error)
            return
        for (_, future), result in zip(due, results, strict=True):
            future.set_result(result)


def train_together(finetunes: Sequence[Finetune], num_threads: int = 1) -> Iterator[list[StepReport | None]]:
    """Run the remaining steps of all fine-tunings, giving after each round a report of each, None for one that had finished.

    Between two rounds, each may be checkpointed.

    Args:
        finetunes: on the same backbone, at any step.
        num_threads: cores to share them out to.

    Raises:
        BackboneMismatchError: they are on different backbones.
    """
    backbone = finetunes[0].backbone
    if any(finetune.backbone is not backbone for finetune in finetunes):
        raise BackboneMismatchError(
            expected="fine-tunings on one backbone",
            got=", ".join(sorted({finetune.backbone.backbone_id for finetune in finetunes})),
            remedy="Load the backbone once and give it to all of them",
        )
    gradients_of_jobs = make_gradients_of_jobs(backbone.vision_tower)

    def run(some: Sequence[Finetune]) -> list[StepReport]:
        gradients = gradients_of_jobs([finetune.next_rows() for finetune in some])
        return [finetune.take(of_one) for finetune, of_one in zip(some, gradients, strict=True)]

    with ThreadPoolExecutor(num_threads, initializer=prepare_thread) as pool:
        while running := [finetune for finetune in finetunes if not finetune.has_finished]:
            shares = [running[part] for part in split_rows(len(running), num_threads)]
            reports = iter([report for share in pool.map(run, shares) for report in share])
            is_running = {id(finetune) for finetune in running}
            yield [next(reports) if id(finetune) in is_running else None for finetune in finetunes]
