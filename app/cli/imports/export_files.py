"""The files of an export, in a folder or a zip. Names only tell files apart: nothing is written by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

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
        NotAZipError: it is a file, but no zip.
    """
    if source.is_dir():
        yield [
            ExportFile(PurePosixPath(path.relative_to(source).as_posix()), path.stat().st_size, path.read_bytes)
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
        yield [
            ExportFile(PurePosixPath(entry.filename), entry.file_size, partial(archive.read, entry))
            for entry in sorted(archive.infolist(), key=lambda entry: entry.filename)
            if not entry.is_dir()
        ]
