"""`vtt bench exports`: a table of exports and backbones, each loaded by the library that it is for."""

from __future__ import annotations

import resource
import runpy
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.bench.common import JsonOption, ThreadsOption, conditions, load_for_bench, use_threads
from app.cli.console import stderr_console, write_json
from app.cli.export import read_images
from vtt_core.contract.errors import InputError, UnsupportedExportError
from vtt_core.contract.exports import Agreement, ExportKind, ExportReport

if TYPE_CHECKING:
    from PIL.Image import Image

    from vtt_core.backbones.backbone import Backbone

DEFAULT_BACKBONES = "mini"
DEFAULT_FORMATS = "peft,open_clip,onnx"
SCRIPT = "classify.py"
REPEATS = 5
TABLE_WIDTH = 120
"""Width at which no column is cut."""


@dataclass(frozen=True)
class ExportRow:
    """One export of one backbone, in one precision."""

    backbone_id: str
    form: str
    size_bytes: int = 0
    agreement: Agreement | None = None
    load_seconds: float = 0.0
    image_milliseconds: float | None = None
    """For one image alone, resizing included; None where no script classifies."""
    export_seconds: float = 0.0
    refusal: str | None = None


def exports(
    backbones: Annotated[
        str,
        typer.Option(
            metavar="ID,ID...",
            help="Backbones, `name/random` for random weights, or folders that `vtt adapt` wrote. A backbone gets an adapter "
            "with random numbers.",
        ),
    ] = DEFAULT_BACKBONES,
    formats: Annotated[str, typer.Option(metavar="NAME,NAME...", help=", ".join(ExportKind))] = DEFAULT_FORMATS,
    images: Annotated[Path | None, typer.Option(metavar="FOLDER", help="To compare on; without it, generated ones.")] = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export backbones in every form, load each with its own library, and say how it agrees and what it costs.

    A form that has no place for a backbone is told with its reason. The largest memory is that of the whole process, so measure
    one large backbone at a time.
    """
    import torch  # noqa: PLC0415  (takes seconds; other commands do without)

    names = [name.strip() for name in backbones.split(",") if name.strip()]
    kinds = _kinds(formats)
    if not names:
        raise InputError(expected="one backbone or more", got=repr(backbones), remedy="Correct --backbones")
    compared = read_images(images) if images is not None else None
    num_threads = use_threads(threads)
    rows = [row for name in names for row in _measure(name, kinds, compared)]
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if as_json:
        facts = {"largest_memory_gb": gigabytes, **conditions(torch, num_threads)}
        write_json(facts | {"rows": [asdict(row) for row in rows]})
    else:
        _write_table(rows, kinds, gigabytes)


def _kinds(formats: str) -> list[ExportKind]:
    names = [name.strip() for name in formats.split(",") if name.strip()]
    if not names or not set(names) <= set(ExportKind):
        raise InputError(
            expected="one or more of " + ", ".join(ExportKind), got=repr(formats), remedy="Separate --formats by commas"
        )
    return [ExportKind(name) for name in names]


def _measure(name: str, kinds: Sequence[ExportKind], images: list[Image] | None) -> Iterator[ExportRow]:
    from vtt_core.adapter.files import load_adapter, save_adapter  # noqa: PLC0415  (see exports)
    from vtt_core.bench.speed.synthetic_adapters import synthetic_adapter  # noqa: PLC0415  (see exports)

    with TemporaryDirectory(prefix="vtt-bench-exports-") as scratch:
        folder = Path(name)
        if folder.is_dir():
            backbone = load_for_bench(load_adapter(folder).manifest.backbone_id)
        else:
            folder, backbone = Path(scratch) / "adapter", load_for_bench(name)
            save_adapter(synthetic_adapter(backbone, 0, has_head=True), folder)
        for kind in kinds:
            yield from _rows(folder, kind, backbone, images, Path(scratch) / f"as-{kind}")
            stderr_console().print(f"{backbone.backbone_id} {kind}: done", markup=False)


def _rows(folder: Path, kind: ExportKind, backbone: Backbone, images: list[Image] | None, out: Path) -> Iterator[ExportRow]:
    from vtt_core.exports.export import export_model  # noqa: PLC0415  (see exports)

    started = time.monotonic()
    try:
        report = export_model(folder, kind, out, images=images, stopwatch=time.monotonic, backbone_of=lambda _: backbone)
    except UnsupportedExportError as error:
        yield ExportRow(backbone.backbone_id, kind, refusal=str(error))
        return
    seconds = time.monotonic() - started
    for form, file, size, agreement in _files(report):
        milliseconds = _image_milliseconds(out, file) if (out / SCRIPT).exists() else None
        yield ExportRow(backbone.backbone_id, form, size, agreement, report.load_seconds, milliseconds, seconds)


def _files(report: ExportReport) -> list[tuple[str, str | None, int, Agreement]]:
    """Return name, file, size and agreement of the export, or of each precision that it has."""
    if report.kind is ExportKind.ONNX:
        found = report.variants.items()
        return [(f"onnx {name}", variant.file_name, variant.size_bytes, variant.agreement) for name, variant in found]
    return [(report.kind.value, None, report.size_bytes, report.agreement)]


def _image_milliseconds(out: Path, file: str | None) -> float:
    """Return the time that the export's own script takes for one image, without loading."""
    from vtt_core.heads.generated_images import images_to_teach  # noqa: PLC0415  (see exports)

    image, times = images_to_teach("export", per_painter=1)[0], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the other libraries about themselves
        script = runpy.run_path(str(out / SCRIPT))
        model = script["load"](*([out / file] if file else []))
        for _ in range(REPEATS + 1):  # the first one warms up
            started = time.monotonic()
            script["scores"](model, [image])
            times.append(time.monotonic() - started)
    return 1000 * median(times[1:])


def _write_table(rows: Sequence[ExportRow], kinds: Sequence[ExportKind], gigabytes: float) -> None:
    from vtt_core.exports.card import SNIPPETS  # noqa: PLC0415  (see exports)

    console = Console(highlight=False, emoji=False)
    console.width = max(console.width, TABLE_WIDTH)
    columns = ("backbone", "export", "MB", "largest difference", "same class", "load s", "ms an image", "export s")
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        if row.agreement is None:
            table.add_row(row.backbone_id, row.form, "refused")
            continue
        table.add_row(
            row.backbone_id,
            row.form,
            f"{row.size_bytes / 1e6:,.1f}",
            f"{row.agreement.largest_logit_difference:.1e}",
            f"{100 * row.agreement.same_top1:.1f} % of {row.agreement.num_images}",
            f"{row.load_seconds:.1f}",
            "" if row.image_milliseconds is None else f"{row.image_milliseconds:.0f}",
            f"{row.export_seconds:.0f}",
        )
    console.print(table)
    for row in rows:
        if row.refusal is not None:
            console.print(f"{row.backbone_id}, {row.form}: {row.refusal}", markup=False)
    for kind in (kind for kind in kinds if kind in SNIPPETS):
        console.print(f"\n{kind}:\n{SNIPPETS[kind].format(base='BASE')}", markup=False)
    console.print(f"\nThe largest memory of the process was {gigabytes:.1f} GB.")
