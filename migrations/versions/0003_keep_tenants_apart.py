"""Keep tenants apart: keys, quotas, an audit log, and an owner for every row. Existing rows belong to `default`."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OWNED = ("support_sets", "jobs", "models", "aliases")
PAGED = ("support_sets", "jobs", "models")
DEFAULT = "default"


def upgrade() -> None:
    tenants = op.create_table(
        "tenants",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("max_unfinished_jobs", sa.Integer(), nullable=True),
        sa.Column("max_images", sa.Integer(), nullable=True),
        sa.Column("max_bytes", sa.BigInteger(), nullable=True),
        sa.Column("max_predictions_per_minute", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
    )
    op.bulk_insert(tenants, [{"id": DEFAULT, "name": DEFAULT, "created_at": datetime.now(UTC)}])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_tenant_id"), "api_keys", ["tenant_id"], unique=False)
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.String(length=40), nullable=False),
        sa.Column("key_id", sa.String(length=40), nullable=True),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("created_ids", sa.JSON(), nullable=False),
        sa.Column("address", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_audit_events_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index(op.f("ix_audit_events_at"), "audit_events", ["at"], unique=False)
    op.create_index(op.f("ix_audit_events_tenant_id"), "audit_events", ["tenant_id"], unique=False)
    for name in OWNED:
        with op.batch_alter_table(name) as table:
            table.add_column(sa.Column("tenant_id", sa.String(length=40), nullable=False, server_default=DEFAULT))
            table.create_foreign_key(op.f(f"fk_{name}_tenant_id_tenants"), "tenants", ["tenant_id"], ["id"])
            if name == "aliases":
                table.drop_constraint(op.f("pk_aliases"), type_="primary")
                table.create_primary_key(op.f("pk_aliases"), ["tenant_id", "name"])
            if name == "jobs":
                table.drop_constraint(op.f("uq_jobs_idempotency_key"), type_="unique")
                table.create_unique_constraint(op.f("uq_jobs_tenant_id"), ["tenant_id", "idempotency_key"])
    for name in PAGED:
        op.drop_index(f"ix_{name}_created_at_id", table_name=name)
        op.create_index(f"ix_{name}_tenant_id_created_at_id", name, ["tenant_id", "created_at", "id"], unique=False)


def downgrade() -> None:
    for name in PAGED:
        op.drop_index(f"ix_{name}_tenant_id_created_at_id", table_name=name)
        op.create_index(f"ix_{name}_created_at_id", name, ["created_at", "id"], unique=False)
    for name in OWNED:
        with op.batch_alter_table(name) as table:
            if name == "aliases":
                table.drop_constraint(op.f("pk_aliases"), type_="primary")
                table.create_primary_key(op.f("pk_aliases"), ["name"])
            if name == "jobs":
                table.drop_constraint(op.f("uq_jobs_tenant_id"), type_="unique")
                table.create_unique_constraint(op.f("uq_jobs_idempotency_key"), ["idempotency_key"])
            table.drop_constraint(op.f(f"fk_{name}_tenant_id_tenants"), type_="foreignkey")
            table.drop_column("tenant_id")
    op.drop_table("audit_events")
    op.drop_table("api_keys")
    op.drop_table("tenants")
