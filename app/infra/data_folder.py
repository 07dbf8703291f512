"""Make sure that the data folder can be written to, before anything fails in the middle for want of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from app.domain.errors import DataFolderUnusableError
from app.infra.settings import SQLITE_FILE, Settings, load_settings


def load_local_settings() -> Settings:
    """Return the settings of this process, with a data folder that is there and can be written to.

    Where database, store and broker are all on other machines nothing lies in the folder, and it is not looked at.

    Raises:
        SettingsError: a variable of the environment has a value that it cannot have.
        DataFolderUnusableError: the folder cannot be made or written to.
    """
    settings = load_settings()
    if not (settings.database_url and settings.store_url and settings.broker_url):
        make_writable(settings.data_dir)
    return settings


def make_writable(folder: Path) -> None:
    """Make the folder if it is not there, and try to write to it.

    Raises:
        DataFolderUnusableError: one of the two cannot be done.
    """
    reason = why_unwritable(folder)
    if reason is not None:
        raise DataFolderUnusableError(
            expected="a data folder that can be written to",
            got=f"{str(folder)!r} ({reason})",
            remedy="Choose another folder with --data-dir or VTT_DATA_DIR, or let this user write to it",
        )


def why_unwritable(folder: Path) -> str | None:
    """Make the folder if it is not there, try to write to it, and say what hinders that, if anything does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)


def check_in_use(settings: Settings) -> None:
    """Refuse a data folder that no service has used, for commands that look after what is there and make nothing.

    Raises:
        DataFolderUnusableError: the SQLite file of the settings is not there.
    """
    if not settings.database_url and not (settings.data_dir / SQLITE_FILE).is_file():
        raise DataFolderUnusableError(
            expected="the data folder of a service",
            got=f"{str(settings.data_dir)!r}, which has no {SQLITE_FILE}",
            remedy="Name the right folder with --data-dir or VTT_DATA_DIR, or the database with VTT_DATABASE_URL",
        )
