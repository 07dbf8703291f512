"""Keep encoded images in one temporary file, once they are more than a little memory holds.

A hundred photographs of 40 megapixels have over a gigabyte, and are read a few times in a fine-tuning of half a minute.
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

MEMORY_BYTES = 2**26
"""Images that stay in memory, in all; a support set of ordinary size never touches the disk."""
FREE_BYTES = 2**28
"""Left free on the disk, which a database may share."""


class Spool:
    """Bytes that were kept, in memory or in a file without a name.

    The file ends with the spool and everything that was kept, or with the process. Memory is used where the disk has no room.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        """Hold nothing yet.

        Args:
            memory_bytes: what stays in memory.
        """
        self._memory_bytes = memory_bytes
        self._file: _File | None = None

    def keep(self, content: bytes) -> bytes | Callable[[], bytes]:
        """Return the content itself, or what reads it."""
        if len(content) <= self._memory_bytes:
            self._memory_bytes -= len(content)
            return content
        try:
            self._file = self._file or _File()
            offset = self._file.append(content)
        except OSError:
            return content
        return partial(self._file.read, offset, len(content))


class _File:
    """A file without a name."""

    def __init__(self) -> None:
        self._descriptor, path = tempfile.mkstemp(prefix="vtt-images-")
        weakref.finalize(self, os.close, self._descriptor)
        os.unlink(path)
        self._end = 0

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled: the copy's number would soon be another file's."""
        raise TypeError("a file of a spool cannot be copied")

    def append(self, content: bytes) -> int:
        """Write, and return where it begins; raises OSError where there is no room."""
        disk = os.fstatvfs(self._descriptor)
        if disk.f_bavail * disk.f_frsize < len(content) + FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        offset, written = self._end, 0
        while written < len(content):
            written += os.pwrite(self._descriptor, memoryview(content)[written:], offset + written)
        self._end += written
        return offset

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Return what was written; threads may read side by side."""
        parts, end = [], offset + size_bytes
        while offset < end:
            part = os.pread(self._descriptor, end - offset, offset)
            if not part:
                raise OSError(f"{size_bytes} bytes were written, but {end - offset} of them cannot be read")
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
