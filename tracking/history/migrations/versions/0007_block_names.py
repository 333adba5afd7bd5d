"""The yard's own block numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """A table of one row each time that a track was given a number; a number is one block's at a time."""
    op.create_table(
        "history_block_names",
        sa.Column("bay_id", sa.String(48), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("track_id", sa.String(64), nullable=False),
        sa.Column("slot", _TIME, nullable=False),
        sa.Column("x_m", sa.Float, nullable=False),
        sa.Column("y_m", sa.Float, nullable=False),
        sa.Column("given_by", sa.String(96), nullable=False),
        sa.Column("given_at", _TIME, nullable=False),
        sa.Column("taken_by", sa.String(96)),
        sa.Column("taken_at", _TIME),
    )
    op.create_index(
        "ix_history_block_names_held",
        "history_block_names",
        ["bay_id", "name"],
        unique=True,
        postgresql_where=sa.text("taken_at IS NULL"),
        sqlite_where=sa.text("taken_at IS NULL"),
    )


def downgrade() -> None:
    """Without it."""
    op.drop_table("history_block_names")
