"""Store which bands of an image are shown: of support sets what their user wants, of models what they have learnt from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("support_sets") as support_sets:
        support_sets.add_column(sa.Column("bands", sa.JSON(), nullable=True))
        support_sets.add_column(sa.Column("stretch", sa.JSON(), nullable=True))
    with op.batch_alter_table("models") as models:
        models.add_column(sa.Column("bands", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("models") as models:
        models.drop_column("bands")
    with op.batch_alter_table("support_sets") as support_sets:
        support_sets.drop_column("stretch")
        support_sets.drop_column("bands")
