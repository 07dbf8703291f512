"""A backup holds the rows of one moment and the bytes that they name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import Connection, select, text, update

from app.domain.errors import NothingToBackUpError
from app.infra import backup as module
from app.infra.backup import write_backup
from app.infra.backup_archive import members_of, verify_archive
from app.infra.batch_blobs import BatchBlobs, SentImage
from app.infra.clock import utc_now
from app.infra.database import SessionFactory
from app.infra.object_store import ObjectStore
from app.infra.tables import Base, BatchRow, EvaluationImageRow, ModelRow, SupportImageRow
from tests.fixtures.rows import ROWS_A_TABLE, fill


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(f"file://{tmp_path}/blobs")


def fill_with_blobs(connection: Connection, store: ObjectStore) -> None:
    """Rows in every table, one model of them deleted, and the bytes that the others name."""
    fill(connection)
    connection.execute(update(ModelRow).values(deleted_at=None).where(ModelRow.id != "id-0"))
    connection.execute(update(EvaluationImageRow).values(blob_key="evaluations/" + EvaluationImageRow.id))
    for key in connection.scalars(select(SupportImageRow.blob_key).union(select(EvaluationImageRow.blob_key))):
        store.put(key, f"image {key}".encode())
    for key in connection.scalars(select(ModelRow.adapter_key).where(ModelRow.deleted_at.is_(None))):
        for name in ("manifest.json", "adapter.safetensors"):
            store.put(f"{key}/{name}", f"{key} {name}".encode())


@pytest.mark.slow
def test_a_backup_holds_every_table_and_every_named_blob(
    database_url: str, session_factory: SessionFactory, store: ObjectStore, tmp_path: Path
) -> None:
    with session_factory.begin() as session:
        fill_with_blobs(session.connection(), store)
    store.put("jobs/job_1/checkpoint.safetensors", b"unfinished")
    manifest = write_backup(tmp_path / "b.tar", database_url, store, utc_now())
    assert verify_archive(tmp_path / "b.tar") == manifest
    assert set(manifest.tables) == set(Base.metadata.tables)
    assert all(num_rows >= ROWS_A_TABLE for num_rows in manifest.tables.values())
    assert (manifest.num_blobs, manifest.missing) == (2 * ROWS_A_TABLE + 2 * 2, [])
    contents = {name: content.read() for name, content in members_of(tmp_path / "b.tar")}
    assert contents["blobs/adapter_-1/manifest.json"] == b"adapter_-1 manifest.json"
    assert contents["blobs/blob_key-2"] == b"image blob_key-2"
    assert contents["blobs/evaluations/id-2"] == b"image evaluations/id-2"
    assert not any("checkpoint" in name for name in contents)
    assert len(contents["tables/jobs.jsonl"].splitlines()) == ROWS_A_TABLE
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.slow
def test_of_batches_only_the_results_are_kept(
    database_url: str, session_factory: SessionFactory, store: ObjectStore, tmp_path: Path
) -> None:
    with session_factory.begin() as session:
        fill_with_blobs(session.connection(), store)
        changes = {"state": "succeeded", "deleted_at": None, "blob_key": "batches/bat_1"}
        session.execute(update(BatchRow).values(changes).where(BatchRow.id == "id-1"))
    blobs = BatchBlobs(store, "batches/bat_1")
    blobs.put_images(0, [SentImage("a.png", b"image")])
    blobs.put_results(0, [{"file": "a.png"}])
    assert write_backup(tmp_path / "b.tar", database_url, store, utc_now()).missing == []
    kept = [name for name, _ in members_of(tmp_path / "b.tar") if "bat_1" in name]
    assert kept == ["blobs/batches/bat_1/results/0"]


@pytest.mark.slow
def test_missing_bytes_are_noted_and_the_others_kept(
    database_url: str, session_factory: SessionFactory, store: ObjectStore, tmp_path: Path
) -> None:
    with session_factory.begin() as session:
        fill_with_blobs(session.connection(), store)
    store.delete("blob_key-1")
    store.delete("evaluations/id-0")
    store.delete_prefix("adapter_-2")
    manifest = write_backup(tmp_path / "b.tar", database_url, store, utc_now())
    assert manifest.missing == [["support_images", "id-1"], ["evaluation_images", "id-0"], ["models", "id-2"]]
    assert manifest.num_blobs == 2 + 2 + 2


@pytest.mark.slow
def test_rows_added_during_a_backup_are_not_in_it(
    database_url: str, session_factory: SessionFactory, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with session_factory.begin() as session:
        fill_with_blobs(session.connection(), store)
    encode_row, disturbed = module.encode_row, []

    def encode_and_write(row: dict[str, object]) -> bytes:
        if not disturbed:
            disturbed.append(True)
            with session_factory.begin() as session:
                session.execute(text("DELETE FROM aliases"))
                session.execute(text("UPDATE jobs SET name = 'changed'"))
        return encode_row(row)

    monkeypatch.setattr(module, "encode_row", encode_and_write)
    manifest = write_backup(tmp_path / "b.tar", database_url, store, utc_now())
    assert manifest.tables["aliases"] == ROWS_A_TABLE
    contents = {name: content.read() for name, content in members_of(tmp_path / "b.tar")}
    assert {json.loads(line)["name"] for line in contents["tables/jobs.jsonl"].splitlines()} == {"name-0", "name-1", "name-2"}
    assert disturbed


def test_a_database_that_was_never_used_is_no_backup(tmp_path: Path, store: ObjectStore) -> None:
    with pytest.raises(NothingToBackUpError):
        write_backup(tmp_path / "b.tar", f"sqlite:///{tmp_path}/none.sqlite", store, utc_now())
    assert not (tmp_path / "b.tar").exists()


def test_every_column_that_could_name_a_blob_is_known() -> None:
    """A new one belongs into the backup; what is none is listed here."""
    named = {f"{table.name}.{column.name}" for table in Base.metadata.tables.values() for column in table.columns}
    keys = {name for name in named if name.endswith("_key")} - {"jobs.idempotency_key"}
    assert keys == {
        "support_images.blob_key",
        "evaluation_images.blob_key",
        "models.adapter_key",
        "batches.blob_key",
        "exports.blob_key",
    }
