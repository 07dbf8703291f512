"""Read labelled images from an untrusted zip or folder: one folder for each class.

Nothing is unpacked to disk. Limits are checked on what the zip declares before anything is read, and
again while reading, because the declared sizes may lie. A whole archive is refused if it is dangerous or unreadable,
or if its labels would be guesses. A single bad entry is rejected by name, and the others are kept.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipInfo

from vtt_core.contract.errors import ArchiveError, SourcePathError
from vtt_core.contract.limits import DEFAULT_LIMITS, Limits
from vtt_core.ingest.archive_contents import ArchiveContents, FoundFile, FoundFolder, LabelledFile, Rejection
from vtt_core.ingest.class_folders import counts_as_image, folder_parts, sort_into_classes
from vtt_core.ingest.entry_checks import checked_content, entry_problem, not_a_file, refuse_entries, refuse_size
from vtt_core.ingest.printable import printable
from vtt_core.ingest.zip_methods import check_methods
from vtt_core.ingest.zip_names import entry_paths
from vtt_core.ingest.zip_reader import ZipReader, check_declared, check_directory, open_zip

__all__ = [
    "ArchiveContents",
    "FoundFile",
    "LabelledFile",
    "Rejection",
    "open_images",
    "read_folder",
    "read_loose_zip",
    "read_zip",
]


@contextmanager
def open_images(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[ArchiveContents]:
    """Open the folder or zip at a path. Its files can be read inside the `with` block.

    Raises:
        ArchiveError: see read_zip and read_folder; or nothing is at the path.
    """
    if path.is_dir():
        yield read_folder(path, limits)
    else:
        with read_zip(path, limits) as contents:
            yield contents


@contextmanager
def read_zip(source: Path | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[ArchiveContents]:
    """Open a zip. Any thread can read its files inside the `with` block.

    Args:
        source: path, or an open seekable file. The file stays open.
        limits: bounds on bytes, entries and ratio.

    Raises:
        SourcePathError: there is no readable file at the path.
        NotAZipError: the bytes are not a zip, or its directory is damaged.
        ArchiveTooLargeError: the size, entry count, unpacked size or a compression ratio is over its limit.
        UnsupportedMethodError: a file is encrypted, or compressed by an unsupported method.
        UnknownEncodingError: the name of a class folder is in an unknown encoding.
        ArchiveLayoutError: all images are nested too deeply, or folders such as `train` and `val` do not match.
    """
    if isinstance(source, Path):
        try:
            stream: BinaryIO = source.open("rb")
        except OSError as error:
            raise _bad_source(source, error) from error
        with stream, read_zip(stream, limits) as contents:
            yield contents
        return
    with _zip_entries(source, limits) as entries:
        yield sort_into_classes(entries)


@contextmanager
def read_loose_zip(source: BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Iterator[list[FoundFile]]:
    """Open a zip of images in folders of any kind. Any thread can read its files inside the `with` block.

    Folders mean nothing, and files that systems leave behind are skipped. Paths are only shown, never used.

    Args:
        source: an open seekable file. It stays open.
        limits: bounds on bytes, entries and ratio.

    Raises:
        NotAZipError: the bytes are not a zip, or its directory is damaged.
        ArchiveTooLargeError: the size, entry count, unpacked size or a compression ratio is over its limit.
        UnsupportedMethodError: a file is encrypted, or compressed by an unsupported method.
    """
    with _zip_entries(source, limits) as entries:
        yield [entry for entry in entries if isinstance(entry, FoundFile) and counts_as_image(entry.path)]


@contextmanager
def _zip_entries(source: BinaryIO, limits: Limits) -> Iterator[list[FoundFile | FoundFolder]]:
    check_directory(source, limits)
    with open_zip(source) as archive:
        infos = archive.infolist()
        check_declared(infos, limits)
        entries = [(path, info) for path, info in zip(entry_paths(infos), infos, strict=True) if path or not info.orig_filename]
        check_methods((path, info) for path, info in entries if counts_as_image(path))
        reader = ZipReader(archive, limits)
        yield [_found_in_zip(reader, path, info, limits) for path, info in entries]


def _found_in_zip(reader: ZipReader, path: str, info: ZipInfo, limits: Limits) -> FoundFile | FoundFolder:
    problem = entry_problem(path, info.external_attr >> 16, info.file_size, limits)
    return FoundFolder(path, problem) if path.endswith("/") else FoundFile(path, partial(reader.read, info, path), problem)


def read_folder(path: Path, limits: Limits = DEFAULT_LIMITS) -> ArchiveContents:
    """List a folder by the rules for a zip. Links inside it are rejected, never followed.

    Raises:
        SourcePathError: the path is not a folder that can be listed.
        ArchiveTooLargeError: more entries or bytes than allowed.
        UnknownEncodingError: the name of a class folder is in an unknown encoding.
        ArchiveLayoutError: all images are nested too deeply, or folders such as `train` and `val` do not match.
    """
    entries: list[FoundFile | FoundFolder] = []
    size_bytes = 0
    for relative, found in _walk(path):
        facts = found.stat(follow_symlinks=False)
        size_bytes += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
        entries.append(_found_on_disk(relative, found, facts, limits))
        if len(entries) > limits.max_archive_entries:
            refuse_entries(f"more in {printable(str(path))!r}", limits)
        if size_bytes > limits.max_unpacked_bytes:
            refuse_size(f"more in {printable(str(path))!r}", limits)
    return sort_into_classes(entries, folder_parts)


def _found_on_disk(relative: str, found: os.DirEntry[str], facts: os.stat_result, limits: Limits) -> FoundFile | FoundFolder:
    if found.is_dir():
        # A link to a folder counts as a folder, so that its missing class is reported.
        problem = not_a_file(relative, "a link to another folder") if found.is_symlink() else None
        return FoundFolder(f"{relative}/", problem)
    read = partial(_read_file, Path(found.path), relative, limits)
    return FoundFile(relative, read, entry_problem(relative, facts.st_mode, facts.st_size, limits))


def _walk(top: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    pending = [(top, "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            with os.scandir(folder) as listing:
                found_here = sorted(listing, key=lambda found: found.name)
        except OSError as error:
            raise _bad_source(folder, error) from error
        for found in found_here:
            yield prefix + found.name, found
            if found.is_dir(follow_symlinks=False):
                pending.append((Path(found.path), f"{prefix}{found.name}/"))


def _bad_source(path: Path, error: OSError) -> SourcePathError:
    return SourcePathError(
        expected="a folder with one folder for each class, or a zip of it",
        got=f"{printable(str(path))!r} ({error.strerror})",
        remedy="Check the path and its permissions",
    )


def _read_file(path: Path, name: str, limits: Limits) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with open(descriptor, "rb") as file:
            content = file.read(limits.max_image_bytes + 1)
    except OSError as error:
        raise ArchiveError(
            expected="a readable file", got=f"{printable(name)!r} ({error.strerror})", remedy="Check its permissions"
        ) from error
    return checked_content(content, name, limits)
