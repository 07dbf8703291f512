"""`vtt restore`: read a backup into an empty installation."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli.api import put_in_environment
from app.cli.console import stderr_console, write_json
from app.domain.errors import BackupDamagedError


def restore(
    source: Annotated[Path, typer.Argument(help="An archive of `vtt backup`, or a folder whose newest archive is taken.")],
    data_dir: Annotated[Path | None, typer.Option(help="Data folder; VTT_DATA_DIR, else vtt-data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Restore a backup into an empty installation. Stop its API and workers first.

    Database and store may be of another kind than those of the backup.
    """
    put_in_environment(data_dir=data_dir)
    # The database's packages take a while to import; `vtt --help` does without them.
    from app.infra.clock import utc_now  # noqa: PLC0415
    from app.infra.data_folder import load_local_settings  # noqa: PLC0415
    from app.infra.object_store import ObjectStore  # noqa: PLC0415
    from app.infra.restore import restore_backup  # noqa: PLC0415

    path, settings = _choose(source), load_local_settings()
    manifest = restore_backup(path, settings.resolved_database_url, ObjectStore(settings.resolved_store_url), utc_now())
    if as_json:
        write_json({"file": str(path), **asdict(manifest)})
    else:
        message = f"{path}: {sum(manifest.tables.values())} rows, {manifest.num_blobs} blobs, of {manifest.created_at}"
        stderr_console().print(message, markup=False)


def _choose(source: Path) -> Path:
    """Return the file, or the newest archive of a folder by the time in its name."""
    archives = sorted(source.glob("vtt-backup-*.tar")) if source.is_dir() else [source]
    if not archives or not archives[-1].is_file():
        raise BackupDamagedError(
            expected="an archive of `vtt backup`", got=f"none at {str(source)!r}", remedy="Give the file, or its folder"
        )
    return archives[-1]
