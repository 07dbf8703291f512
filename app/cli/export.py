"""`vtt export`: write an adapter in the format of another library, and say how well it agrees; or record it in MLflow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.console import stderr_console, write_json, write_rejection
from app.cli.mlflow_log import log_model
from app.cli.predict import read_image_file
from app.infra.data_folder import why_unwritable
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import InputError
from vtt_core.contract.exports import Agreement, ExportKind, ExportReport
from vtt_core.contract.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_IMAGES = 200
"""Images of a folder that are compared; more say little more."""


def export(
    adapter: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `vtt adapt` wrote.")],
    kind: Annotated[ExportKind | None, typer.Option("--format", help="Library that is to load it.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder to make; there must be nothing yet.")] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Images to compare on; without it, generated ones. int8 is calibrated on half of them."
        ),
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(metavar="URI", help="Record the adapter in this MLflow: its files, recipe, numbers and report."),
    ] = None,
    experiment: Annotated[str, typer.Option(metavar="NAME", help="Of MLflow; made if there is none.")] = "vtt",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Export an adapter for peft, open_clip or onnxruntime, or as a page that runs in a browser; or record it in MLflow.

    The export is loaded with that library and compared with the adapter before it gets its name. One that differs is not kept.
    """
    if (kind is None) != (out is None) or (kind is None and mlflow is None):
        raise InputError(
            expected="--format with --out, or --mlflow, or all of them",
            got=", ".join(name for name, value in (("--format", kind), ("--out", out)) if value is not None) or "none of them",
            remedy="Say in which form, and into which folder: --format onnx --out FOLDER",
        )
    facts: dict[str, Any] = {}
    if kind is not None and out is not None:
        report = run_export(adapter, kind, out, images)
        facts = report.to_json()
        if not as_json:
            _write_table(report, out)
    if mlflow is not None:
        run_id = log_model(adapter, mlflow, experiment=experiment)
        facts["mlflow"] = {"run_id": run_id, "experiment": experiment, "tracking_uri": mlflow}
        if not as_json:
            typer.echo(f"mlflow     run {run_id} of {experiment!r}")
    if as_json:
        write_json(facts)


def run_export(adapter: Path, kind: ExportKind, out: Path, images: Path | None = None) -> ExportReport:
    """Export an adapter; the arguments are those of `export`.

    Raises:
        InputError: the folder of images has none that can be read; see also `export_model`.
    """
    # torch takes seconds to import; `vtt --help` does without it.
    from vtt_core.adapter.files import load_adapter  # noqa: PLC0415
    from vtt_core.exports.export import check_out, export_model  # noqa: PLC0415

    check_out(out)
    _check_parent(out)
    compared = read_images(images, load_adapter(adapter).manifest.bands) if images is not None else None
    return export_model(adapter, kind, out, images=compared, stopwatch=time.monotonic)


def _check_parent(out: Path) -> None:
    """Refuse a place where no folder can be made, before anything is computed."""
    reason = why_unwritable(out.parent)
    if reason is not None:
        raise InputError(
            expected="a place that can be written to", got=f"{str(out.parent)!r} ({reason})", remedy="Choose another --out"
        )


def read_images(folder: Path, bands: BandChoice | None = None) -> list[Image]:
    """Read images below a folder; those that cannot be read are named."""
    # See run_export.
    from vtt_core.ingest.decode import decode_image  # noqa: PLC0415

    images = []
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    for file in files[:: max(1, len(files) // MOST_IMAGES)][:MOST_IMAGES]:
        try:
            images.append(decode_image(read_image_file(file), DEFAULT_LIMITS, bands))
        except InputError as error:
            write_rejection(str(file), error)
    if not images:
        raise InputError(
            expected="a folder with images", got=f"{str(folder)!r}, without one that can be read", remedy="Check --images"
        )
    return images


def _write_table(report: ExportReport, out: Path) -> None:
    typer.echo(f"export     {out} ({report.kind.value}), {len(report.files)} files, {report.size_bytes / 1e6:.2f} MB")
    typer.echo(f"agreement  {_in_words(report.agreement)}; loaded in {report.load_seconds:.1f} s")
    for precision, variant in report.variants.items():
        size = f"{variant.size_bytes / 1e6:.2f} MB"
        typer.echo(f"{precision:<10} {variant.file_name}, {size}: {_in_words(variant.agreement)} ({variant.note})")
    stderr_console().print(f"how to load it: {out / 'README.md'}", markup=False)


def _in_words(agreement: Agreement) -> str:
    same = f"same class for {100 * agreement.same_top1:.1f} % of {agreement.num_images} images"
    return f"largest logit difference {agreement.largest_logit_difference:.1e}, {same}"
