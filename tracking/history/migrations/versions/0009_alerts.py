"""Alerts, the messages of alerts and events to people, and what is muted."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """A table each; of one alert at most one row is open, of one message there is one row."""
    op.create_table(
        "history_alerts",
        sa.Column("fingerprint", sa.String(32), primary_key=True),
        sa.Column("since", _TIME, primary_key=True),
        sa.Column("until", _TIME),
        sa.Column("seen", _TIME, nullable=False),
        sa.Column("bay_id", sa.String(48), nullable=False),
        sa.Column("name", sa.String(96), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("acknowledged_at", _TIME),
        sa.Column("acknowledged_by", sa.String(256)),
    )
    still_open = sa.text("until IS NULL")
    op.create_index(
        "ix_history_alerts_open",
        "history_alerts",
        ["fingerprint"],
        unique=True,
        postgresql_where=still_open,
        sqlite_where=still_open,
    )
    op.create_table(
        "history_messages",
        sa.Column("route", sa.String(48), primary_key=True),
        sa.Column("channel", sa.String(48), primary_key=True),
        sa.Column("item", sa.String(64), primary_key=True),
        sa.Column("step", sa.String(16), primary_key=True),
        sa.Column("bay_id", sa.String(48), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("entered", _TIME, nullable=False),
        sa.Column("due", _TIME, nullable=False),
        sa.Column("message", sa.String(32)),
        sa.Column("claimed_until", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("sent", _TIME),
        sa.Column("dropped", sa.Text),
    )
    waiting = sa.text("sent IS NULL AND dropped IS NULL")
    op.create_index(
        "ix_history_messages_waiting", "history_messages", ["due"], postgresql_where=waiting, sqlite_where=waiting
    )
    op.create_index("ix_history_messages_item", "history_messages", ["item"])
    op.create_table(
        "history_mutes",
        sa.Column("mute_id", sa.String(32), primary_key=True),
        sa.Column("bay_id", sa.String(48), nullable=False),
        sa.Column("kind", sa.String(96), nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("until", _TIME, nullable=False),
        sa.Column("author", sa.String(256), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Without them."""
    for table in ("history_mutes", "history_messages", "history_alerts"):
        op.drop_table(table)
