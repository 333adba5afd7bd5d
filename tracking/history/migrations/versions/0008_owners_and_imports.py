"""Who owns a bay while the old system is replaced, and which tracks were imported from it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """A table of the changes of owner; a mark on imported tracks."""
    op.create_table(
        "history_owners",
        sa.Column("bay_id", sa.String(48), primary_key=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("owner", sa.String(16), nullable=False),
        sa.Column("former", sa.String(16), nullable=False),
        sa.Column("author", sa.String(256), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.add_column("history_tracks", sa.Column("imported", sa.Text))


def downgrade() -> None:
    """Without them; imported tracks stay as tracks."""
    op.drop_column("history_tracks", "imported")
    op.drop_table("history_owners")
