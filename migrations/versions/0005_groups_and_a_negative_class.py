"""Store the group of each support image, and which class of a support set is negative."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("support_images") as images:
        images.add_column(sa.Column("group_name", sa.String(length=200), nullable=True))
    with op.batch_alter_table("support_sets") as sets:
        sets.add_column(sa.Column("negative_label", sa.String(length=400), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("support_sets") as sets:
        sets.drop_column("negative_label")
    with op.batch_alter_table("support_images") as images:
        images.drop_column("group_name")
