"""`vtt diagnose run`: one fine-tuning with VtT, from its first step to its last, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.bench.common import BackboneOption, JsonOption, ThreadsOption, load_for_bench, use_threads
from app.cli.bench.diagnose_plots import check_matplotlib
from app.cli.bench.open_data import NamesOption
from app.cli.bench.run_plot import plot_run
from app.cli.console import FinetuneBar, write_json
from app.cli.interrupts import held_back
from app.cli.selection import survey_images
from vtt_core.backbones.device import resolve_device
from vtt_core.contract.method_spec import parse_spec
from vtt_core.labels.checks import LabelReader

if TYPE_CHECKING:
    from vtt_core.bench.diagnostics.training_run import TrainingRun


def run(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="Images, one folder per class.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG file that is written.")],
    names: NamesOption = None,
    backbone: BackboneOption = "mini",
    method: Annotated[str, typer.Option(metavar="NAME[@PRESET]", help="A fine-tuning with VtT.")] = "clip-lora+vtt",
    shot: Annotated[int, typer.Option(metavar="K", min=1, help="Images of each class to learn from.")] = 5,
    iterations: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Optimiser steps; without it, those of the method's recipe.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Start of the random numbers.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the parts of VtT over one fine-tuning: the sequence, the scan, the absorption, and the conflict of the gradients."""
    # torch takes seconds to import; other commands do without.
    from vtt_core.bench.diagnostics.training_run import watch  # noqa: PLC0415
    from vtt_core.training.finetune import Finetune  # noqa: PLC0415

    check_matplotlib()
    changes = {} if iterations is None else {"iterations": iterations}
    recipe = parse_spec(method, (), changes, backbone_id=backbone).recipe
    if recipe is None:
        raise typer.BadParameter("A baseline fine-tunes nothing; name a method that ends in +vtt.", param_hint="--method")
    num_threads = use_threads(threads)
    frozen = load_for_bench(backbone, resolve_device(device))
    reader = LabelReader("mini" if backbone.endswith(".json") else backbone, recipe)
    support_set = survey_images(source, shot=shot, query=0, names_path=names, reader=reader).selection().support_set
    finetune = Finetune(frozen, support_set, recipe, seed, num_threads=num_threads)
    with FinetuneBar("fine-tuning") as bar:
        found = watch(finetune, lambda report: bar.show(report.to_json()))
    with held_back():
        plot_run(found, out)
    if as_json:
        write_json({"file": str(out), **_to_json(found)})
    else:
        stopped = found.steps[-1].absorption_stopped_at
        typer.echo(f"absorption off at step {stopped}" if stopped else f"absorption on to the last step, {len(found.steps)}")
        typer.echo(f"picture: {out}")


def _to_json(found: TrainingRun) -> dict[str, Any]:
    looks = {
        name: {
            "likeness": seen.likeness_SS.tolist(),
            "influence": seen.influence_S.tolist(),
            "agreement": seen.agreement_CC.tolist(),
        }
        for name, seen in (("before", found.before), ("after", found.after))
    }
    return {"labels": list(found.labels), **looks, "steps": [report.to_json() for report in found.steps]}
