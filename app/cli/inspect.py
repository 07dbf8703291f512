"""`vtt inspect`: what is worth knowing about labelled images before any training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.bands import BandsOption, StretchOption, in_bands
from app.cli.console import stderr_console, write_json
from app.cli.dry_run import write_remarks
from app.cli.groups_file import GroupPatientOption, GroupPrefixOption, GroupsOption, NegativeOption, chosen_groups
from app.cli.selection import survey_images
from vtt_core.contract.backbones import MINI, check_backbone_id
from vtt_core.contract.bands import read_band_wish
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.contract.support_set import SupportSet
from vtt_core.contract.support_set_report import Measured, SupportSetReport
from vtt_core.ingest.band_images import measure_support
from vtt_core.labels.checks import LabelReader


def inspect(
    source: Annotated[Path, typer.Argument(metavar="FOLDER|ZIP", help="Images, one folder per class.")],
    backbone: Annotated[str, typer.Option(metavar="ID", help="A backbone that `vtt backbones` lists.")] = MINI,
    shot: Annotated[
        int | None, typer.Option(metavar="K", help="Look at the first K images of each class; at all without it.")
    ] = None,
    names: Annotated[Path | None, typer.Option(metavar="FILE", help="JSON: folder name to class name.")] = None,
    groups: GroupsOption = None,
    group_prefix: GroupPrefixOption = False,
    group_patient: GroupPatientOption = False,
    negative: NegativeOption = None,
    bands: BandsOption = None,
    stretch: StretchOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Report on labelled images before any training, in seconds.

    Finds copies of a photo, doubtful labels, groups that leak, and classes that are told by image size, border, file format or
    colour alone. Says how well the frozen backbone tells the classes apart, which are the weakest, and what more images would
    bring. Trains and writes nothing.
    """
    check_backbone_id(backbone)
    found_groups = chosen_groups(groups, by_prefix=group_prefix, by_patient=group_patient)
    reader = LabelReader(backbone, FinetuneRecipe())
    wish = read_band_wish(bands, stretch)
    survey = survey_images(
        source,
        shot=shot,
        query=0,
        names_path=names,
        groups=found_groups,
        negative=negative,
        reader=reader,
        bands=None if wish is None else wish.bands,
    )
    selection = survey.selection()
    support_set = (selection if wish is None else in_bands(selection, measure_support(selection.support_set, wish))).support_set
    write_remarks(survey, FinetuneRecipe().prompt_template)
    started = time.monotonic()
    report = run_inspect(support_set, backbone, device)
    if as_json:
        write_json(report.to_json())
    else:
        _write_report(report, time.monotonic() - started)


def run_inspect(support_set: SupportSet, backbone_id: str, device: str = "auto") -> SupportSetReport:
    """Return the report on a support set by a backbone, on `auto`, `cpu`, `cuda` or `cuda:N`."""
    # torch takes seconds to import; `vtt --help` and the service's control role do without it.
    from vtt_core.backbones.device import resolve_device  # noqa: PLC0415
    from vtt_core.backbones.load import load_backbone  # noqa: PLC0415
    from vtt_core.inspection.inspect import images_of, inspect_images  # noqa: PLC0415

    frozen = load_backbone(backbone_id, device=resolve_device(device))
    return inspect_images(frozen, support_set.labels, images_of(support_set))


def _write_report(report: SupportSetReport, seconds: float) -> None:
    console = Console(highlight=False, soft_wrap=True, emoji=False)
    table = Table("class", "images", "independent", "recognised", "most often taken for", box=None, header_style="bold")
    for one in report.classes:
        recognised = "not known" if one.recall is None else f"{100 * one.recall:.0f} %"
        table.add_row(one.label, str(one.shot), str(one.num_independent), recognised, one.confused_with or "")
    console.print(table)
    console.print(f"recognised of all that were held out: {_shown(report.held_out)}", markup=False)
    for point in report.learning_curve:
        console.print(f"  learnt from {point.shot:>2} of each class: {_shown(point.measured)}", markup=False)
    for finding in report.findings:
        style = "bold red" if finding.severity == "problem" else "yellow"
        console.print(f"{finding.severity}: ", style=style, end="")
        console.print(finding.sentence, markup=False)
    if not report.findings:
        console.print("Nothing was found that is wrong or worth a look.")
    stderr_console().print(f"{report.num_images} images in {seconds:.1f} s; nothing was trained", markup=False)


def _shown(measured: Measured | None) -> str:
    if measured is None:
        return "not known, no class has two independent images"
    return f"{100 * measured.accuracy:.0f} % ± {100 * measured.half_width:.0f} ({measured.num_images} images)"
