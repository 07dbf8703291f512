"""The growth of lists is measured on a database that belongs to the benchmark alone, and is empty afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import pytest
from sqlalchemy import inspect

from app.cli.bench import growth_lists
from app.cli.bench.growth_lists import filled_database, lists, measure_lists
from app.infra.database import make_engine, make_reader_factory
from app.infra.job_repository import JobRepository
from app.infra.support_set_repository import SupportSetRepository
from tests.fixtures.services import PostgresServer
from vtt_core.contract.errors import InputError


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"growth_{abs(hash(tmp_path)):x}"
    yield server.create_database(name)
    server.drop_database(name)


def tables(url: str) -> list[str]:
    engine = make_engine(url)
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


@pytest.mark.slow
def test_there_is_a_curve_of_lists_of_sweeps_and_of_counts(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth_lists, "NUMBERS_OF_ROWS", (200, 400))
    curves = list(measure_lists(empty_url, repeats=1, stopwatch=perf_counter, num_points=None))
    name = "sqlite" if empty_url.startswith("sqlite") else "postgresql"
    assert [curve.title for curve in curves] == [
        f"{part} {name}" for part in ("lists", "lists of a small tenant", "sweeps", "counts")
    ]
    assert curves[0].milliseconds.keys() == lists().keys()
    assert all(len(values) == 2 and min(values) > 0 for curve in curves for values in curve.milliseconds.values())
    assert tables(empty_url) == []


@pytest.mark.slow
def test_the_rows_are_such_as_a_service_has(empty_url: str) -> None:
    with filled_database(empty_url, 300) as engine, make_reader_factory(engine)() as session:
        page, _ = JobRepository(session).list_page(None, 20)
        assert [row.id for row in page] == sorted((row.id for row in page), reverse=True)
        assert len(page) == 20
        assert all(row.deleted_at is None and row.id < "job_000000000270" for row in page)
        counted = JobRepository(session).count_by_state()
        assert counted["queued"] > 0
        assert counted["running"] > 0
        last, cursor = JobRepository(session).list_page(growth_lists.LAST_CURSOR, 50)
        assert cursor is None
        assert last[-1].id == "job_000000000000"
        assert set(SupportSetRepository(session).shots([page[0].support_set_id]).popitem()[1].values()) == {5}


@pytest.mark.slow
def test_a_database_that_has_tables_is_left_alone(database_url: str) -> None:
    before = tables(database_url)
    with pytest.raises(InputError, match="an empty database"), filled_database(database_url, 100):
        pass
    assert tables(database_url) == before
