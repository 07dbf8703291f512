"""`vtt backbones`: list what can be adapted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.console import write_json
from vtt_core.contract.backbones import catalogue


def backbones(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """List the backbones: the bundled one, and those whose weights come from a hub, a cache or a file."""
    if as_json:
        write_json({"backbones": [asdict(entry) for entry in catalogue()]})
        return
    table = Table("backbone", "side", "joint size", "weights", "description", box=None, header_style="bold")
    for entry in catalogue():
        where = "bundled" if entry.is_bundled else "hub, cache or file"
        table.add_row(entry.backbone_id, str(entry.image_side_pixels), str(entry.joint_size), where, entry.description)
    Console(highlight=False).print(table)
