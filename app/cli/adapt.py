"""`vtt adapt`: from a folder of labelled images to an adapter on disk, with no service."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.backbones import weights_here
from app.cli.bands import BandsOption, StretchOption, in_bands
from app.cli.console import BAD_INPUT_EXIT, FinetuneBar, stderr_console, write_json
from app.cli.dry_run import advise_on, notices_of, write_dry_run, write_remarks
from app.cli.groups_file import GroupPatientOption, GroupPrefixOption, GroupsOption, NegativeOption, chosen_groups
from app.cli.interrupts import held_back
from app.cli.renamed import warn_of_old_preset
from app.cli.selection import LabelledImage, Selection, Survey, survey_images
from app.domain.errors import AdapterExistsError
from app.infra.data_folder import why_unwritable
from app.reports.data import NEGATIVE, data_digest
from vtt_core.contract.backbones import MINI, Weights, catalogue, check_backbone_id
from vtt_core.contract.bands import BandChoice, read_band_wish
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.errors import BackboneUnavailableError, InputError, VttError
from vtt_core.contract.interval import wilson_half_width
from vtt_core.contract.method_spec import parse_spec
from vtt_core.contract.recipe import AUTO, FinetuneRecipe
from vtt_core.ingest.band_images import measure_support
from vtt_core.labels.checks import LabelReader

if TYPE_CHECKING:
    from vtt_core.adapter.files import Adapter
    from vtt_core.backbones.backbone import Backbone

IMAGES_PER_BATCH = 64
"""Query images classified at once."""
ADAPTER_FILES = ("manifest.json", "adapter.safetensors")
"""Files of an adapter, repeated here to import no torch; a test compares them with vtt_core/adapter/files.py."""
METRICS_FILE = "metrics.json"
"""Lies beside them: what was measured, and on what; `vtt report` reads it."""


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


def adapt(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="Images, one folder per class.")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder that the adapter is written to.")] = None,
    backbone: Annotated[str, typer.Option(metavar="ID", help="A backbone that `vtt backbones` lists.")] = MINI,
    shot: Annotated[
        int | None, typer.Option(metavar="K", help="The first K images of each class are the support set; all without it.")
    ] = None,
    query: Annotated[int, typer.Option(metavar="Q", min=0, help="Measure on up to Q of the remaining images a class.")] = 15,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Start of the random numbers.")] = 1,
    iterations: Annotated[
        int | None, typer.Option(metavar="N", help="Optimiser steps; without it, those of the method's recipe.")
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            metavar="NAME[@PRESET][:FIELD=VALUE...]",
            help="auto chooses; frozen fine-tunes nothing; or what is fine-tuned, as in clip-lora+vtt@paper.",
        ),
    ] = AUTO,
    names: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON: folder name to class name.")] = None,
    groups: GroupsOption = None,
    group_prefix: GroupPrefixOption = False,
    group_patient: GroupPatientOption = False,
    negative: NegativeOption = None,
    bands: BandsOption = None,
    stretch: StretchOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Cores to use; without it, all that it may.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an adapter that is in DIR already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be read; train and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Adapt a backbone to a folder or zip of labelled images and write the adapter.

    FOLDER or ZIP has a folder per class, perhaps inside one enclosing folder. Of folders such as `train` and `val`, the classes
    in `train` are the support set, and accuracy is measured on `val` first. Images that cannot be used are named and left
    out, and the next ones take their place. A class that cannot be used stops the command.
    """
    changes = {} if iterations is None else {"iterations": iterations}
    warn_of_old_preset(method)
    recipe = parse_spec(method, (), changes, backbone_id=backbone).recipe
    assert recipe is not None, "only a baseline has none, and none is offered here"
    check_backbone_id(backbone)
    if out is None and not dry_run:
        raise typer.BadParameter("Name the folder that the adapter is written to, or pass --dry-run.", param_hint="--out")
    blockers = [error for error in (_out_problem(out, force=force), _weights_problem(backbone)) if error is not None]
    if blockers and not dry_run:
        raise blockers[0]
    reader, wish = LabelReader(backbone, recipe), read_band_wish(bands, stretch)
    try:
        found_groups = chosen_groups(groups, by_prefix=group_prefix, by_patient=group_patient)
        survey = survey_images(
            source,
            shot=shot,
            query=query,
            names_path=names,
            groups=found_groups,
            negative=negative,
            reader=reader,
            bands=None if wish is None else wish.bands,
        )
    except VttError as error:
        if not dry_run:
            raise
        survey = Survey((), (error,), ())
    if dry_run:
        survey = replace(survey, problems=(*blockers, *survey.problems))
        write_dry_run(survey, recipe.prompt_template, as_json=as_json)
        raise typer.Exit(BAD_INPUT_EXIT if survey.problems else 0)
    assert out is not None, "asked for above"
    write_remarks(survey, recipe.prompt_template)
    num_threads = threads or usable_cores()
    selection = survey.selection()
    with _made(out):
        report = run_adapt(
            selection,
            recipe,
            backbone_id=backbone,
            seed=seed,
            out=out,
            device=device,
            num_threads=num_threads,
            bands=None if wish is None else measure_support(selection.support_set, wish),
        )
    if as_json:
        remarks: dict[str, Any] = {
            "advice": [asdict(advice) for advice in advise_on(survey, recipe.prompt_template)],
            "notices": notices_of(survey),
        }
        write_json(asdict(report) | remarks)
    else:
        _write_summary(report, out)


def _out_problem(out: Path | None, *, force: bool) -> VttError | None:
    try:
        if out is not None and not force:
            check_no_adapter(out)
    except AdapterExistsError as error:
        return error
    return None


def _weights_problem(backbone_id: str) -> VttError | None:
    """Return the error of a published backbone whose weights are not here and cannot be downloaded."""
    entry = next((entry for entry in catalogue() if entry.backbone_id == backbone_id), None)
    if entry is None or weights_here(entry) is not Weights.OUT_OF_REACH:
        return None
    return BackboneUnavailableError(
        expected=f"the weights of {backbone_id!r} in the cache that HF_HOME names, or a way to download them",
        got="neither: the cache lacks them, and HF_HUB_OFFLINE is set",
        remedy="Copy a cache that has them there, unset HF_HUB_OFFLINE, or use the bundled 'mini'",
    )


@contextmanager
def _made(out: Path) -> Iterator[None]:
    """Make the folder of the adapter; if the block fails before anything is in it, a new folder is removed again."""
    is_new = not out.exists()
    make_out(out)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):
                out.rmdir()
        raise


def make_out(out: Path) -> None:
    """Create the folder of the adapter before anything is trained.

    Raises:
        InputError: it cannot be created or written to.
    """
    reason = why_unwritable(out)
    if reason is not None:
        raise InputError(
            expected="a folder that can be written to", got=f"{str(out)!r} ({reason})", remedy="Choose another --out"
        )


def check_no_adapter(out: Path) -> None:
    """Refuse a folder that holds an adapter; other files in it are left alone.

    Raises:
        AdapterExistsError: it holds one, or it is a file.
    """
    if out.exists() and not out.is_dir():
        raise AdapterExistsError(
            expected="a folder to write the adapter to", got=f"the file {str(out)!r}", remedy="Choose another --out"
        )
    found = [name for name in ADAPTER_FILES if (out / name).exists()]
    if found:
        raise AdapterExistsError(
            expected="a folder without an adapter",
            got=f"{' and '.join(found)} in {str(out)!r}",
            remedy="Choose another --out, or pass --force to overwrite it",
        )


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
    original = selection
    selection = selection if bands is None else in_bands(selection, bands)
    started = time.monotonic()
    adaptation = Adaptation(frozen, selection.support_set, recipe, seed, num_threads=num_threads)
    num_steps = 0
    with FinetuneBar("fine-tuning") as bar:
        for step_report in adaptation.steps():
            bar.show(step_report.to_json())
            num_steps = step_report.step
    adapted = adaptation.finish()
    seconds = time.monotonic() - started
    with held_back():
        save_adapter(adapted.adapter if bands is None else with_bands(adapted.adapter, bands), out)
        _write_metrics(original, adapted.metrics, out)
    written = load_adapter(out)
    num_correct = _count_correct(frozen, written, selection.query_images)
    zero_shot = frozen_adapter(frozen, selection.support_set.labels, recipe, seed)
    num_zero_shot = _count_correct(frozen, zero_shot, selection.query_images)
    num_query = len(selection.query_images)
    return AdaptReport(
        accuracy=num_correct / num_query if num_query else None,
        ci95=wilson_half_width(num_correct, num_query) if num_query else None,
        zero_shot_accuracy=num_zero_shot / num_query if num_query else None,
        seconds=round(seconds, 3),
        tower=adapted.metrics["choice"]["tower"],
        iterations=num_steps,
        absorption_stopped_at=written.manifest.absorption_stopped_at,
        adapter_bytes=sum((out / name).stat().st_size for name in ADAPTER_FILES),
        classes=list(selection.support_set.labels),
        metrics=adapted.metrics,
    )


def _write_metrics(selection: Selection, metrics: dict[str, Any], out: Path) -> None:
    """Write what was measured, and a digest of what it was measured on."""
    support_set = selection.support_set
    named = [(known.label, image) for known in support_set.classes for image in known.images]
    named += [(NEGATIVE, image) for image in support_set.negatives]
    groups = {image.group for _, image in named if image.group is not None}
    facts = {
        "metrics": metrics,
        "data": {
            "sha256": data_digest((hashlib.sha256(image.encoded).hexdigest(), label) for label, image in named),
            "classes": [{"label": known.label, "num_images": known.shot} for known in support_set.classes],
            "num_groups": len(groups),
            "num_negatives": len(support_set.negatives),
        },
    }
    (out / METRICS_FILE).write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _count_correct(backbone: Backbone, adapter: Adapter, query_images: Sequence[LabelledImage]) -> int:
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


def _write_summary(report: AdaptReport, out: Path) -> None:
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
    stderr_console().print(f"try it: vtt predict {out} IMAGE", markup=False)
