"""From which slot on a bay's tracking artifacts are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """A table of one row per bay whose artifacts housekeeping deletes."""
    op.create_table(
        "history_retention",
        sa.Column("bay_id", sa.String(48), primary_key=True),
        sa.Column("artifacts_before", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Without it."""
    op.drop_table("history_retention")
