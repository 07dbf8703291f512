"""`vtt predict`: classify images with an adapter on disk, with no service."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.console import BAD_INPUT_EXIT, write_json, write_rejection
from app.cli.scene import MapOption, StrideOption, TileOption, run_scene, write_scene_summary
from app.domain.answer_ranges import COVERAGE_RANGE, FALSE_REJECTS_RANGE
from app.domain.errors import error_facts
from vtt_core.contract.errors import InputError, NotAnImageError
from vtt_core.contract.limits import DEFAULT_LIMITS
from vtt_core.contract.serving import DEFAULT_COVERAGE, DEFAULT_FALSE_REJECTS, AnswerOptions
from vtt_core.inspection.words import counted

NUM_RANKED, NUM_OF_SET = 3, 5
"""Classes that the text names with their probability, and of a prediction set."""
USUAL_OPTIONS = AnswerOptions()


def _a_number(share: float | None) -> float | None:
    if share is not None and math.isnan(share):  # it passes any comparison with bounds
        raise typer.BadParameter("nan is no number.")
    return share


CoverageOption = Annotated[
    float,
    typer.Option(
        min=COVERAGE_RANGE[0],
        max=COVERAGE_RANGE[1],
        callback=_a_number,
        help="Share of images whose true class should be in the prediction set.",
    ),
]
FalseRejectsOption = Annotated[
    float | None,
    typer.Option(
        min=FALSE_REJECTS_RANGE[0],
        max=FALSE_REJECTS_RANGE[1],
        callback=_a_number,
        show_default=str(DEFAULT_FALSE_REJECTS),
        help="Share of images of the classes that may be taken for none of them.",
    ),
]


def predict(
    adapter: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `vtt adapt` wrote.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images to classify.")],
    coverage: CoverageOption = DEFAULT_COVERAGE,
    false_rejects: FalseRejectsOption = None,
    tile: TileOption = None,
    stride: StrideOption = None,
    out: MapOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Print label probabilities for each image, or that it shows none of the classes.

    Images that cannot be used are named, the others are classified, and the exit code is 2. With --tile, one GeoTIFF is
    classified tile by tile into a map.
    """
    if tile is not None or stride is not None or out is not None:
        if tile is None or out is None or len(images) != 1:
            given = [name for name, value in (("--tile", tile), ("--stride", stride), ("--out", out)) if value is not None]
            raise InputError(
                expected="--tile, --out and one GeoTIFF for a map",
                got=f"{', '.join(given)} and {counted(len(images), 'image')}",
                remedy="Pass all three: vtt predict DIR scene.tif --tile 64 --out map.tif",
            )
        wanted = options_of(coverage, false_rejects)
        report = run_scene(adapter, images[0], tile=tile, stride=stride, out=out, device=device, options=wanted)
        if as_json:
            write_json(report)
        else:
            write_scene_summary(report)
        return
    results = run_predict(adapter, images, device=device, options=options_of(coverage, false_rejects))
    if as_json:
        write_json({"predictions": results})
    else:
        for result in results:
            if "probabilities" in result:
                typer.echo(f"{result['image']}: {in_words(result)}")
    if any("error" in result for result in results):
        raise typer.Exit(BAD_INPUT_EXIT)


def options_of(coverage: float, false_rejects: float | None) -> AnswerOptions:
    """Return what an adapter is asked for; None is the usual share of false rejects."""
    return AnswerOptions(coverage, DEFAULT_FALSE_REJECTS if false_rejects is None else false_rejects)


def run_predict(
    folder: Path, image_paths: list[Path], *, device: str = "auto", options: AnswerOptions = USUAL_OPTIONS
) -> list[dict[str, Any]]:
    """Return the answer for each image, or the reason why it cannot be used.

    Args:
        folder: of the adapter.
        image_paths: of the images.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        options: what to say besides probabilities.

    Raises:
        AdapterFormatError: the folder is no readable adapter.
        BackboneMismatchError: the backbone has other weights than the adapter was made for.
    """
    # torch takes seconds to import; `vtt --help` and the service's control role do without it.
    from vtt_core.adapter.answer import answers  # noqa: PLC0415
    from vtt_core.adapter.classify import adapter_scores, read_for  # noqa: PLC0415
    from vtt_core.adapter.files import load_adapter  # noqa: PLC0415
    from vtt_core.backbones.device import resolve_device  # noqa: PLC0415
    from vtt_core.backbones.load import load_backbone  # noqa: PLC0415
    from vtt_core.heads.features import head_input  # noqa: PLC0415
    from vtt_core.ingest.decode import decode_image  # noqa: PLC0415

    adapter = load_adapter(folder)
    backbone = load_backbone(adapter.manifest.backbone_id, device=resolve_device(device))
    results: list[dict[str, Any]] = []
    for path in image_paths:
        try:
            image = decode_image(read_image_file(path), bands=adapter.manifest.bands)
        except InputError as error:
            write_rejection(str(path), error)
            results.append({"image": str(path), "error": error_facts(error)})
            continue
        readout = read_for(backbone, adapter, [image])
        phi_BX = head_input(readout).float().cpu()
        [prediction] = answers(adapter, adapter_scores(adapter, readout), phi_BX, options)
        results.append({"image": str(path), **asdict(prediction)})
    return results


def in_words(result: Mapping[str, Any]) -> str:
    """Return the answer for one image in a line.

    Args:
        result: of `run_predict`, for an image that could be used.
    """
    ranked = [f"{label} {100 * share:.1f} %" for label, share in result["probabilities"].items()]
    if result["none_of_these"]:
        return f"none of these (likeliest: {ranked[0]})"
    line = ", ".join(ranked[:NUM_RANKED])
    may_be: Sequence[str] = result["prediction_set"] or ()
    if len(may_be) < 2:
        return line
    named = [*may_be[:NUM_OF_SET], *([f"{len(may_be) - NUM_OF_SET} more"] if len(may_be) > NUM_OF_SET else [])]
    return f"{line}; may be {', '.join(named[:-1])} or {named[-1]} ({100 * result['coverage']:.0f} % coverage)"


def read_image_file(path: Path) -> bytes:
    """Read one image file, and of one that is too large only enough to tell."""
    try:
        with path.open("rb") as file:
            return file.read(DEFAULT_LIMITS.max_image_bytes + 1)
    except OSError as error:
        inside = f"Name the images in it: {shlex.quote(str(path))}/*"
        raise NotAnImageError(
            expected="a readable image file",
            got=f"{str(path)!r}: {error.strerror or error}",
            remedy=inside if isinstance(error, IsADirectoryError) else "Check the path",
        ) from error
