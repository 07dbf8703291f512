"""Broken and sound storage, with real databases, folders and servers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from app.cli.doctor.findings import Condition, Finding
from app.cli.doctor.storage import check_database, check_disks, check_redis, check_store, why_not_writable
from app.infra.database import make_engine, newest_revision
from app.infra.settings import Settings
from app.infra.workers import LiveWorker, WorkerRegistry


def sqlite_with(path: Path, revision: str) -> Settings:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.commit()
    return Settings(data_dir=path.parent)


def test_a_database_of_this_version_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    settings = sqlite_with(tmp_path / "vtt.sqlite", newest_revision())
    before = sorted(tmp_path.iterdir()), (tmp_path / "vtt.sqlite").stat().st_mtime_ns
    found = check_database(settings)
    assert found.condition is Condition.OK
    assert newest_revision() in found.detail
    assert (sorted(tmp_path.iterdir()), (tmp_path / "vtt.sqlite").stat().st_mtime_ns) == before


def test_a_database_that_another_process_has_open_is_read_too(tmp_path: Path) -> None:
    settings = sqlite_with(tmp_path / "vtt.sqlite", "0001")
    with closing(sqlite3.connect(tmp_path / "vtt.sqlite")) as other:
        other.execute("UPDATE alembic_version SET version_num = ?", (newest_revision(),))
        other.commit()
        assert check_database(settings).condition is Condition.OK


@pytest.mark.parametrize(
    ("revision", "condition", "says"),
    [("0001", Condition.NOTE, "migrates"), ("9999", Condition.PROBLEM, "newer version")],
)
def test_an_old_database_is_noted_and_a_newer_one_is_a_problem(
    tmp_path: Path, revision: str, condition: Condition, says: str
) -> None:
    found = check_database(sqlite_with(tmp_path / "vtt.sqlite", revision))
    assert found.condition is condition
    assert says in str(found.remedy)


def test_a_file_that_is_no_database_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "vtt.sqlite").write_bytes(b"notes" * 1000)
    assert check_database(Settings(data_dir=tmp_path)).condition is Condition.PROBLEM


def test_a_data_folder_that_is_not_there_is_noted_and_not_made(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    found = [*check_disks(settings), check_database(settings), check_store(settings)]
    assert {finding.condition for finding in found if not finding.part.startswith("disk")} == {Condition.NOTE}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url", ["postgresql://vtt:secret@127.0.0.1:1/vtt", "mysql://127.0.0.1/vtt", "nonsense", "sqlite:////dev/null/x.sqlite"]
)
def test_a_wrong_database_url_is_named_with_what_to_do_and_without_its_password(url: str) -> None:
    found = check_database(Settings(database_url=url))
    assert found.condition in {Condition.PROBLEM, Condition.NOTE}
    assert (found.condition is Condition.NOTE) == url.startswith("sqlite")
    assert "secret" not in found.detail
    if found.condition is Condition.PROBLEM:
        assert "VTT_DATABASE_URL" in str(found.remedy)


@pytest.mark.services
def test_a_postgresql_is_read_with_and_without_tables(postgres_url: str) -> None:
    settings = Settings(database_url=postgres_url)
    assert check_database(settings).condition is Condition.OK
    engine = make_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    engine.dispose()
    found = check_database(settings)
    assert found.condition is Condition.NOTE
    assert "no tables" in found.detail


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_a_problem(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "may not write" in str(why_not_writable(tmp_path / "data"))


def test_a_file_in_place_of_the_data_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    found, *_ = check_disks(Settings(data_dir=tmp_path / "data"))
    assert found.condition is Condition.PROBLEM
    assert "is a file" in found.detail


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB. Mounting one needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.services
def test_a_really_full_disk_is_a_problem(small_disk: Path) -> None:
    settings = Settings(data_dir=small_disk)
    assert conditions(check_disks(settings))["disk, store"] is Condition.OK
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free - 100_000))
    assert conditions(check_disks(settings))["disk, store"] is Condition.PROBLEM


@pytest.mark.slow
def test_a_store_that_does_not_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    found = check_store(Settings(store_url="s3://bucket/vtt"))
    assert found.condition is Condition.PROBLEM
    assert "VTT_STORE_URL" in str(found.remedy)


def test_a_redis_that_is_away_is_a_problem_where_one_is_named() -> None:
    (found,) = check_redis(Settings(broker_url="redis://:secret@127.0.0.1:1/0"))
    assert found.condition is Condition.PROBLEM
    assert "redis://127.0.0.1:1/0 does not answer" in found.detail
    assert "secret" not in found.detail


def test_the_private_redis_may_be_away(tmp_path: Path) -> None:
    (found,) = check_redis(Settings(data_dir=tmp_path))
    assert found.condition is Condition.NOTE
    assert "not running" in found.detail


@pytest.mark.services
def test_workers_are_named(broker_url: str) -> None:
    answers, workers = check_redis(Settings(broker_url=broker_url))
    assert (answers.condition, workers.condition) == (Condition.OK, Condition.NOTE)
    registry = WorkerRegistry(broker_url)
    registry.announce(LiveWorker("here:1:ab", "cpu", None, None, scan="compiled"))
    _, workers = check_redis(Settings(broker_url=broker_url))
    registry.withdraw("here:1:ab")
    assert workers.condition is Condition.OK
    assert "here:1:ab on cpu, scan compiled" in workers.detail


def conditions(findings: Iterator[Finding]) -> dict[str, Condition]:
    return {finding.part: finding.condition for finding in findings}


def test_a_folder_where_nothing_can_be_made_is_a_problem_whatever_its_rights_say(tmp_path: Path) -> None:
    assert "'/proc'" in str(why_not_writable(Path("/proc/x")))
    assert why_not_writable(tmp_path / "data") is None
    assert list(tmp_path.iterdir()) == []
