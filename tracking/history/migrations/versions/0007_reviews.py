"""What people say of events and blocks."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """A table of judgements and corrections."""
    op.create_table(
        "history_reviews",
        sa.Column("bay_id", sa.String(48), primary_key=True),
        sa.Column("review_id", sa.String(32), primary_key=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.String(256), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("track_id", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_kind", sa.String(32)),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("cameras", sa.Text, nullable=False),
        sa.Column("places", sa.Text, nullable=False),
    )
    op.create_index("ix_history_reviews_at", "history_reviews", ["bay_id", "at"])


def downgrade() -> None:
    """Without it."""
    op.drop_index("ix_history_reviews_at", "history_reviews")
    op.drop_table("history_reviews")
