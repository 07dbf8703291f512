"""A restore brings back all rows and bytes, into either kind of database, or nothing."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import select, text, update

from app.domain.errors import BackupTooNewError, NotEmptyError
from app.domain.jobs import JobState
from app.infra.backup import write_backup
from app.infra.backup_archive import ArchiveWriter, Manifest
from app.infra.clock import utc_now
from app.infra.database import alembic_config, make_engine, make_session_factory, migrate, open_for_migration
from app.infra.object_store import ObjectStore
from app.infra.restore import restore_backup
from app.infra.row_lines import encode_row, tables_of
from app.infra.tables import JobEventRow, JobRow, ModelRow, SupportImageRow
from tests.app.infra.test_backup import fill_with_blobs
from tests.fixtures.rows import fill
from tests.fixtures.services import PostgresServer

pytestmark = pytest.mark.services
MakeUrl = Callable[[str], str]
EITHER_WAY = pytest.mark.parametrize(("source", "target"), [("sqlite", "postgres"), ("postgres", "sqlite")])


@pytest.fixture
def make_url(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[MakeUrl]:
    """Name databases without tables."""
    made: list[str] = []
    numbers = itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / f'empty-{next(numbers)}.sqlite'}"
        made.append(f"restore_{len(made)}_{abs(hash(tmp_path)):x}")
        return postgres_server.create_database(made[-1])

    yield make
    for name in made:
        postgres_server.drop_database(name)


@pytest.fixture
def stores(tmp_path: Path) -> tuple[ObjectStore, ObjectStore]:
    return ObjectStore(f"file://{tmp_path}/from"), ObjectStore(f"file://{tmp_path}/to")


def lines_of(url: str) -> dict[str, list[bytes]]:
    engine = make_engine(url)
    with engine.connect() as connection:
        lines = {
            table.name: [
                encode_row(dict(row)) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()
            ]
            for table in tables_of(connection)
        }
    engine.dispose()
    return lines


def back_up(url: str, store: ObjectStore, path: Path) -> Manifest:
    """Back up a database that has rows in every table."""
    migrate(url)
    with open_for_migration(url) as connection:
        fill_with_blobs(connection, store)
    return write_backup(path, url, store, utc_now())


@pytest.mark.slow
@EITHER_WAY
def test_all_rows_and_blobs_come_back_in_the_other_kind_of_database(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path, source: str, target: str
) -> None:
    source_url, target_url = make_url(source), make_url(target)
    manifest = back_up(source_url, stores[0], tmp_path / "b.tar")
    assert restore_backup(tmp_path / "b.tar", target_url, stores[1], utc_now()) == manifest
    assert lines_of(target_url) == lines_of(source_url)
    for key in ("blob_key-0", "adapter_-1/manifest.json", "adapter_-2/adapter.safetensors"):
        assert stores[1].get(key) == stores[0].get(key)
    assert not stores[1].exists("adapter_-0/manifest.json")


@pytest.mark.slow
@EITHER_WAY
def test_new_events_get_ids_after_those_that_came_back(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path, source: str, target: str
) -> None:
    url = make_url(target)
    back_up(make_url(source), stores[0], tmp_path / "b.tar")
    restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    engine = make_engine(url)
    with make_session_factory(engine).begin() as session:
        highest = max(session.scalars(select(JobEventRow.id)))
        event = JobEventRow(job_id="id-0", kind="state", payload={}, created_at=utc_now())
        session.add(event)
        session.flush()
        assert event.id == highest + 1
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_running_jobs_are_queued_and_the_attempt_does_not_count(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path, target: str
) -> None:
    source_url, url = make_url("sqlite"), make_url(target)
    migrate(source_url)
    with open_for_migration(source_url) as connection:
        fill_with_blobs(connection, stores[0])
        for job_id, state in (("id-0", JobState.RUNNING), ("id-1", JobState.VERIFYING), ("id-2", JobState.SUCCEEDED)):
            connection.execute(update(JobRow).values(state=state, attempt=2, fencing_token=7).where(JobRow.id == job_id))
    write_backup(tmp_path / "b.tar", source_url, stores[0], utc_now())
    restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    engine = make_engine(url)
    with make_session_factory(engine)() as session:
        held = [session.get_one(JobRow, job_id) for job_id in ("id-0", "id-1")]
        assert [(row.state, row.attempt, row.fencing_token, row.holder) for row in held] == [("queued", 1, 8, None)] * 2
        assert session.get_one(JobRow, "id-2").state == "succeeded"
        events = list(session.scalars(select(JobEventRow).where(JobEventRow.payload["state"].as_string() == "queued")))
        assert {event.job_id for event in events} == {"id-0", "id-1"}
    engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_a_backup_of_an_older_version_is_brought_up_to_date(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path, target: str
) -> None:
    source_url, url = make_url("sqlite"), make_url(target)
    with open_for_migration(source_url) as connection:
        command.upgrade(alembic_config(connection), "0001")
        fill(connection)
        connection.execute(text("UPDATE models SET deleted_at = NULL"))
        for place in range(3):
            stores[0].put(f"adapter_-{place}/manifest.json", b"{}")
    manifest = write_backup(tmp_path / "b.tar", source_url, stores[0], utc_now())
    assert manifest.revision == "0001"
    restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    engine = make_engine(url)
    with make_session_factory(engine)() as session:
        assert [(row.id, row.is_pinned) for row in session.scalars(select(ModelRow).order_by(ModelRow.id))] == [
            ("id-0", False),
            ("id-1", False),
            ("id-2", False),
        ]
        head = ScriptDirectory.from_config(alembic_config(session.connection())).get_current_head()
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == head
    engine.dispose()


@pytest.mark.slow
def test_a_backup_of_a_newer_version_is_refused(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path
) -> None:
    manifest = back_up(make_url("sqlite"), stores[0], tmp_path / "b.tar")
    with (tmp_path / "newer.tar").open("wb") as stream:
        writer = ArchiveWriter(stream, io.BytesIO(), 0.0)
        writer.add("tables/jobs.jsonl", io.BytesIO())
        writer.finish(replace(manifest, revision="9999"))
    with pytest.raises(BackupTooNewError, match="9999"):
        restore_backup(tmp_path / "newer.tar", make_url("sqlite"), stores[1], utc_now())


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_an_installation_that_was_only_started_is_empty_and_one_with_rows_is_not(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path, target: str
) -> None:
    source_url, url = make_url("sqlite"), make_url(target)
    back_up(source_url, stores[0], tmp_path / "b.tar")
    migrate(url)
    restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    before = lines_of(url)
    assert before == lines_of(source_url)
    with pytest.raises(NotEmptyError, match="3 in jobs"):
        restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    assert lines_of(url) == before


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sqlite", "postgres"])
def test_a_restore_that_fails_in_the_middle_leaves_an_empty_installation(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    url = make_url(target)
    back_up(make_url("sqlite"), stores[0], tmp_path / "b.tar")

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(stores[1], "put", refuse)
        with pytest.raises(OSError, match="disk full"):
            restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    assert lines_of(url) == {}
    restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    assert len(lines_of(url)["jobs"]) == 3


@pytest.mark.slow
def test_rows_without_bytes_are_left_out_or_marked_as_deleted(
    make_url: MakeUrl, stores: tuple[ObjectStore, ObjectStore], tmp_path: Path
) -> None:
    source_url, url = make_url("sqlite"), make_url("postgres")
    migrate(source_url)
    with open_for_migration(source_url) as connection:
        fill_with_blobs(connection, stores[0])
    stores[0].delete("blob_key-1")
    stores[0].delete_prefix("adapter_-2")
    write_backup(tmp_path / "b.tar", source_url, stores[0], utc_now())
    restore_backup(tmp_path / "b.tar", url, stores[1], utc_now())
    engine = make_engine(url)
    with make_session_factory(engine)() as session:
        assert set(session.scalars(select(SupportImageRow.id))) == {"id-0", "id-2"}
        assert session.get_one(ModelRow, "id-2").deleted_at is not None
        assert session.get_one(ModelRow, "id-1").deleted_at is None
    engine.dispose()
