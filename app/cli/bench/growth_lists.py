"""Time what the service reads from its database again and again: lists, sweeps of the reaper, counts, new events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

from sqlalchemy import Engine, inspect, text
from sqlalchemy.orm import Session

from app.cli.bench.bulk_rows import FIRST_MOMENT, SMALL_TENANT_ID, fill_tables
from app.domain.access import DEFAULT_TENANT_ID, Caller
from app.health.consumption import look_at_jobs
from app.infra.access_repository import UsageRepository
from app.infra.batch_leases import BatchLeases
from app.infra.batch_repository import BatchRepository
from app.infra.database import make_engine, make_reader_factory, make_session_factory, migrate
from app.infra.evaluation_repository import EvaluationRepository
from app.infra.export_leases import ExportLeases
from app.infra.job_repository import JobRepository
from app.infra.model_repository import ModelRepository
from app.infra.paging import cursor_after
from app.infra.prediction_repository import PredictionRepository
from app.infra.support_set_repository import SupportSetRepository
from app.infra.tables import Base
from app.infra.tenancy import Sessions, TenantSessions
from app.infra.webhook_repository import WebhookRepository
from app.jobs.service import models_of
from app.models.service import list_models
from app.support_sets.service import first_images, list_views
from vtt_core.bench.speed.growth import Curve
from vtt_core.bench.speed.interleaved import Spread, time_interleaved
from vtt_core.contract.errors import InputError

NUMBERS_OF_ROWS = (1_000, 10_000, 100_000, 1_000_000)
PAGE_ROWS = 20
FOLLOWED_JOBS = 256
LAST_CURSOR = cursor_after(FIRST_MOMENT + timedelta(seconds=PAGE_ROWS + 5), "")
"""Of a page that holds the oldest rows."""
LONG_BEFORE = FIRST_MOMENT - timedelta(days=400)
"""When nothing is old, so that the reaper finds nothing to delete: it looks as often as ever."""

Read = Callable[[Session], object]


def lists() -> dict[str, Read]:
    """Return the lists of the API and the pages, by what is plotted."""
    return {
        "jobs, first page": partial(_jobs, cursor=None),
        "jobs, last page": partial(_jobs, cursor=LAST_CURSOR),
        "models, first page": lambda session: list_models(session, None, PAGE_ROWS),
        "models, last page": lambda session: list_models(session, LAST_CURSOR, PAGE_ROWS),
        "image sets, first page": partial(_sets, cursor=None),
        "image sets, last page": partial(_sets, cursor=LAST_CURSOR),
        "batches, last page": lambda session: BatchRepository(session).list_page(LAST_CURSOR, PAGE_ROWS),
        "evaluations, last page": lambda session: EvaluationRepository(session).list_page(None, LAST_CURSOR, PAGE_ROWS),
        "evaluations of a model": lambda session: EvaluationRepository(session).list_page("mdl_000000000000", None, PAGE_ROWS),
        "aliases, first page": lambda session: ModelRepository(session).list_aliases(None, PAGE_ROWS),
        "deliveries of a webhook": lambda session: WebhookRepository(session).deliveries("whk_000000000000", PAGE_ROWS),
        "last jobs of a kind": lambda session: JobRepository(session).latest_succeeded("mini", PAGE_ROWS),
        "last jobs of no kind": lambda session: JobRepository(session).latest_succeeded("ViT-B-16/openai", PAGE_ROWS),
        "names that are taken": _taken_names,
    }


def sweeps() -> dict[str, Read]:
    """Return what the reaper and the sender of webhooks look for, in one session of all tenants."""
    return {
        "jobs": lambda session: (
            JobRepository(session).release_expired(LONG_BEFORE),
            JobRepository(session).count_queued(),
            JobRepository(session).unsent(LONG_BEFORE, 20),
        ),
        "batches": lambda session: (
            BatchLeases(session).release_expired(LONG_BEFORE),
            BatchLeases(session).waiting(),
            BatchLeases(session).unsent(LONG_BEFORE, 20),
            BatchLeases(session).to_clear(LONG_BEFORE),
        ),
        "exports": lambda session: (
            ExportLeases(session).release_expired(LONG_BEFORE),
            ExportLeases(session).waiting(),
            ExportLeases(session).unsent(LONG_BEFORE, 20),
            ExportLeases(session).of_deleted_models(),
        ),
        "predictions": lambda session: PredictionRepository(session).purge(LONG_BEFORE, 30),
        "webhooks": _webhooks,
        "events of 256 jobs": _new_events,
    }


def counts() -> dict[str, Read]:
    """Return what is counted for the metrics and for the page that shows what a tenant has."""
    return {
        "jobs by state": lambda session: look_at_jobs(session, FIRST_MOMENT),
        "models": lambda session: ModelRepository(session).count(),
        "pinned models": lambda session: ModelRepository(session).pinned(),
    }


def usage() -> dict[str, Read]:
    """Return what is summed up for quotas, and shown on a page."""
    return {
        "images": lambda session: UsageRepository(session).images(),
        "bytes": lambda session: UsageRepository(session).size_bytes(),
        "unfinished jobs": lambda session: UsageRepository(session).unfinished_jobs(),
    }


def measure_lists(url: str, *, repeats: int, stopwatch: Callable[[], float], num_points: int | None) -> Iterator[Curve]:
    """Yield the curves of a database that is filled further and further.

    Args:
        url: of a database without a table of the service; its tables are removed again.
        repeats: rounds at each point.
        stopwatch: gives monotonic seconds.
        num_points: of each curve, the smallest ones; None for all.

    Raises:
        InputError: the database is not empty.
    """
    numbers = NUMBERS_OF_ROWS[:num_points]
    points: list[dict[str, dict[str, float]]] = []
    for number in numbers:
        with filled_database(url, number) as engine:
            points.append(time_reads(engine, repeats, stopwatch))
            name = engine.dialect.name
    for title in points[0]:
        by_point = [point[title] for point in points]
        yield Curve(
            f"{title} {name}", "rows of each table", numbers, {read: [of[read] for of in by_point] for read in by_point[0]}
        )


@contextmanager
def filled_database(url: str, num_rows: int) -> Iterator[Engine]:
    """Yield a database with so many rows in each table that grows; its tables are removed at the end.

    Raises:
        InputError: it has tables already, which may be those of a service.
    """
    engine = make_engine(url)
    try:
        if known := inspect(engine).get_table_names():
            raise InputError(
                expected="an empty database, which is filled and emptied again",
                got=f"one with {len(known)} tables, such as {sorted(known)[0]!r}",
                remedy="Create a database for the benchmark",
            )
        try:
            migrate(url)
            fill_tables(engine, num_rows)
            yield engine
        finally:
            with engine.begin() as connection:
                Base.metadata.drop_all(connection)
                connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    finally:
        engine.dispose()


def time_reads(engine: Engine, repeats: int, stopwatch: Callable[[], float]) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of every read, by the curve that it is in."""
    everybody, tenant = make_reader_factory(engine), Caller(DEFAULT_TENANT_ID)
    of_tenant, of_small = TenantSessions(everybody, tenant), TenantSessions(everybody, Caller(SMALL_TENANT_ID))
    alternatives = {
        "lists": _opened(of_tenant, lists()),
        "lists of a small tenant": _opened(of_small, {name: read for name, read in lists().items() if name.endswith("page")}),
        "sweeps": _opened(make_session_factory(engine), sweeps()),
        "counts": _opened(everybody, counts()) | _opened(of_tenant, usage()),
    }
    return {
        title: {read: 1e3 * Spread.of(values).median for read, values in time_interleaved(calls, repeats, stopwatch).items()}
        for title, calls in alternatives.items()
    }


def _opened(sessions: Sessions, reads: Mapping[str, Read]) -> dict[str, Callable[[], object]]:
    def call(read: Read) -> None:
        with sessions() as session:  # closed without a commit
            read(session)

    return {name: partial(call, read) for name, read in reads.items()}


def _jobs(session: Session, cursor: str | None) -> object:
    rows, _ = JobRepository(session).list_page(cursor, PAGE_ROWS)
    return models_of(session, rows), SupportSetRepository(session).names({row.support_set_id for row in rows})


def _sets(session: Session, cursor: str | None) -> object:
    views, _ = list_views(session, cursor, PAGE_ROWS)
    ids = [view.row.id for view in views]
    return first_images(session, ids, 4), JobRepository(session).states_by_set(ids)


def _taken_names(session: Session) -> object:
    names = [f"model {number}" for number in range(50)]
    return JobRepository(session).taken_names(names), ModelRepository(session).taken_names(names)


def _webhooks(session: Session) -> object:
    WebhookRepository(session).purge(LONG_BEFORE)
    return WebhookRepository(session).claim_due(LONG_BEFORE, 10, 10)


def _new_events(session: Session) -> object:
    last_ids = {f"job_{number:012}": number + 1 for number in range(FOLLOWED_JOBS)}
    return JobRepository(session).events_after_each(last_ids, PAGE_ROWS)
