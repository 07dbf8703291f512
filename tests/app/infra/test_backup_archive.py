"""An archive that is not whole, or not as it was written, is refused."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain.errors import BackupDamagedError
from app.infra.backup_archive import FORMAT, ArchiveWriter, Manifest, members_of, verify_archive

MANIFEST = Manifest(FORMAT, "0001", "0.1", "2030-01-01T00:00:00+00:00", {"jobs": 2}, 1, [])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "backup.tar"
    with path.open("wb") as stream:
        writer = ArchiveWriter(stream, io.BytesIO(), 0.0)
        writer.add("tables/jobs.jsonl", io.BytesIO(b'{"id":"job_1"}\n{"id":"job_2"}\n'))
        writer.add("blobs/models/mdl_1/adapter", io.BytesIO(b"tensors" * 1000))
        writer.finish(MANIFEST)
    return path


def test_a_whole_archive_gives_its_manifest_and_members(archive: Path) -> None:
    manifest = verify_archive(archive)
    assert (manifest.revision, manifest.tables, len(manifest.checksums_sha256)) == ("0001", {"jobs": 2}, 64)
    contents = {name: content.read() for name, content in members_of(archive)}
    assert list(contents) == ["tables/jobs.jsonl", "blobs/models/mdl_1/adapter", "checksums", "manifest.json"]
    assert contents["blobs/models/mdl_1/adapter"] == b"tensors" * 1000


def change_a_byte(content: bytes) -> bytes:
    return content.replace(b"tensors", b"sensors", 1)


def cut_in_the_middle(content: bytes) -> bytes:
    return content[: len(content) // 3]


def cut_the_manifest(content: bytes) -> bytes:
    return content[: content.index(b"manifest.json")]


def leave_a_blob_out(content: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=target, mode="w") as new:
        for member in old.getmembers():
            if not member.name.startswith("blobs/"):
                new.addfile(member, old.extractfile(member))
    return target.getvalue()


def of_another_format(content: bytes) -> bytes:
    return content.replace(b'"format": 1', b'"format": 9')


def no_tar(_: bytes) -> bytes:
    return b"hello" * 1000


@pytest.mark.parametrize(
    "damage", [change_a_byte, cut_in_the_middle, cut_the_manifest, leave_a_blob_out, of_another_format, no_tar, lambda _: b""]
)
def test_damage_is_noticed(archive: Path, damage: Callable[[bytes], bytes]) -> None:
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(BackupDamagedError, match="backup.tar"):
        verify_archive(archive)


def test_many_large_blobs_do_not_fill_the_memory(tmp_path: Path) -> None:
    path, blob = tmp_path / "large.tar", bytes(2**20)
    tracemalloc.start()
    with path.open("wb") as stream:
        writer = ArchiveWriter(stream, io.BytesIO(), 0.0)
        for place in range(64):
            writer.add(f"blobs/{place}", io.BytesIO(blob))
        writer.finish(MANIFEST)
    verify_archive(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.stat().st_size > 64 * 2**20
    assert peak < 8 * 2**20
