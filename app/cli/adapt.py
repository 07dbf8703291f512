"""`vtt adapt`: from a folder of labelled images to an adapter on disk, with no service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.adapt_run import run_adapt, write_summary
from app.cli.adapter_folder import check_no_adapter, made
from app.cli.backbones import weights_here
from app.cli.bands import BandsOption, StretchOption
from app.cli.console import BAD_INPUT_EXIT, write_json
from app.cli.dry_run import advise_on, notices_of, write_dry_run, write_remarks
from app.cli.groups_file import GroupPatientOption, GroupPrefixOption, GroupsOption, NegativeOption, chosen_groups
from app.cli.renamed import warn_of_old_preset
from app.cli.selection import Survey, survey_images
from app.domain.errors import AdapterExistsError
from vtt_core.contract.backbones import MINI, Weights, catalogue, check_backbone_id
from vtt_core.contract.bands import read_band_wish
from vtt_core.contract.cores import usable_cores
from vtt_core.contract.errors import BackboneUnavailableError, VttError
from vtt_core.contract.method_spec import parse_spec
from vtt_core.contract.recipe import AUTO, FinetuneRecipe
from vtt_core.ingest.band_images import measure_support
from vtt_core.labels.checks import LabelReader


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
    recipe = _chosen_recipe(method, iterations, backbone)
    if out is None and not dry_run:
        raise typer.BadParameter("Name the folder that the adapter is written to, or pass --dry-run.", param_hint="--out")
    wish = read_band_wish(bands, stretch)
    reader = LabelReader(backbone, recipe)

    def look() -> Survey:
        return survey_images(
            source,
            shot=shot,
            query=query,
            names_path=names,
            groups=chosen_groups(groups, by_prefix=group_prefix, by_patient=group_patient),
            negative=negative,
            reader=reader,
            bands=None if wish is None else wish.bands,
        )

    blockers = [error for error in (_out_problem(out, force=force), _weights_problem(backbone)) if error is not None]
    if out is None or dry_run:
        raise typer.Exit(_show_dry_run(look, blockers, recipe.prompt_template, as_json=as_json))
    if blockers:
        raise blockers[0]
    survey = look()
    write_remarks(survey, recipe.prompt_template)
    selection = survey.selection()
    with made(out):
        report = run_adapt(
            selection,
            recipe,
            backbone_id=backbone,
            seed=seed,
            out=out,
            device=device,
            num_threads=threads or usable_cores(),
            bands=None if wish is None else measure_support(selection.support_set, wish),
        )
    if as_json:
        advice = [asdict(one) for one in advise_on(survey, recipe.prompt_template)]
        write_json(asdict(report) | {"advice": advice, "notices": notices_of(survey)})
    else:
        write_summary(report, out)


def _chosen_recipe(method: str, iterations: int | None, backbone_id: str) -> FinetuneRecipe:
    warn_of_old_preset(method)
    changes: dict[str, Any] = {} if iterations is None else {"iterations": iterations}
    recipe = parse_spec(method, (), changes, backbone_id=backbone_id).recipe
    assert recipe is not None, "only a baseline has none, and none is offered here"
    check_backbone_id(backbone_id)
    return recipe


def _show_dry_run(look: Callable[[], Survey], blockers: Sequence[VttError], template: str, *, as_json: bool) -> int:
    """Print what would be read, and everything that is in the way; return the exit code of the real command."""
    try:
        survey = look()
    except VttError as error:
        survey = Survey((), (error,), ())
    survey = replace(survey, problems=(*blockers, *survey.problems))
    write_dry_run(survey, template, as_json=as_json)
    return BAD_INPUT_EXIT if survey.problems else 0


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
