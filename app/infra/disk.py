"""Watch the free space of the disks that the service writes to, and refuse new work before they are full.

A full disk stops a database in the middle of its work, so some space is kept back. Running jobs go on, users can still delete
things, and only requests that need more space are refused.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from app.domain.errors import DiskFullError
from app.infra.settings import Settings

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of the system that mean a full disk."""
MAX_RESERVED_SHARE = 0.05
"""Largest share of a disk that is kept back, so that a small disk can be used too."""
REMEDY = "Delete support sets or models that nobody needs, or ask the operator of the service for more disk space"


@dataclass(frozen=True)
class Volume:
    """The disk that a folder is on."""

    name: str
    """What the folder holds: `database`, `store` or `temporary`."""
    folder: Path
    free_bytes: int
    reserve_bytes: int
    """Free space below which new work is refused."""

    @property
    def is_low(self) -> bool:
        """Whether less space is free than is kept back."""
        return self.free_bytes < self.reserve_bytes


class DiskSpace:
    """The disks of one process.

    Args:
        folders: folder by what it holds; it need not exist yet.
        reserve_bytes: space that is kept back on each disk, at most a twentieth of it.
    """

    def __init__(self, folders: Mapping[str, Path], reserve_bytes: int) -> None:
        self._folders = folders
        self._reserve_bytes = reserve_bytes

    def volumes(self) -> list[Volume]:
        """Return the disks as they are now."""
        return [self._look(name, folder) for name, folder in self._folders.items()]

    def check_room(self, num_bytes: int = 0) -> None:
        """Refuse a request that needs more space than is free above the reserve.

        Args:
            num_bytes: size of what will be written, as far as it is known.

        Raises:
            DiskFullError: too little space is free.
        """
        for volume in self.volumes():
            if volume.free_bytes - num_bytes < volume.reserve_bytes:
                raise DiskFullError(
                    expected=f"at least {_megabytes(num_bytes + volume.reserve_bytes)} free for the {volume.name} files",
                    got=_megabytes(volume.free_bytes),
                    remedy=REMEDY,
                )

    def _look(self, name: str, folder: Path) -> Volume:
        usage = shutil.disk_usage(_existing(folder))
        return Volume(name, folder, usage.free, min(self._reserve_bytes, int(MAX_RESERVED_SHARE * usage.total)))


def make_disk_space(settings: Settings) -> DiskSpace:
    """Return the local disks that a process with these settings writes to."""
    folders = {"temporary": Path(tempfile.gettempdir())}
    database = make_url(settings.resolved_database_url)
    if database.get_backend_name() == "sqlite" and database.database:
        folders["database"] = Path(database.database).parent
    if settings.resolved_store_url.startswith("file://"):
        folders["store"] = Path(settings.resolved_store_url.removeprefix("file://"))
    return DiskSpace(folders, settings.disk_reserve_bytes)


def disk_full_error(error: BaseException) -> DiskFullError | None:
    """Return a DiskFullError if this error of the system or of SQLite means a full disk."""
    is_full = isinstance(error, OSError) and error.errno in FULL
    if is_full or "database or disk is full" in str(error):
        return DiskFullError(expected="room on the disk to write to", got="a full disk", remedy=REMEDY)
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"
