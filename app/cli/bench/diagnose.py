"""`vtt diagnose`: lost text layers and attention maps, before and after a fine-tuning."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from app.cli.bench.common import BackboneOption, JsonOption, ThreadsOption, load_for_bench, use_threads
from app.cli.bench.diagnose_plots import AttentionRow, check_matplotlib, plot_attention, plot_lost_layers
from app.cli.bench.logged_run import open_run
from app.cli.bench.open_data import DataOption, NamesOption, PatientOption, open_data
from app.cli.console import BAD_INPUT_EXIT, write_json, write_rejection
from app.cli.interrupts import held_back
from app.cli.predict import read_image_file
from vtt_core.backbones.device import resolve_device
from vtt_core.contract.errors import ImageError, NotAnImageError
from vtt_core.contract.manifest import Preprocessing
from vtt_core.contract.recipe import FinetuneRecipe
from vtt_core.ingest.decode import decode_image

if TYPE_CHECKING:
    from PIL import Image

    from vtt_core.bench.diagnostics.lost_layers import LostLayers

diagnose = typer.Typer(help="Look into a backbone, before and after a fine-tuning.", no_args_is_help=True)

LOST_LAYERS_FILES = ("lost-layers.json", "lost-layers.png")

DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


@diagnose.command()
def lost_layers(
    data: DataOption,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of log, lost-layers.json and lost-layers.png.")],
    names: NamesOption = None,
    backbone: BackboneOption = "mini",
    way: Annotated[int, typer.Option(metavar="N", min=2, help="Classes of an episode.")] = 5,
    shot: Annotated[int, typer.Option(metavar="K", min=1, help="Support images a class.")] = 1,
    query: Annotated[int, typer.Option(metavar="Q", min=1, help="Query images a class.")] = 15,
    episodes: Annotated[int, typer.Option(metavar="N", min=2, help="Episodes.")] = 200,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the episodes and of the fine-tunings in them.")] = 1,
    weight: Annotated[float, typer.Option(metavar="W", help="Of an emphasised layer, above 1.")] = 1.5,
    methods: Annotated[
        str, typer.Option(metavar="NAME,NAME...", help="Fine-tunings whose text towers are compared with the frozen one.")
    ] = "clip-lora,clip-lora+vtt",
    before_only: Annotated[bool, typer.Option("--before-only", help="The frozen backbone alone, with no fine-tuning.")] = False,
    by_patient: PatientOption = False,
    iterations: Annotated[
        int, typer.Option(metavar="N", min=1, help="Optimiser steps of a fine-tuning.")
    ] = FinetuneRecipe().iterations,
    together: Annotated[int, typer.Option(metavar="N", min=1, help="Episodes that are fine-tuned at once.")] = 1,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw accuracy against the text layer that is removed or emphasised, before and after CLIP-LoRA with and without VtT.

    Every finished episode is a line of a log. After a kill, the same command resumes after the last line.
    """
    # torch takes seconds to import; other commands do without.
    from vtt_core.bench.diagnostics.lost_layers import BEFORE, LostLayers  # noqa: PLC0415
    from vtt_core.bench.episodes.image_bank import ImageBank  # noqa: PLC0415
    from vtt_core.bench.episodes.sampling import Protocol  # noqa: PLC0415
    from vtt_core.contract.method_spec import parse_specs  # noqa: PLC0415

    check_matplotlib()
    num_threads = use_threads(threads)
    frozen = load_for_bench(backbone, resolve_device(device))
    changes = {"iterations": iterations}
    specs = (BEFORE, *(() if before_only else parse_specs(methods, (), changes, backbone_id=backbone)))
    protocol = Protocol(way, shot, query, episodes, seed)
    with open_data(data, names, by_patient=by_patient) as images:
        measured = LostLayers(ImageBank(images, frozen), protocol, specs, num_threads, frozen.device.type, weight)
        found = _run_lost_layers(measured, out, together)
    result = {"data": data, "iterations": None if before_only else iterations, **found}
    json_file, plot_file = (out / name for name in LOST_LAYERS_FILES)
    with held_back():
        json_file.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        plot_lost_layers(result, plot_file)
    if as_json:
        write_json(result)
    else:
        _write_lost_layers(result, plot_file)


def _run_lost_layers(measured: LostLayers, folder: Path, together: int) -> dict[str, Any]:
    """Run the episodes that the log in the folder lacks, and return all results as JSON values."""
    from vtt_core.bench.diagnostics.lost_layers import summarise  # noqa: PLC0415
    from vtt_core.bench.episodes.runner import run_episodes  # noqa: PLC0415  (see lost_layers)

    # Reads every image once, so that an unusable one is named before anything is written.
    all_images = summarise(measured.edits, measured.over_images())
    with open_run(measured, folder) as (log, bar):
        for line in run_episodes(measured, log, time.perf_counter, together=together):
            bar.show(line)
        states = {state: summarise(measured.edits, found) for state, found in measured.accuracies(log).items()}
    bank, protocol = measured.bank, measured.protocol
    return {
        "backbone": bank.backbone.backbone_id,
        "backbone_sha256": bank.backbone.weight_sha256,
        "labels": list(bank.labels),
        "way": protocol.way,
        "shot": protocol.shot,
        "query": protocol.num_queries,
        "episodes": protocol.num_episodes,
        "seed": protocol.seed,
        "by_patient": bank.group_I is not None,
        "weight": measured.weight,
        "text_layers": bank.backbone.text_tower.num_layers,
        "chance": 1 / protocol.way,
        "states": states,
        "all_images": {"images": len(bank.images), "chance": 1 / len(bank.labels), **all_images},
    }


def _write_lost_layers(result: Mapping[str, Any], plot_file: Path) -> None:
    console = Console(highlight=False, emoji=False)
    console.print(
        f"{result['backbone']}, {result['way']}-way {result['shot']}-shot, {result['query']} queries a class, "
        f"{result['episodes']} episodes, chance {100 * result['chance']:.1f}; in percent, with 95 % intervals",
        markup=False,
    )
    table = Table(
        Column("state", overflow="fold"),
        "full tower",
        "best layer",
        "gain",
        "all layers",
        "above 0",
        box=None,
        header_style="bold",
    )
    every = result["all_images"]
    for state, found in {**result["states"], "all images": every}.items():
        for kind in ("removed", "emphasised"):
            best = found[f"best_{kind}"]
            table.add_row(
                state,
                _percent(found["full"]["accuracy"], found["full"]["ci95"]),
                f"{best['layer']} {kind}",
                _percent(best["gain"], best["ci95"], sign="+"),
                f"± {100 * best['ci95_of_all_layers']:.2f}",
                "yes" if best["is_above_zero_of_all_layers"] else "no",
            )
    console.print(table)
    way, chance = len(result["labels"]), 100 * every["chance"]
    console.print(f"all images: each of {every['images']} once, before, {way}-way, chance {chance:.1f}", markup=False)
    console.print(f"picture: {plot_file}", markup=False)


def _percent(value: float, half_width: float, sign: str = "") -> str:
    return f"{100 * value:{sign}.2f} ± {100 * half_width:.2f}"


@diagnose.command()
def attention(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images to look at.")],
    adapter: Annotated[Path, typer.Option(metavar="DIR", help="Folder that `vtt adapt` wrote.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG file that is written.")],
    layer: Annotated[int | None, typer.Option(metavar="N", help="Vision layer, 1 first; without it, the last.")] = None,
    rollout: Annotated[
        bool, typer.Option("--rollout", help="Follow attention through all layers up to this one, in place of it alone.")
    ] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Draw where the class token looks: the image, the frozen backbone's map, the map with the adapter.

    Images that cannot be used are named, the others are drawn, and the exit code is 2.
    """
    # torch takes seconds to import; other commands do without.
    from vtt_core.adapter.files import load_adapter  # noqa: PLC0415
    from vtt_core.backbones.attention import class_attention  # noqa: PLC0415
    from vtt_core.backbones.load import load_backbone  # noqa: PLC0415

    check_matplotlib()
    loaded = load_adapter(adapter)
    frozen = load_backbone(loaded.manifest.backbone_id, device=resolve_device(device))
    loaded.check_backbone(frozen)
    lora = loaded.lora.to(frozen.device, frozen.dtype) if loaded.lora.rank else None
    prompts_JPW = None if loaded.prompts_JPW is None else loaded.prompts_JPW.to(frozen.device, frozen.dtype)
    rows: list[AttentionRow] = []
    found: list[dict[str, Any]] = []
    for path, image in _readable(images, frozen.preprocessing):
        before_GG, after_GG = (
            class_attention(frozen, [image], *changes, layer=layer, is_rollout=rollout)[0].cpu()
            for changes in ((None, None), (lora, prompts_JPW))
        )
        rows.append(AttentionRow(image, before_GG, after_GG))
        shares = {"before": float(before_GG.sum()), "after": float(after_GG.sum())}
        shapes = [map_GG / map_GG.sum() for map_GG in (before_GG, after_GG)]
        found.append({"image": str(path), "patch_share": shares, "moved": float((shapes[0] - shapes[1]).abs().sum() / 2)})
    plot_attention(rows, out)
    if as_json:
        write_json({"file": str(out), "layer": layer or frozen.vision_tower.num_layers, "rollout": rollout, "images": found})
    else:
        for facts in found:
            typer.echo(f"{facts['image']}: {100 * facts['moved']:.1f} % of the attention on patches moved")
        typer.echo(f"picture: {out}")
    if len(rows) < len(images):
        raise typer.Exit(BAD_INPUT_EXIT)


def _readable(paths: Sequence[Path], preprocessing: Preprocessing) -> list[tuple[Path, Image.Image]]:
    """Return the images that can be used, at the size that the backbone reads; the others are named on standard error.

    Raises:
        NotAnImageError: none can be used.
    """
    from vtt_core.backbones.preprocess import resize  # noqa: PLC0415  (see attention)

    readable = []
    for path in paths:
        try:
            readable.append((path, resize(decode_image(read_image_file(path)), preprocessing)))
        except ImageError as error:
            write_rejection(str(path), error)
    if not readable:
        raise NotAnImageError(expected="at least one usable image", got=f"none of {len(paths)}", remedy="Check the paths")
    return readable
