"""Let a job publish an interim model before its own, and let a job start from a model."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.add_column(sa.Column("base_model_id", sa.String(length=40), nullable=True))
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("is_interim", sa.Boolean(), nullable=False, server_default=sa.false()))
        models.drop_constraint(op.f("uq_models_job_id"), type_="unique")
        models.create_unique_constraint(op.f("uq_models_job_id"), ["job_id", "is_interim"])


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM predictions WHERE model_id IN (SELECT id FROM models WHERE is_interim)"))
    op.execute(sa.text("DELETE FROM aliases WHERE model_id IN (SELECT id FROM models WHERE is_interim)"))
    op.execute(sa.text("DELETE FROM models WHERE is_interim"))
    with op.batch_alter_table("models") as models:
        models.drop_constraint(op.f("uq_models_job_id"), type_="unique")
        models.create_unique_constraint(op.f("uq_models_job_id"), ["job_id"])
        models.drop_column("is_interim")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("base_model_id")
