"""Read and write the file of a backup: a tar of tables, blobs, their checksums, and a manifest at its end.

    tables/<name>.jsonl   the rows of a table, one a line
    blobs/<key>           the blobs that rows name
    checksums             sha256 and name of every member before it, in the same order
    manifest.json         format, revision and more, and the sha256 of `checksums`; an archive that was cut short has none

At most one blob is in memory at a time.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from app.domain.errors import BackupDamagedError

FORMAT = 1
CHECKSUMS = "checksums"
MANIFEST = "manifest.json"
TABLES = "tables/"
BLOBS = "blobs/"


@dataclass(frozen=True)
class Manifest:
    """The description of an archive."""

    format: int
    revision: str
    """Revision of the tables; a restore takes those that it knows."""
    service_version: str
    created_at: str
    tables: dict[str, int]
    """Rows by table."""
    num_blobs: int
    missing: list[list[str]]
    """(table, id) of images and models without their bytes: deleted while the backup was written, or lost before."""
    checksums_sha256: str = ""


class ArchiveWriter:
    """Adds members to a tar and notes the checksum of each.

    Args:
        stream: receives the tar.
        checksums: an empty file that holds the checksums until the end.
        moment: time of the members, in seconds since 1970.
    """

    def __init__(self, stream: IO[bytes], checksums: IO[bytes], moment: float) -> None:
        self._tar = tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)
        self._checksums = checksums
        self._moment = moment

    def add(self, name: str, content: IO[bytes]) -> None:
        """Add a member with the content of a seekable stream."""
        digest = self._add(name, content)
        self._checksums.write(f"{digest}  {name}\n".encode())

    def finish(self, manifest: Manifest) -> Manifest:
        """Add checksums and manifest, and close the archive."""
        digest = self._add(CHECKSUMS, self._checksums)
        whole = Manifest(**{**asdict(manifest), "checksums_sha256": digest})
        self._add(MANIFEST, io.BytesIO(json.dumps(asdict(whole), indent=1).encode()))
        self._tar.close()
        return whole

    def _add(self, name: str, content: IO[bytes]) -> str:
        info = tarfile.TarInfo(name)
        info.size = content.seek(0, io.SEEK_END)
        info.mtime = self._moment
        content.seek(0)
        digest = _digest(content)
        content.seek(0)
        self._tar.addfile(info, content)
        _forget_members(self._tar)
        return digest


def members_of(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and content of every member in order; only for an archive that has been verified."""
    with tarfile.open(path, mode="r:") as tar:
        while (info := tar.next()) is not None:
            content = tar.extractfile(info)
            if content is None:
                raise tarfile.TarError(f"{info.name!r} is no file")
            yield info.name, content
            _forget_members(tar)


def _forget_members(tar: tarfile.TarFile) -> None:
    """Free the headers of past members, which would fill the memory in a large tar."""
    vars(tar)["members"].clear()


def verify_archive(path: Path) -> Manifest:
    """Read the whole archive once and return its manifest.

    Raises:
        BackupDamagedError: it is incomplete or has changed since it was written.
    """
    with TemporaryFile() as found, TemporaryFile() as noted:
        try:
            manifest = _take_checksums(path, found, noted)
        except (tarfile.TarError, EOFError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
        if manifest is None:
            raise _damaged(path, "an archive without its manifest, which stands at the end")
        found.seek(0)
        noted.seek(0)
        if _digest(noted) != manifest.checksums_sha256:
            raise _damaged(path, "other checksums than the manifest names")
        noted.seek(0)
        for line in noted:
            if found.readline() != line:
                raise _damaged(path, f"other bytes than were written, at {line.split()[-1].decode()!r}")
        if found.readline():
            raise _damaged(path, "members without a checksum")
        return manifest


def _take_checksums(path: Path, found: IO[bytes], noted: IO[bytes]) -> Manifest | None:
    """Write the computed checksums to `found` and the stored ones to `noted`; return the manifest, if there is one."""
    manifest = None
    for name, content in members_of(path):
        if name == CHECKSUMS:
            shutil.copyfileobj(content, noted)
        elif name == MANIFEST:
            manifest = _read_manifest(path, content.read())
        else:
            found.write(f"{_digest(content)}  {name}\n".encode())
    return manifest


def _digest(content: IO[bytes]) -> str:
    return hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]


def _read_manifest(path: Path, content: bytes) -> Manifest:
    try:
        fields: dict[str, Any] = json.loads(content)
        manifest = Manifest(**fields)
    except (ValueError, TypeError) as error:
        raise _damaged(path, f"a manifest that cannot be read ({error})") from error
    if manifest.format != FORMAT:
        raise _damaged(path, f"format {manifest.format}, where this version reads {FORMAT}")
    return manifest


def _damaged(path: Path, got: str) -> BackupDamagedError:
    return BackupDamagedError(
        expected=f"a complete archive of `vtt backup` in {str(path)!r}", got=got, remedy="Copy it again, or take an older one"
    )
