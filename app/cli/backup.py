"""`vtt backup`: write everything that cannot be recreated into one file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.cli.api import put_in_environment
from app.cli.console import stderr_console, write_json

NAME = "vtt-backup-{moment:%Y%m%dT%H%M%SZ}.tar"


def backup(
    out: Annotated[Path, typer.Option(help="File to write, or a folder, where its name has the time.")],
    data_dir: Annotated[Path | None, typer.Option(help="Data folder; VTT_DATA_DIR, else vtt-data.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Write rows, images and adapters of the service into one file; it may be running."""
    put_in_environment(data_dir=data_dir)
    # The database's packages take a while to import; `vtt --help` does without them.
    from app.infra.backup import write_backup  # noqa: PLC0415
    from app.infra.clock import utc_now  # noqa: PLC0415
    from app.infra.object_store import ObjectStore  # noqa: PLC0415
    from app.infra.settings import load_settings  # noqa: PLC0415

    settings, now = load_settings(), utc_now()
    path = out / NAME.format(moment=now) if out.is_dir() else out
    manifest = write_backup(path, settings.resolved_database_url, ObjectStore(settings.resolved_store_url), now)
    console = stderr_console()
    for table, row_id in manifest.missing:
        console.print(
            f"without the bytes of {row_id} ({table}): they were deleted meanwhile, or are lost", style="yellow", markup=False
        )
    if as_json:
        write_json({"file": str(path), "size_bytes": path.stat().st_size, **asdict(manifest)})
    else:
        console.print(f"{path}: {sum(manifest.tables.values())} rows, {manifest.num_blobs} blobs", markup=False)
