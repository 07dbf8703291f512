"""Run every host, with and without VtT, on a backbone: does the loss fall, and does stripping keep the logits?

A loss is over all views of the support set, without dropout, before the first step and after the last: the loss of a mini-batch
depends on its images. Each method has its own recipe; its warm-up is shortened in proportion to its steps, otherwise short runs
would consist of warm-up alone.

Shapes: B images.
Source: METHOD.md, "One training step".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from vtt_core.adapter.adaptation import Adapted
from vtt_core.adapter.files import adapter_to_files
from vtt_core.adapter.strip import strip
from vtt_core.adapter.verify import scores_before_and_after
from vtt_core.backbones.backbone import Backbone
from vtt_core.backbones.decode_small import decode_support
from vtt_core.contract.errors import VttError
from vtt_core.contract.recipe import METHODS, FinetuneRecipe, make_recipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.hosts.training_data import CHUNK_VIEWS, Batch
from vtt_core.training.finetune import Finetune
from vtt_core.training.step import batch_losses


@dataclass(frozen=True)
class Change:
    """A loss before and after."""

    first: float
    last: float

    @property
    def falls(self) -> bool:
        """Whether it became smaller; NaN did not."""
        return self.last < self.first


@dataclass(frozen=True)
class CellMeasurements:
    """What a fine-tuning of one host on one backbone gave."""

    host_parameters: int
    fusion_parameters: int
    """Trained beside the host's, and stripped; 0 without VtT."""
    classification_loss: Change
    absorption_loss: Change | None
    """Up to the step that switched absorption off, or the last one; None without VtT."""
    absorption_stopped_at: int | None
    is_strip_equal: bool
    """Whether the written and read adapter gives the very logits of what was trained, on the support images."""
    seconds: float
    """From the encoded images to the last step; the measuring of losses is not in it."""


@dataclass(frozen=True)
class HostCell:
    """One host on one backbone."""

    backbone_id: str
    method: str
    measured: CellMeasurements | None
    refusal: str | None = None
    """Why it did not run."""

    @property
    def failures(self) -> list[str]:
        """What is wrong with it, in words; empty where nothing is."""
        if self.measured is None:
            return [f"it did not run: {self.refusal}"]
        found = []
        for name in ("classification_loss", "absorption_loss"):
            change: Change | None = getattr(self.measured, name)
            if change is not None and not change.falls:
                found.append(f"the {name.replace('_', ' ')} went from {change.first:.4f} to {change.last:.4f}")
        if not self.measured.is_strip_equal:
            found.append("the stripped adapter gives other logits")
        return found


def shortened_recipe(method: str, iterations: int) -> FinetuneRecipe:
    """Return the recipe of a method for so many steps, with the same share of them as warm-up."""
    full = make_recipe(method)
    warm_up_steps = full.warm_up_steps * iterations // full.iterations
    return make_recipe(method, changes={"iterations": iterations, "warm_up_steps": warm_up_steps})


def run_cells(
    backbone: Backbone,
    support_set: SupportSet,
    iterations: int,
    stopwatch: Callable[[], float],
    *,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
) -> Iterator[HostCell]:
    """Fine-tune one host after another, giving each cell when it is done.

    Args:
        backbone: frozen.
        support_set: what is learnt.
        iterations: steps of each.
        stopwatch: gives monotonic seconds.
        methods: hosts, with or without VtT.
        seed: of every fine-tuning.
    """
    for method in methods:
        try:
            measured = run_cell(backbone, support_set, shortened_recipe(method, iterations), stopwatch, seed=seed)
        except VttError as error:
            yield HostCell(backbone.backbone_id, method, None, str(error))
        else:
            yield HostCell(backbone.backbone_id, method, measured)


def run_cell(
    backbone: Backbone, support_set: SupportSet, recipe: FinetuneRecipe, stopwatch: Callable[[], float], *, seed: int = 0
) -> CellMeasurements:
    """Fine-tune one host, strip it, write and read the adapter; the arguments are those of `run_cells`."""
    start = stopwatch()
    finetune = Finetune(backbone, support_set, recipe, seed)
    seconds = stopwatch() - start
    first, last_absorption = support_losses(finetune), None
    steps, start = finetune.steps(), stopwatch()
    for report in steps:
        if report.absorption_stopped_at == report.step:
            seconds += stopwatch() - start
            last_absorption = support_losses(finetune)[1]
            start = stopwatch()
    seconds += stopwatch() - start
    last = support_losses(finetune)
    absorption_loss = None
    if recipe.uses_absorption:
        absorption_loss = Change(first[1], last[1] if last_absorption is None else last_absorption)
    state = finetune.state
    return CellMeasurements(
        host_parameters=sum(parameter.numel() for parameter in state.host.parameters()),
        fusion_parameters=sum(parameter.numel() for parameter in state.fusion.parameters()) if recipe.uses_absorption else 0,
        classification_loss=Change(first[0], last[0]),
        absorption_loss=absorption_loss,
        absorption_stopped_at=state.dgso.stopped_at,
        is_strip_equal=is_strip_equal(finetune, support_set),
        seconds=seconds,
    )


def support_losses(finetune: Finetune) -> tuple[float, float]:
    """Return classification and absorption loss over all views of the support set, with nothing dropped."""
    data, state = finetune.data, finetune.state
    views_V = torch.arange(len(data.labels_V), device=finetune.backbone.device)
    totals = [0.0, 0.0]
    with torch.no_grad():
        for views_B in views_V.split(CHUNK_VIEWS):
            batch = Batch(views_B, dropout=None, is_absorbing=True)
            loss_ce, loss_vtt = batch_losses(data, state.host, state.fusion, finetune.recipe, batch)
            assert loss_vtt is not None
            totals[0] += loss_ce.item() * len(views_B)
            totals[1] += loss_vtt.item() * len(views_B)
    return totals[0] / len(views_V), totals[1] / len(views_V)


def is_strip_equal(finetune: Finetune, support_set: SupportSet) -> bool:
    """Whether the adapter, stripped, written and read again, gives the logits of what was trained, bit for bit."""
    images = decode_support(support_set, finetune.backbone.preprocessing, finetune.limits, finetune.num_threads)
    adapted = Adapted(strip(finetune), {}, finetune)
    trained_BC, reloaded_BC = scores_before_and_after(finetune.backbone, adapted, adapter_to_files(adapted.adapter), images)
    return torch.equal(trained_BC, reloaded_BC)
