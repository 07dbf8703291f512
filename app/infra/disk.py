"""Watch the free space of the disks that the service writes to, and refuse new work before they are full.

A full disk stops a database in the middle of its work, so some space is kept back: running jobs go on, and
a user can still delete things. Only what would need more space is refused.
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
"""Numbers of the system's errors that mean a full disk."""
MAX_RESERVED_SHARE = 0.05
"""Share of a disk that is kept back at most, so that a small one is of use too."""
REMEDY = "Delete support sets or models that nobody needs, or ask whoever runs the service for more disk space"


@dataclass(frozen=True)
class Volume:
    """The disk that a folder lies on."""

    name: str
    """What lies there: `database`, `store` or `temporary`."""
    folder: Path
    free_bytes: int
    reserve_bytes: int
    """Free space below which new work is refused."""

    @property
    def is_low(self) -> bool:
        """Whether the reserve is touched."""
        return self.free_bytes < self.reserve_bytes


class DiskSpace:
    """The disks of one process.

    Args:
        folders: by what lies there; a folder need not be there yet.
        reserve_bytes: what is kept back on each, at most a twentieth of it.
    """

    def __init__(self, folders: Mapping[str, Path], reserve_bytes: int) -> None:
        self._folders = folders
        self._reserve_bytes = reserve_bytes

    def volumes(self) -> list[Volume]:
        """Return the disks as they stand; none where everything lies on other machines."""
        return [self._look(name, folder) for name, folder in self._folders.items()]

    def check_room(self, num_bytes: int = 0) -> None:
        """Refuse what needs more space than there is above the reserve.

        Args:
            num_bytes: that are about to be written, as far as it is known.

        Raises:
            DiskFullError: there is not that much.
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
    """Return the disks of this machine that a process with these settings writes to."""
    folders = {"temporary": Path(tempfile.gettempdir())}
    database = make_url(settings.resolved_database_url)
    if database.get_backend_name() == "sqlite" and database.database:
        folders["database"] = Path(database.database).parent
    if settings.resolved_store_url.startswith("file://"):
        folders["store"] = Path(settings.resolved_store_url.removeprefix("file://"))
    return DiskSpace(folders, settings.disk_reserve_bytes)


def disk_full_error(error: BaseException) -> DiskFullError | None:
    """Return the error of a full disk if this is one, of the system's or of SQLite's."""
    is_full = isinstance(error, OSError) and error.errno in FULL
    if is_full or "database or disk is full" in str(error):
        return DiskFullError(expected="room on the disk to write to", got="a full disk", remedy=REMEDY)
    return None


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"
