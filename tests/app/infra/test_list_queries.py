"""No list, sweep or count reads a whole table: both kinds of database explain how they run each statement.

The statements are those that the service sends: for every GET of the API and of the pages, for a sweep of the reaper, for the
metrics, for the followers of jobs and for a prediction. So a new list is looked at without a change here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, text

from app.cli.bench.bulk_rows import LARGE_TABLES, fill_tables
from app.cli.bench.growth_lists import counts, lists, sweeps, usage
from app.domain.access import DEFAULT_TENANT_ID, Caller
from app.infra.database import make_engine
from app.infra.tenancy import TenantSessions
from tests.fixtures.http_api import Api, MakeApi

NUM_ROWS = 20_000
MOST_STEPS = 100_000
"""Steps of SQLite's machine that a statement may take: fewer than it needs to look at every row once."""
IDS = {
    "job_id": "job_000000000100",
    "model": "mdl_000000000100",
    "model_id": "mdl_000000000100",
    "support_set_id": "set_000000000010",
    "set_id": "set_000000000010",
    "evaluation_id": "evl_000000000100",
    "batch_id": "bat_000000000100",
    "webhook_id": "whk_000000000001",
    "name": "alias-000000000100",
}
"""Rows that there are, by the names of parameters."""
PARAMETER = r"{(\w+)[^}]*}"
COUNTS = re.compile(r"\b(count|sum)\(")
"""What a statement has that counts or sums up: it may read an index from end to end, but no table."""
WITHOUT_AN_INDEX = (
    "SELECT * FROM jobs WHERE request_id = 'x'",
    "SELECT * FROM models ORDER BY adapter_bytes LIMIT 5",
    "DELETE FROM predictions WHERE label = 'x'",
    "SELECT sum(adapter_bytes) FROM models WHERE adapter_key = 'x'",
)
"""Statements that this test has to find."""
Sent = dict[str, Any]
"""Parameters by statement."""


@contextmanager
def sent_statements() -> Iterator[Sent]:
    """Collect the statements that all engines execute meanwhile, each once, on tables that grow."""
    sent: Sent = {}

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "WITH", "UPDATE", "DELETE")) and LARGE_TABLES & set(re.findall(r"\w+", statement)):
            sent.setdefault(statement, parameters)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def ask_for_everything(api: Api) -> list[str]:
    """Ask for every address that can be filled in, and for the page after the first; return those addresses."""
    asked = []
    for template in _paths(api.client.app.routes):  # type: ignore[attr-defined]
        # A stream of events may not end.
        if template.endswith("/events") or not IDS.keys() >= set(re.findall(PARAMETER, template)):
            continue
        path = re.sub(PARAMETER, lambda found: IDS[found[1]], template)
        answer = api.client.get(path)
        asked.append(path)
        if "json" in answer.headers.get("content-type", "") and isinstance(answer.json(), dict):
            if cursor := answer.json().get("next_cursor"):
                assert api.client.get(path, params={"cursor": cursor}).status_code == 200
                asked.append(f"{path}?cursor")
    return asked


def _paths(routes: Sequence[Any]) -> list[str]:
    """Return the addresses that answer GET."""
    found = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            found += _paths(inner.routes)
        elif "GET" in (getattr(route, "methods", None) or ()):
            found.append(str(route.path))
    return found


def everything_sent(api: Api) -> Sent:
    with sent_statements() as sent:
        asked = ask_for_everything(api)
        assert api.context.served_models.find("alias-000000000100", DEFAULT_TENANT_ID) is not None
        of_tenant = TenantSessions(api.context.readers, Caller(DEFAULT_TENANT_ID))
        for sessions, reads in (
            (of_tenant, lists() | usage()),
            (api.context.sessions, sweeps()),
            (api.context.readers, counts()),
        ):
            for read in reads.values():
                with sessions() as session:
                    read(session)
    for wanted in (
        "/v1/jobs?cursor",
        "/v1/models?cursor",
        "/v1/support-sets?cursor",
        "/v1/predictions?cursor",
        "/jobs",
        "/models",
    ):
        assert wanted in asked
    return sent


@pytest.fixture
def filled(make_api: MakeApi, database_url: str) -> Api:
    api = make_api(database_url=database_url)
    assert api.context.reaper is not None
    api.context.reaper.stop()
    engine = make_engine(database_url)
    fill_tables(engine, NUM_ROWS)
    engine.dispose()
    return api


def faults_in_sqlite(connection: Connection, statement: str, parameters: Any) -> list[str]:
    plan = [str(row[3]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    found = []
    for line in plan:
        table = re.match(r"SCAN (\w+)", line)
        covers = "COVERING INDEX" in line and COUNTS.search(statement)
        if table and table[1] in LARGE_TABLES and not covers:
            found.append(line)
        # New events are few, and come from an index of each job.
        if "TEMP B-TREE FOR ORDER BY" in line and "LIMIT" in statement and "json_each" not in statement:
            found.append(line)
    steps = _steps(connection, statement, parameters) if statement.startswith("SELECT") else 0
    if steps > MOST_STEPS and not COUNTS.search(statement):
        found.append(f"{steps} steps")
    return found


def _steps(connection: Connection, statement: str, parameters: Any) -> int:
    calls: list[int] = []
    raw: Any = connection.connection.driver_connection
    raw.set_progress_handler(lambda: calls.append(1), 1000)
    try:
        connection.exec_driver_sql(statement, parameters).all()
    finally:
        raw.set_progress_handler(None, 0)
    return 1000 * len(calls)


def faults_in_postgres(connection: Connection, statement: str, parameters: Any) -> list[str]:
    connection.execute(text("SET LOCAL enable_seqscan = off"))  # of a few thousand rows, reading all may be the quickest
    [[plan]] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    found = []
    for node in _nodes(plan[0]["Plan"]):
        if node.get("Relation Name") not in LARGE_TABLES:
            continue
        kind = node["Node Type"]
        is_limited = (
            {"Index Cond", "Recheck Cond"} & node.keys() or node.get("Index Name", "").startswith("ix_") and _partial(node)
        )
        if kind == "Seq Scan" or (kind.startswith("Index") and not is_limited and not COUNTS.search(statement)):
            found.append(f"{kind} of {node['Relation Name']}")
    return found


def _partial(node: dict[str, Any]) -> bool:
    return str(node["Index Name"]).endswith(("_is_pinned", "_needs_clearing"))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def faults(url: str, statements: Sent | Sequence[tuple[str, Any]]) -> dict[str, list[str]]:
    engine = make_engine(url)
    judge = faults_in_sqlite if engine.dialect.name == "sqlite" else faults_in_postgres
    found = {}
    with engine.connect() as connection:
        for statement, parameters in dict(statements).items():
            if wrong := judge(connection, statement, parameters):
                found[statement] = wrong
    engine.dispose()
    return found


@pytest.mark.slow
def test_no_statement_of_a_list_a_sweep_or_a_count_reads_a_whole_table(filled: Api, database_url: str) -> None:
    for statement in WITHOUT_AN_INDEX:
        assert faults(database_url, {statement: ()})
    sent = everything_sent(filled)
    assert len(sent) > 40
    found = [f"{wrong}: {statement}" for statement, wrong in faults(database_url, sent).items()]
    assert not found, "\n\n".join(found)
