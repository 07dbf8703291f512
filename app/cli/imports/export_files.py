"""The files of an export, in a folder or a zip. Names only tell files apart: nothing is written by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

from vtt_core.contract.errors import NotAZipError, SourcePathError


@dataclass(frozen=True)
class ExportFile:
    """One file."""

    path: PurePosixPath
    """Inside the export."""
    size_bytes: int
    read: Callable[[], bytes]


@contextmanager
def export_files(source: Path) -> Iterator[list[ExportFile]]:
    """Open an export; its files can be read inside the `with` block.

    Raises:
        SourcePathError: there is nothing at the path.
        NotAZipError: it is a file, but no zip, or one with a password.
    """
    if source.is_dir():
        yield [
            ExportFile(
                PurePosixPath(path.relative_to(source).as_posix()), path.stat().st_size, partial(_read, path.read_bytes, path)
            )
            for path in sorted(source.rglob("*"))
            if path.is_file()
        ]
        return
    if not source.is_file():
        raise SourcePathError(expected="a folder or a zip", got=f"nothing at {str(source)!r}", remedy="Check the path")
    try:
        archive = ZipFile(source)
    except BadZipFile as error:
        raise NotAZipError(
            expected="a folder or a zip", got=f"{str(source)!r}: {error}", remedy="Pass the folder or zip of the export"
        ) from error
    with archive:
        locked = next((entry.filename for entry in archive.infolist() if entry.flag_bits & 1), None)
        if locked is not None:
            raise NotAZipError(
                expected="a zip without a password",
                got=f"{locked!r} in {str(source)!r}, which needs one",
                remedy="Unpack it, and pass the folder",
            )
        yield [
            ExportFile(
                PurePosixPath(entry.filename), entry.file_size, partial(_read, partial(archive.read, entry), entry.filename)
            )
            for entry in sorted(archive.infolist(), key=lambda entry: entry.filename)
            if not entry.is_dir()
        ]


def _read(read: Callable[[], bytes], name: object) -> bytes:
    """Read a file.

    Raises:
        NotAZipError: it is damaged, or this user may not read it.
    """
    try:
        return read()
    except (OSError, BadZipFile, ZlibError, EOFError, NotImplementedError) as error:
        raise NotAZipError(
            expected="files that can be read",
            got=f"{str(name)!r}: {error}",
            remedy="Copy or pack the export anew; nothing was written",
        ) from error
