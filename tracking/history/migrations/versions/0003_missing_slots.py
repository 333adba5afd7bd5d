"""The slots that are missing, found without reading those that are not."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """An index of the slots that were not tracked."""
    untracked = sa.text("sha256 IS NULL")
    op.create_index(
        "ix_history_batches_missing",
        "history_batches",
        ["bay_id", "slot"],
        postgresql_where=untracked,
        sqlite_where=untracked,
    )


def downgrade() -> None:
    """Without it; nothing else changes."""
    op.drop_index("ix_history_batches_missing", "history_batches")
