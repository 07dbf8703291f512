"""Give work a folder for its files, and remove the folders of processes that were killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)
NEW_SECONDS = 60.0
"""A folder is not looked at before: its process may not hold it yet."""


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """Give an empty folder and remove it at the end.

    Folders of the same prefix whose process was killed are removed first. A process holds its folder by a lock on it, which
    ends with the process, however that ends.
    """
    _remove_left_behind(prefix)
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        held = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(held)


def _remove_left_behind(prefix: str) -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        try:
            facts = folder.lstat()
            if facts.st_uid != os.getuid() or time.time() - facts.st_mtime < NEW_SECONDS:
                continue
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # another process removes it too, or it is no folder
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
            _log.info("removed_a_folder_of_a_killed_worker", folder=str(folder))
        finally:
            os.close(held)
