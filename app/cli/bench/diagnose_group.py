"""`vtt diagnose`: its commands."""

from __future__ import annotations

from app.cli.bench.diagnose import diagnose
from app.cli.bench.diagnose_run import run

diagnose.command()(run)

__all__ = ["diagnose"]
