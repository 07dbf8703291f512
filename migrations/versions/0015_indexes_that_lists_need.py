"""Add indexes, so that no list, count or sweep reads a whole table, and note which exports are to be removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

LISTED = ("tenant_id", "created_at", "id")
NOT_DELETED = sa.text("deleted_at IS NULL")
STORED = ("tenant_id", "adapter_bytes", "deleted_at")
LISTS = ("support_sets", "jobs", "models", "batches")
"""Tables whose lists leave out what was deleted."""
REPLACED = (
    ("job_events", ("job_id",), ("job_id", "id")),
    ("evaluations", ("model_id",), ("model_id", "created_at", "id")),
    ("webhook_deliveries", ("webhook_id",), ("webhook_id", "created_at", "id")),
    ("jobs", ("state",), ("state", "deleted_at")),
    ("support_images", ("support_set_id",), ("support_set_id", "size_bytes")),
    ("evaluation_images", ("evaluation_id",), ("evaluation_id", "size_bytes")),
)
"""Tables with the columns of an index, and those of the one that takes its place."""
ADDED = (
    ("jobs", ("tenant_id", "name")),
    ("models", ("tenant_id", "name")),
    ("jobs", ("tenant_id", "backbone_id", "state", "created_at", "id")),
    ("aliases", ("model_id",)),
    ("exports", ("tenant_id", "size_bytes")),
    ("webhook_deliveries", ("state", "created_at")),
)
PARTIAL = (
    ("models", "is_pinned", {"sqlite": "is_pinned = 1", "postgresql": "is_pinned"}),
    ("batches", "needs_clearing", {"sqlite": "needs_clearing = 1", "postgresql": "needs_clearing"}),
    ("exports", "needs_clearing", {"sqlite": "needs_clearing = 1", "postgresql": "needs_clearing"}),
)
"""Tables with a column that is seldom true, and how each kind of database says that it is."""

MANY, OF_TENANT, OF_STATE = 1_000_000, 500_000, 10_000
"""Rows of a table, of a tenant, and in a state: what SQLite is to expect."""
STATISTICS = {
    **{f"ix_{table}_tenant_id_created_at_id": f"{MANY} {OF_TENANT} 1 1" for table in (*LISTS, "evaluations")},
    "ix_jobs_tenant_id_name": f"{MANY} {OF_TENANT} 1",
    "ix_models_tenant_id_name": f"{MANY} {OF_TENANT} 1",
    "ix_jobs_tenant_id_backbone_id_state_created_at_id": f"{MANY} {OF_TENANT} {OF_TENANT} {OF_STATE} 1 1",
    "sqlite_autoindex_jobs_2": f"{MANY} {OF_TENANT} 1",
    "sqlite_autoindex_aliases_1": f"{MANY} {OF_TENANT} 1",
    "ix_models_tenant_id_adapter_bytes_deleted_at": f"{MANY} {OF_TENANT} {OF_TENANT} {OF_TENANT}",
    "ix_exports_tenant_id_size_bytes": f"{MANY} {OF_TENANT} {OF_TENANT}",
    "ix_audit_events_tenant_id": f"{MANY} {OF_TENANT}",
    "ix_jobs_state_deleted_at": f"{MANY} {OF_STATE} {OF_STATE}",
    "ix_batches_state": f"{MANY} {OF_STATE}",
    "ix_exports_state": f"{MANY} {OF_STATE}",
    "ix_webhook_deliveries_state_created_at": f"{MANY} {OF_TENANT} 1",
    "ix_webhook_deliveries_state_next_attempt_at": f"{MANY} {OF_TENANT} 1",
}
"""What `ANALYZE` would find in a large database, for the indexes whose first columns tell little.

SQLite counts nothing by itself. Without these numbers it takes ten rows for all that a tenant has, and reads a million of them
where it could look up twenty ids. Source: sqlite.org, "The Next-Generation Query Planner", on fixed results of ANALYZE.
"""


def upgrade() -> None:
    for table in LISTS:
        op.drop_index(_name(table, LISTED), table)
        op.create_index(_name(table, LISTED), table, LISTED, sqlite_where=NOT_DELETED, postgresql_where=NOT_DELETED)
    for table, old, new in REPLACED:
        op.create_index(_name(table, new), table, new)
        op.drop_index(_name(table, old), table)
    for table, columns in ADDED:
        op.create_index(_name(table, columns), table, columns)
    op.add_column("exports", sa.Column("needs_clearing", sa.Boolean(), nullable=False, server_default=sa.false()))
    deleted = "SELECT id FROM models WHERE deleted_at IS NOT NULL"
    op.execute(sa.text(f"UPDATE exports SET needs_clearing = true WHERE model_id IN ({deleted})"))
    op.create_index(_name("models", STORED), "models", STORED, sqlite_where=NOT_DELETED, postgresql_where=NOT_DELETED)
    for table, column, wheres in PARTIAL:
        where = {f"{dialect}_where": sa.text(condition) for dialect, condition in wheres.items()}
        op.create_index(_name(table, (column,)), table, [column], **where)
    if op.get_bind().dialect.name == "sqlite":
        _tell_statistics()


def _tell_statistics() -> None:
    op.execute("ANALYZE alembic_version")  # makes the table of statistics
    found = op.get_bind().execute(sa.text("SELECT name, tbl_name FROM sqlite_master WHERE type = 'index'"))
    rows = [{"idx": name, "tbl": table, "stat": STATISTICS[name]} for name, table in found.all() if name in STATISTICS]
    assert len(rows) == len(STATISTICS)
    op.get_bind().execute(sa.text("DELETE FROM sqlite_stat1"))
    op.get_bind().execute(sa.text("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (:tbl, :idx, :stat)"), rows)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DELETE FROM sqlite_stat1")
    op.drop_index(_name("models", STORED), "models")
    for table, column, _ in PARTIAL:
        op.drop_index(_name(table, (column,)), table)
    with op.batch_alter_table("exports") as exports:
        exports.drop_column("needs_clearing")
    for table, columns in ADDED:
        op.drop_index(_name(table, columns), table)
    for table, old, new in REPLACED:
        op.create_index(_name(table, old), table, old)
        op.drop_index(_name(table, new), table)
    for table in LISTS:
        op.drop_index(_name(table, LISTED), table)
        op.create_index(_name(table, LISTED), table, LISTED)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
