"""`vtt backbones`: list what can be adapted, or show one with its model card."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from app.cli.console import write_json
from vtt_core.contract.backbones import BackboneEntry, Weights, catalogue, check_catalogue_id, model_card


def backbones(
    backbone_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this one, with its model card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List the backbones, and say which have their weights on this machine: bundled, or in the hub's cache."""
    if backbone_id is not None:
        check_catalogue_id(backbone_id)
    shown = [entry for entry in catalogue() if backbone_id in (None, entry.backbone_id)]
    if as_json:
        write_json({"backbones": [_described(entry, with_card=backbone_id is not None) for entry in shown]})
        return
    console = Console(highlight=False, emoji=False)
    table = Table("backbone", "side", "joint size", "weights", "description", box=None, header_style="bold")
    for entry in shown:
        side, joint_size = str(entry.image_side_pixels), str(entry.joint_size)
        table.add_row(entry.backbone_id, side, joint_size, weights_here(entry).replace("_", " "), entry.description)
    console.print(table)
    card = model_card(shown[0]) if backbone_id else None
    if card:
        console.print(Markdown(card))


def weights_here(entry: BackboneEntry) -> Weights:
    """Return where the weights are, as seen from this machine."""
    # The image of role `control` has no package that downloads.
    from vtt_core.backbones.weight_cache import is_cached, is_offline  # noqa: PLC0415

    if entry.is_bundled:
        return Weights.BUNDLED
    if is_cached(entry):
        return Weights.CACHED
    return Weights.OUT_OF_REACH if is_offline() else Weights.DOWNLOADABLE


def _described(entry: BackboneEntry, *, with_card: bool) -> dict[str, Any]:
    return asdict(entry) | {"weights": weights_here(entry)} | ({"card": model_card(entry)} if with_card else {})
