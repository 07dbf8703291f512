"""`vtt import`: take in images from other services."""

from __future__ import annotations

import typer

from app.cli.imports.custom_vision import custom_vision

imports = typer.Typer(help="Take in images from other services.", no_args_is_help=True)


@imports.callback()
def choose() -> None:
    """Take in images from other services."""


imports.command()(custom_vision)
