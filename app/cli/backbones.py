"""`vtt backbones`: list what can be adapted, or show one with its model card."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from app.cli.console import write_json
from vtt_core.contract.backbones import catalogue, check_catalogue_id, model_card


def backbones(
    backbone_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Show this one, with its model card.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List the backbones: the bundled one, and those whose weights come from a hub, a cache or a file."""
    if backbone_id is not None:
        check_catalogue_id(backbone_id)
    shown = [entry for entry in catalogue() if backbone_id in (None, entry.backbone_id)]
    if as_json:
        write_json({"backbones": [asdict(entry) | ({"card": model_card(entry)} if backbone_id else {}) for entry in shown]})
        return
    console = Console(highlight=False)
    table = Table("backbone", "side", "joint size", "weights", "description", box=None, header_style="bold")
    for entry in shown:
        where = "bundled" if entry.is_bundled else "hub, cache or file"
        table.add_row(entry.backbone_id, str(entry.image_side_pixels), str(entry.joint_size), where, entry.description)
    console.print(table)
    card = model_card(shown[0]) if backbone_id else None
    if card:
        console.print(Markdown(card))
