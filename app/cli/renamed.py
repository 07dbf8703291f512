"""Accept old names of commands, options and values, and warn with the new ones. To be removed in 0.3."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import stderr_console
from app.cli.sample_images import sample_images


def warn_renamed(old: str, new: str) -> None:
    """Warn that a name has changed, and say until when the old one works."""
    stderr_console().print(f"{old} is now called {new}; the old name works until version 0.3", style="yellow", markup=False)


def warn_of_old_preset(methods: str) -> None:
    """Warn where a method asks for the preset `own`, which is still read."""
    if re.search(r"@own\b", methods):
        warn_renamed("The preset own", "original")


def renamed_part(shard: str) -> str:
    """Return the value of `--part`, the old name of `--shard`."""
    warn_renamed("--part", "--shard")
    return shard


def renamed_scan_kernels(kernels: str) -> str:
    """Return the value of `--scan-kernels` by its new name."""
    if kernels != "same-bytes":
        return kernels
    warn_renamed("--scan-kernels same-bytes", "--scan-kernels reproducible")
    return "reproducible"


def draw(
    folder: Annotated[Path, typer.Argument(metavar="DIR")],
    num_images: Annotated[int, typer.Option("--images", metavar="N", min=1)] = 15,
    seed: Annotated[int, typer.Option(metavar="N", min=0)] = 0,
) -> None:
    """Run `vtt sample-images` under its old name."""
    warn_renamed("vtt draw", "vtt sample-images")
    sample_images(folder, num_images, seed)
