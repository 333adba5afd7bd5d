"""Which listener got which notices."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Listeners, and the notices that they got."""
    op.create_table(
        "history_listeners",
        sa.Column("bay_id", sa.String(48), nullable=False),
        sa.Column("listener", sa.String(48), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bay_id", "listener"),
    )
    op.create_table(
        "history_told",
        sa.Column("bay_id", sa.String(48), nullable=False),
        sa.Column("listener", sa.String(48), nullable=False),
        sa.Column("notice", sa.String(32), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("bay_id", "listener", "notice"),
    )
    op.create_index("ix_history_told_slot", "history_told", ["bay_id", "listener", "slot"])


def downgrade() -> None:
    """Without them: every listener is new then."""
    for name in ("told", "listeners"):
        op.drop_table(f"history_{name}")
