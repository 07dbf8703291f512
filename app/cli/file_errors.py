"""Say in our words why a file of a command could not be read or written."""

from __future__ import annotations

import errno
import os

from app.domain.errors import DiskFullError
from vtt_core.contract.errors import InputError, VttError

FULL = (errno.ENOSPC, errno.EDQUOT)
REMEDIES = {
    errno.EACCES: "Let this user at it, or choose another place",
    errno.EPERM: "Let this user at it, or choose another place",
    errno.EROFS: "Choose a place that can be written to",
    errno.EISDIR: "Choose another name, or remove the folder",
    errno.ENOTDIR: "Choose another place: a part of the path is no folder",
    errno.EEXIST: "Choose another name, or remove what is there",
    errno.ENOTEMPTY: "Choose another name, or remove what is there",
    errno.ENOENT: "Check the path",
    errno.ENAMETOOLONG: "Choose a shorter name",
    errno.ELOOP: "Choose another place: its links lead in a circle",
    errno.EIO: "Look at the disk, then try again",
    errno.EFBIG: "Choose a disk that takes larger files",
}
"""What to do, by the system's number of the error. Others are not about a user's files, and stay as they are."""


def in_our_words(error: BaseException) -> VttError | None:
    """Return the error of a command as one of ours; None if it is not about a file of the user's."""
    if "database or disk is full" in str(error):  # SQLite
        return DiskFullError(expected="room for the database", got="a full disk", remedy="Make room, and try again")
    if not isinstance(error, OSError) or isinstance(error, ConnectionError) or error.errno is None:
        return None
    name = error.filename2 or error.filename
    place = "" if name is None else f"{os.fsdecode(name)!r}: " if isinstance(name, str | bytes) else f"{name}: "
    got = f"{place}{error.strerror or error}"
    if error.errno in FULL:
        return DiskFullError(
            expected="a disk with room for what is written", got=got, remedy="Make room, or choose another disk, and try again"
        )
    if error.errno not in REMEDIES or name is None:
        return None
    return InputError(expected="files that can be read and written", got=got, remedy=REMEDIES[error.errno])
