"""`vtt worker`: run one process that fine-tunes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.api import put_in_environment
from app.infra.data_folder import load_local_settings


def worker(
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N; VTT_DEVICE, else auto.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Data folder; VTT_DATA_DIR, else vtt-data.")] = None,
) -> None:
    """Run one worker; start one per device."""
    put_in_environment(device=device, data_dir=data_dir)
    load_local_settings()
    # As another program, since app never imports the worker.
    os.execv(sys.executable, [sys.executable, *worker_arguments()])


def worker_arguments() -> list[str]:
    """Return the arguments that make the Python interpreter a worker."""
    return ["-m", "worker"]
