"""Check at the start that the data folder can be written to."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from app.domain.errors import DataFolderUnusableError
from app.infra.settings import SQLITE_FILE, Settings, load_settings


def load_local_settings() -> Settings:
    """Return the settings of this process, and make sure that its data folder can be written to.

    If database, store and broker are all elsewhere, the folder is not used and not checked.

    Raises:
        SettingsError: an environment variable has an invalid value.
        DataFolderUnusableError: the folder cannot be created or written to.
    """
    settings = load_settings()
    if not (settings.database_url and settings.store_url and settings.broker_url):
        make_writable(settings.data_dir)
    return settings


def make_writable(folder: Path) -> None:
    """Create the folder if it does not exist, and try to write to it.

    Raises:
        DataFolderUnusableError: it cannot be created or written to.
    """
    reason = why_unwritable(folder)
    if reason is not None:
        raise DataFolderUnusableError(
            expected="a data folder that can be written to",
            got=f"{str(folder)!r} ({reason})",
            remedy="Choose another folder with --data-dir or VTT_DATA_DIR, or let this user write to it",
        )


def why_unwritable(folder: Path) -> str | None:
    """Create the folder if it does not exist, try to write to it, and return the reason if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)


def check_in_use(settings: Settings) -> None:
    """Refuse a data folder that no service has used; for commands that need existing data.

    Raises:
        DataFolderUnusableError: the folder has no SQLite file, and the settings name no other database.
    """
    if not settings.database_url and not (settings.data_dir / SQLITE_FILE).is_file():
        raise DataFolderUnusableError(
            expected="the data folder of a service",
            got=f"{str(settings.data_dir)!r}, which has no {SQLITE_FILE}",
            remedy="Name the right folder with --data-dir or VTT_DATA_DIR, or the database with VTT_DATABASE_URL",
        )
