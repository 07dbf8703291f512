"""`vtt bench`: its commands."""

from __future__ import annotations

import typer

from app.cli.lazy_commands import Place, group_of

MEASUREMENTS = (
    *("step", "parts", "jobs", "serve", "growth", "load"),
    *("episodes", "reproduce", "hosts", "exports", "table", "expected", "unknown"),
)
FILES = {"parts": "step"}
"""Of commands that share one."""
bench = typer.Typer(
    help="Compare alternatives in turn, and print ratios with their spread.",
    no_args_is_help=True,
    cls=group_of({name: Place(f"{__package__}.{FILES.get(name, name)}:{name}", "Commands") for name in MEASUREMENTS}),
)
bench.callback()(lambda: None)
