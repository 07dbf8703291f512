"""Learn an adapter from a selection of images, write it, and measure what was written."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from app.cli.adapter_folder import ADAPTER_FILES, write_metrics
from app.cli.bands import in_bands
from app.cli.console import FinetuneBar, stderr_console
from app.cli.interrupts import held_back
from app.cli.selection import LabelledImage, Selection
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.interval import wilson_half_width
from vtt_core.contract.recipe import FinetuneRecipe

if TYPE_CHECKING:
    from vtt_core.adapter.adaptation import Adaptation
    from vtt_core.adapter.files import Adapter
    from vtt_core.backbones.backbone import Backbone

IMAGES_PER_BATCH = 64
"""Query images classified at once."""


@dataclass(frozen=True)
class AdaptReport:
    """What `--json` prints."""

    accuracy: float | None
    """Fraction of the query images that were classified correctly; None without query images."""
    ci95: float | None
    """Half width of its 95 % Wilson interval."""
    zero_shot_accuracy: float | None
    """The same without fine-tuning: the backbone and the class prompts alone."""
    seconds: float
    """From the decoded support set to the adapter."""
    tower: str
    """`frozen` or `fine-tuned`: which vision tower the adapter uses."""
    iterations: int
    """Optimiser steps, those of the validation included."""
    absorption_stopped_at: int | None
    """Step that switched absorption off, or None."""
    adapter_bytes: int
    """Size of the files in the folder that was written."""
    classes: list[str]
    metrics: dict[str, Any]
    """What was measured on left-out support images; see docs/api.md."""


def run_adapt(
    selection: Selection,
    recipe: FinetuneRecipe,
    *,
    backbone_id: str,
    seed: int,
    out: Path,
    device: str = "auto",
    num_threads: int | None = None,
    bands: BandChoice | None = None,
) -> AdaptReport:
    """Fine-tune, strip, save, reload and measure.

    Args:
        selection: support set and query images.
        recipe: what to run.
        backbone_id: the backbone to adapt.
        seed: start of the random numbers.
        out: folder of the adapter.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        num_threads: cores to fine-tune with; None for as many as torch uses.
        bands: how images of many bands are shown; None for ordinary images.
    """
    # torch takes seconds to import; `vtt --help` and the service's control role do without it.
    from vtt_core.adapter.adaptation import Adaptation  # noqa: PLC0415
    from vtt_core.adapter.files import load_adapter, save_adapter  # noqa: PLC0415
    from vtt_core.adapter.strip import frozen_adapter, with_bands  # noqa: PLC0415
    from vtt_core.backbones.device import resolve_device  # noqa: PLC0415
    from vtt_core.backbones.load import load_backbone  # noqa: PLC0415

    frozen = load_backbone(backbone_id, device=resolve_device(device))
    shown = selection if bands is None else in_bands(selection, bands)
    support_set, queries = shown.support_set, shown.query_images
    started = time.monotonic()
    adaptation = Adaptation(frozen, support_set, recipe, seed, num_threads=num_threads)
    num_steps = _take_steps(adaptation)
    adapted = adaptation.finish()
    seconds = time.monotonic() - started
    with held_back():
        save_adapter(adapted.adapter if bands is None else with_bands(adapted.adapter, bands), out)
        write_metrics(selection, adapted.metrics, out)
    written = load_adapter(out)
    zero_shot = frozen_adapter(frozen, support_set.labels, recipe, seed)
    num_correct, num_zero_shot = (count_correct(frozen, one, queries) for one in (written, zero_shot))
    return AdaptReport(
        accuracy=num_correct / len(queries) if queries else None,
        ci95=wilson_half_width(num_correct, len(queries)) if queries else None,
        zero_shot_accuracy=num_zero_shot / len(queries) if queries else None,
        seconds=round(seconds, 3),
        tower=adapted.metrics["choice"]["tower"],
        iterations=num_steps,
        absorption_stopped_at=written.manifest.absorption_stopped_at,
        adapter_bytes=sum((out / name).stat().st_size for name in ADAPTER_FILES),
        classes=list(support_set.labels),
        metrics=adapted.metrics,
    )


def _take_steps(adaptation: Adaptation) -> int:
    """Fine-tune with a bar; return the number of steps."""
    num_steps = 0
    with FinetuneBar("fine-tuning") as bar:
        for report in adaptation.steps():
            bar.show(report.to_json())
            num_steps = report.step
    return num_steps


def count_correct(backbone: Backbone, adapter: Adapter, query_images: Sequence[LabelledImage]) -> int:
    """Return how many images an adapter classifies correctly."""
    # See run_adapt.
    from vtt_core.adapter.classify import classify  # noqa: PLC0415
    from vtt_core.ingest.decode import decode_image  # noqa: PLC0415

    num_correct = 0
    for start in range(0, len(query_images), IMAGES_PER_BATCH):
        batch = query_images[start : start + IMAGES_PER_BATCH]
        probabilities_BC = classify(backbone, adapter, (decode_image(query.image.encoded) for query in batch))
        best_B = probabilities_BC.argmax(dim=-1).tolist()
        num_correct += sum(adapter.manifest.labels[best] == query.label for best, query in zip(best_B, batch, strict=True))
    return num_correct


def write_summary(report: AdaptReport, out: Path) -> None:
    """Say what was learnt and how accurate it is."""
    stopped = report.absorption_stopped_at
    switched = f", absorption off since step {stopped}" if stopped is not None else ""
    typer.echo(f"adapter    {out} ({report.adapter_bytes / 1e6:.2f} MB), {len(report.classes)} classes")
    if report.tower == "fine-tuned":
        typer.echo(f"fine-tuned {report.iterations} steps in {report.seconds:.1f} s{switched}")
    else:
        typer.echo(f"learnt     a head on the unchanged backbone in {report.seconds:.1f} s")
    expected = report.metrics["expected_accuracy"]
    if expected is not None:
        ends = f"95 % interval {100 * expected['low']:.0f} to {100 * expected['high']:.0f} %"
        typer.echo(f"expected   {100 * expected['accuracy']:.1f} % on new images ({ends}; {expected['how']})")
    if report.accuracy is not None and report.ci95 is not None and report.zero_shot_accuracy is not None:
        interval = f"{100 * report.accuracy:.1f} % ± {100 * report.ci95:.1f}"
        typer.echo(f"accuracy   {interval} on other images (zero-shot {100 * report.zero_shot_accuracy:.1f} %)")
    else:
        typer.echo("accuracy   not measured: no image was left; pass --shot to keep some")
    for sentence in report.metrics["advice"]:
        typer.echo(f"note       {sentence}")
    stderr_console().print(f"try it: {shlex.join(['vtt', 'predict', str(out), 'IMAGE'])}", markup=False)
