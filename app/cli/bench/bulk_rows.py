"""Fill a database with as many rows as years of use leave, by statements and not by the API.

Row `n` of each table belongs to row `n` of the others: a job, its events, its model, what was measured of it. One tenant owns
nine rows of ten. As many jobs wait and run in a large database as in a small one; the newest tenth was deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Engine,
    Float,
    Integer,
    String,
    Table,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    select,
    text,
)

from app.domain.access import DEFAULT_TENANT_ID
from app.domain.webhooks import DeliveryState
from app.infra.tables import (
    AliasRow,
    AuditRow,
    Base,
    BatchRow,
    EvaluationImageRow,
    EvaluationRow,
    ExportRow,
    JobEventRow,
    JobRow,
    ModelRow,
    PredictionRow,
    SupportImageRow,
    SupportSetRow,
    TenantRow,
    UtcDateTime,
    WebhookDeliveryRow,
    WebhookRow,
)
from vtt_core.contract.recipe import FinetuneRecipe

FIRST_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
"""When row 0 was created; the others follow, one a second."""
SMALL_TENANT_ID = "tenant_small"
"""Owner of one row of ten."""
NUM_WAITING, NUM_RUNNING = 50, 10
"""Jobs, batches and exports that wait or run, however many have ended."""
IMAGES_A_SET = 10
NUM_WEBHOOKS = 10
ROWS_A_STATEMENT = 50_000

Expression = ColumnElement[Any]
Columns = Callable[["Numbered"], Mapping[str, Any]]


class Numbered:
    """Values of row `n`, as expressions of either kind of database.

    Args:
        number: the column that holds `n`.
        num_rows: of each table.
        dialect: `sqlite` or `postgresql`.
    """

    def __init__(self, number: Expression, num_rows: int, dialect: str) -> None:
        self.n = number
        self._num_rows, self.is_sqlite = num_rows, dialect == "sqlite"

    def named(self, prefix: str, number: Expression | None = None) -> Expression:
        """Return a text that ends in the number; texts are in the order of their numbers."""
        shown = self.n if number is None else number
        padded = func.printf("%012d", shown) if self.is_sqlite else func.lpad(cast(shown, String), 12, "0")
        return literal(prefix).concat(padded)

    @property
    def moment(self) -> Expression:
        """When the row was created."""
        seconds = literal(int(FIRST_MOMENT.timestamp())) + self.n
        if self.is_sqlite:  # as SQLAlchemy writes it
            return func.strftime("%Y-%m-%d %H:%M:%S.000000", seconds, "unixepoch")
        return func.to_timestamp(seconds)

    def one_in(self, number: int) -> Expression:
        """Return whether this is one row of so many."""
        return self.n % number == number - 1

    @property
    def is_deleted(self) -> Expression:
        """Whether the row was deleted."""
        return (self.n >= self._num_rows - self._num_rows // 10) | self.one_in(9)

    @property
    def state(self) -> Expression:
        """How far the row's work is."""
        is_old = ~self.is_deleted
        return case(
            (and_(self.n < NUM_WAITING, is_old), "queued"),
            (and_(self.n < NUM_WAITING + NUM_RUNNING, is_old), "running"),
            (self.one_in(20), "failed"),
            else_="succeeded",
        )

    def usual(self, column: Column[Any]) -> Any:
        """Return what a column holds that says nothing of its own."""
        if column.name == "tenant_id":
            return case((self.one_in(10), SMALL_TENANT_ID), else_=DEFAULT_TENANT_ID)
        if column.name == "deleted_at":
            return case((self.is_deleted, self.moment), else_=null())
        if column.name == "state":
            return self.state
        if column.nullable:
            return null()
        for kind, value in _BY_KIND.items():
            if isinstance(column.type, kind):
                return literal(value, column.type)
        return self.moment if isinstance(column.type, (UtcDateTime, DateTime)) else literal("")


_BY_KIND: dict[Any, Any] = {Boolean: False, JSON: [], Float: 0.0, Integer: 1}


def _support_set(row: Numbered) -> dict[str, Any]:
    return {"id": row.named("set_"), "name": row.named("images ")}


def _support_image(row: Numbered) -> dict[str, Any]:
    return {
        "id": row.named("img_"),
        "support_set_id": row.named("set_", row.n // IMAGES_A_SET),
        "label": case((row.n % 2 == 0, "cat"), else_="dog"),
        "position": row.n % IMAGES_A_SET,
        "sha256": row.named("digest"),
        "size_bytes": 1000,
    }


def _job(row: Numbered) -> dict[str, Any]:
    return {
        "id": row.named("job_"),
        "support_set_id": row.named("set_", row.n // IMAGES_A_SET),
        "name": row.named("job "),
        "backbone_id": "mini",
        "recipe": literal(FinetuneRecipe().to_json(), JSON()),
        "started_at": row.moment,
        "finished_at": row.moment,
        "enqueued_at": row.moment,
    }


def _job_event(row: Numbered) -> dict[str, Any]:
    payload = case((row.state == "succeeded", '{"state": "succeeded"}'), else_='{"state": "running"}')
    return {
        "id": row.n + 1,
        "job_id": row.named("job_"),
        "kind": "state",
        "payload": cast(payload, JSON) if not row.is_sqlite else payload,
    }


def _model(row: Numbered) -> dict[str, Any]:
    return {
        "id": row.named("mdl_"),
        "job_id": row.named("job_"),
        "name": row.named("model "),
        "backbone_id": "mini",
        "labels": literal(["cat", "dog"], JSON()),
        "recipe": literal(FinetuneRecipe().to_json(), JSON()),
        "metrics": literal({}, JSON()),
        "is_pinned": row.n % 100_000 == 1,
    }


def _alias(row: Numbered) -> dict[str, Any]:
    return {"name": row.named("alias-"), "model_id": row.named("mdl_")}


def _evaluation(row: Numbered) -> dict[str, Any]:
    of_model = case((row.one_in(4), row.named("mdl_", row.n * 0)), else_=row.named("mdl_"))  # one model has a quarter of them
    return {"id": row.named("evl_"), "model_id": of_model, "images_of": row.named("evl_")}


def _evaluation_image(row: Numbered) -> dict[str, Any]:
    return {"id": row.named("img_"), "evaluation_id": row.named("evl_"), "size_bytes": 1000}


def _of_model(prefix: str) -> Columns:
    return lambda row: {"id": row.named(prefix), "model_id": row.named("mdl_")}


def _export(row: Numbered) -> dict[str, Any]:
    return {"id": row.named("exp_"), "model_id": row.named("mdl_"), "kind": "onnx"}


def _webhook(row: Numbered) -> dict[str, Any]:
    return {"id": row.named("whk_"), "tenant_id": DEFAULT_TENANT_ID}


def _delivery(row: Numbered) -> dict[str, Any]:
    webhook = row.named("whk_", row.n % NUM_WEBHOOKS)
    return {"id": row.named("msg_"), "webhook_id": webhook, "state": str(DeliveryState.DELIVERED)}


def _audit(row: Numbered) -> dict[str, Any]:
    return {"id": row.n + 1, "action": "POST /v1/jobs", "path": "/v1/jobs"}


_LARGE: tuple[tuple[type[Base], Columns], ...] = (
    (SupportSetRow, _support_set),
    (SupportImageRow, _support_image),
    (JobRow, _job),
    (JobEventRow, _job_event),
    (ModelRow, _model),
    (AliasRow, _alias),
    (EvaluationRow, _evaluation),
    (EvaluationImageRow, _evaluation_image),
    (PredictionRow, _of_model("prd_")),
    (ExportRow, _export),
    (BatchRow, _of_model("bat_")),
    (WebhookDeliveryRow, _delivery),
    (AuditRow, _audit),
)
LARGE_TABLES = frozenset(row.__tablename__ for row, _ in _LARGE)
"""Tables whose rows grow with the use of a service."""


def fill_tables(engine: Engine, num_rows: int, tables: Collection[str] = LARGE_TABLES) -> None:
    """Add so many rows to each large table of a database that is empty.

    Args:
        engine: of the database.
        num_rows: of each table; a set of images stands for ten of them.
        tables: those that are filled.
    """
    with engine.begin() as connection:
        tenant = {"id": SMALL_TENANT_ID, "name": SMALL_TENANT_ID, "created_at": FIRST_MOMENT}
        connection.execute(insert(TenantRow).values(tenant))
    _add(engine, WebhookRow, _webhook, NUM_WEBHOOKS)
    for row, columns in _LARGE:
        if row.__tablename__ in tables:
            _add(engine, row, columns, num_rows // IMAGES_A_SET if row is SupportSetRow else num_rows)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            for table in ("job_events", "audit_events"):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {num_rows})"))
    if engine.dialect.name == "postgresql":  # which does this by itself after some time; SQLite does not
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _add(engine: Engine, entity: type[Base], columns: Columns, num_rows: int) -> None:
    """Add the rows by statements that are transactions of their own, so that none holds all of them back."""
    table = entity.__table__
    assert isinstance(table, Table)
    for start in range(0, num_rows, ROWS_A_STATEMENT):
        numbers = select(literal(start, Integer).label("n")).cte("numbers", recursive=True)
        last = min(start + ROWS_A_STATEMENT, num_rows) - 1
        numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < last))
        row = Numbered(numbers.c.n, num_rows, engine.dialect.name)
        values = {column.name: row.usual(column) for column in table.columns} | dict(columns(row))
        shown = [value if isinstance(value, ColumnElement) else literal(value) for value in values.values()]
        with engine.begin() as connection:
            connection.execute(insert(table).from_select(list(values), select(*shown)))
