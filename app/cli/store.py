"""`vtt store`: maintain stored images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.api import put_in_environment
from app.cli.console import FAILURE_EXIT, stderr_console, write_json
from app.domain.errors import error_facts

if TYPE_CHECKING:
    from app.infra.stored_images import CleanedImage

IMAGES_A_LINE = 100
"""Images between two lines of progress."""

store = typer.Typer(help="Maintain stored images.", no_args_is_help=True)


@store.callback()
def _group() -> None:
    """Keep `strip-metadata` a subcommand although it is the only one."""


@store.command(name="strip-metadata")
def strip_metadata(
    data_dir: Annotated[Path | None, typer.Option(help="Data folder; VTT_DATA_DIR, else vtt-data.")] = None,
    is_dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change; change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Remove GPS positions, serial numbers and other metadata from stored images; the service may be running.

    New uploads are stored without metadata; this is for images from before. Pixels stay the same. The command may be
    interrupted and run again. It names images that cannot be cleaned, and the exit code is then 1.
    """
    put_in_environment(data_dir=data_dir)
    # The database's packages take a while to import; `vtt --help` does without them.
    from app.infra.data_folder import check_in_use  # noqa: PLC0415
    from app.infra.database import make_engine, make_session_factory, migrate  # noqa: PLC0415
    from app.infra.object_store import ObjectStore  # noqa: PLC0415
    from app.infra.settings import load_settings  # noqa: PLC0415
    from app.infra.stored_images import clean_stored_images, count_images  # noqa: PLC0415

    settings = load_settings()
    check_in_use(settings)
    migrate(settings.resolved_database_url)
    engine = make_engine(settings.resolved_database_url)
    session_factory = make_session_factory(engine)
    counted = _Counted(count_images(session_factory), is_dry_run)
    try:
        blobs = ObjectStore(settings.resolved_store_url)
        for image in clean_stored_images(session_factory, blobs, settings.limits, is_dry_run=is_dry_run):
            counted.add(image)
    finally:
        engine.dispose()
    if as_json:
        write_json(counted.to_json())
    else:
        typer.echo(counted.summary())
    if counted.failures:
        raise typer.Exit(FAILURE_EXIT)


class _Counted:
    """Count what was done, and print progress to standard error."""

    def __init__(self, num_images: int, is_dry_run: bool) -> None:
        self._num_images, self._is_dry_run = num_images, is_dry_run
        self._console = stderr_console()
        self._num_seen = self._num_changed = self._bytes_removed = 0
        self.failures: list[dict[str, Any]] = []

    def add(self, image: CleanedImage) -> None:
        self._num_seen += 1
        self._num_changed += image.has_changed
        self._bytes_removed += image.bytes_removed
        if image.error is not None:
            self.failures.append({"image": image.image_id, "blob": image.blob_key, "error": error_facts(image.error)})
            self._console.print(
                f"not cleaned: {image.image_id} ({image.blob_key}): {image.error}", style="yellow", markup=False
            )
        if self._num_seen % IMAGES_A_LINE == 0:
            self._console.print(f"{self._num_seen} of {self._num_images} images, {self._num_changed} changed", markup=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "dry_run": self._is_dry_run,
            "images": self._num_seen,
            "changed": self._num_changed,
            "bytes_removed": self._bytes_removed,
            "not_cleaned": self.failures,
        }

    def summary(self) -> str:
        verb = "would change" if self._is_dry_run else "changed"
        counts = f"{self._num_seen} images, {self._num_changed} {verb}, {self._bytes_removed} bytes removed"
        return f"{counts}, {len(self.failures)} not cleaned"
