"""`vtt predict DIR scene.tif --tile`: a map of a large scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from PIL import Image
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.cli.console import stderr_console
from vtt_core.contract.bands import BandChoice
from vtt_core.contract.errors import InputError
from vtt_core.contract.serving import AnswerOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vtt_core.adapter.files import Adapter
    from vtt_core.backbones.backbone import Backbone

TileOption = Annotated[
    int | None, typer.Option(metavar="PIXELS", min=8, help="Classify a GeoTIFF in tiles of this side, and write a map.")
]
StrideOption = Annotated[
    int | None,
    typer.Option(metavar="PIXELS", min=1, help="Distance of tiles, and side of a cell of the map; half a tile without it."),
]
MapOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="The map of classes; a PNG and GeoJSON lie beside it. Overwritten.")
]


def run_scene(
    folder: Path,
    scene_path: Path,
    *,
    tile: int,
    stride: int | None,
    out: Path,
    device: str,
    options: AnswerOptions,
) -> dict[str, Any]:
    """Classify a scene, write its map and return what was found.

    Args:
        folder: of the adapter.
        scene_path: of the GeoTIFF.
        tile: side of a tile, in pixels.
        stride: distance of tiles; None for half a tile.
        out: the map of classes.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        options: from when on a tile is none of the classes.

    Raises:
        VttError: the adapter or the scene cannot be used, or the map not be written.
    """
    # See run_predict.
    from vtt_core.adapter.files import load_adapter  # noqa: PLC0415
    from vtt_core.backbones.device import resolve_device  # noqa: PLC0415
    from vtt_core.backbones.load import load_backbone  # noqa: PLC0415
    from vtt_core.scenes.map_files import ScenePaths  # noqa: PLC0415
    from vtt_core.scenes.scene_file import open_scene  # noqa: PLC0415
    from vtt_core.scenes.scene_map import map_scene  # noqa: PLC0415

    if out.suffix.lower() not in (".tif", ".tiff"):
        raise InputError(expected="a map called .tif", got=repr(str(out)), remedy="Choose another --out")
    ScenePaths.of(out).check(scene_path)
    adapter = load_adapter(folder)
    backbone = load_backbone(adapter.manifest.backbone_id, device=resolve_device(device))
    tiles = _Tiles(backbone, adapter, options)
    with open_scene(scene_path, _bands_of(adapter)) as scene, _bar() as bar:
        task = bar.add_task("rows of tiles", total=None)
        report = map_scene(
            scene,
            adapter.manifest.labels,
            tiles.classify,
            out,
            tile=tile,
            stride=stride or max(1, tile // 2),
            show=lambda done, total: bar.update(task, completed=done, total=total),
        )
    return asdict(report) | {"files": [str(path) for path in report.files], "notices": list(report.notices)}


def write_scene_summary(report: dict[str, Any]) -> None:
    """Say in words what `run_scene` returned."""
    typer.echo(f"map      {report['width']} x {report['height']} cells of {report['num_tiles']} tiles")
    for name, share in sorted(report["shares"].items(), key=lambda pair: -pair[1]):
        typer.echo(f"{100 * share:6.1f} % {name}")
    for path in report["files"]:
        typer.echo(f"written  {path}")
    for notice in report["notices"]:
        typer.echo(f"note     {notice}")


class _Tiles:
    """Classifies the tiles of a row."""

    def __init__(self, backbone: Backbone, adapter: Adapter, options: AnswerOptions) -> None:
        self._backbone, self._adapter, self._options = backbone, adapter, options

    def classify(self, images: Iterator[Image.Image]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the probabilities of each class, and which images show none of them."""
        import numpy as np  # noqa: PLC0415  # like torch, not for `vtt adapt --dry-run` and the like

        from vtt_core.adapter.answer import answers  # noqa: PLC0415
        from vtt_core.adapter.classify import adapter_scores, read_for  # noqa: PLC0415
        from vtt_core.heads.features import head_input  # noqa: PLC0415

        readout = read_for(self._backbone, self._adapter, images)
        scores_BR = adapter_scores(self._adapter, readout)
        found = answers(self._adapter, scores_BR, head_input(readout).float().cpu(), self._options)
        labels = self._adapter.manifest.labels
        probabilities = np.array([[answer.probabilities[label] for label in labels] for answer in found])
        return probabilities, np.array([bool(answer.none_of_these) for answer in found])


def _bands_of(adapter: Adapter) -> BandChoice | None:
    return adapter.manifest.bands


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=stderr_console(), transient=True)
