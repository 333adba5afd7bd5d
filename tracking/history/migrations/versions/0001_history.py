"""The history's first tables."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Tracks, positions, events, batches, camera failures."""
    op.create_table(
        "history_tracks",
        _bay(),
        _track(),
        sa.Column("class_name", sa.String(96), nullable=False),
        _time("first_seen", nullable=False),
        _time("recorded", nullable=False),
        _time("exited_at"),
        sa.PrimaryKeyConstraint("bay_id", "track_id"),
    )
    op.create_index("ix_history_tracks_exited", "history_tracks", ["bay_id", "exited_at"])
    op.create_table(
        "history_positions",
        _bay(),
        _track(),
        _time("since", nullable=False),
        _time("until"),
        sa.Column("span", sa.SmallInteger),
        _time("standing_since", nullable=False),
        _time("recorded", nullable=False),
        _time("updated", nullable=False),
        _time("last_seen", nullable=False),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("hits_before", sa.Integer, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("class_name", sa.String(96), nullable=False),
        sa.Column("area", sa.String(96), nullable=False),
        sa.Column("stage", sa.String(96)),
        sa.Column("footprint", sa.LargeBinary, nullable=False),
        sa.Column("height_m", sa.Float, nullable=False),
        sa.Column("position_std_m", sa.Float, nullable=False),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("anchor_x", sa.Float, nullable=False),
        sa.Column("anchor_y", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("bay_id", "track_id", "since"),
        postgresql_with={"fillfactor": 80},
    )
    op.create_index(
        "ix_history_positions_open",
        "history_positions",
        ["bay_id", "area"],
        postgresql_where=sa.text("until IS NULL"),
        sqlite_where=sa.text("until IS NULL"),
    )
    closed = ["bay_id", "span", "since", "until", "area", "stage", "track_id"]
    op.create_index("ix_history_positions_span", "history_positions", closed)
    op.create_index("ix_history_positions_area", "history_positions", ["bay_id", "area", "span", "since", "until"])
    op.create_table(
        "history_events",
        _bay(),
        _time("slot", nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        _track(),
        _time("time", nullable=False),
        sa.Column("from_area", sa.String(96)),
        sa.Column("to_area", sa.String(96)),
        sa.Column("from_stage", sa.String(96)),
        sa.Column("to_stage", sa.String(96)),
        sa.Column("others", sa.Text),
        sa.Column("details", sa.Text),
        sa.PrimaryKeyConstraint("bay_id", "slot", "number"),
    )
    op.create_index("ix_history_events_kind", "history_events", ["bay_id", "kind", "time"])
    op.create_index("ix_history_events_time", "history_events", ["bay_id", "time"])
    op.create_index("ix_history_events_track", "history_events", ["bay_id", "track_id", "time"])
    op.create_index(
        "ix_history_events_others",
        "history_events",
        ["bay_id", "time"],
        postgresql_where=sa.text("others IS NOT NULL"),
        sqlite_where=sa.text("others IS NOT NULL"),
    )
    op.create_table(
        "history_batches",
        _bay(),
        _time("slot", nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("track_count", sa.Integer),
        sa.Column("event_count", sa.Integer),
        sa.Column("cameras", sa.Text),
        sa.Column("reported", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("bay_id", "slot"),
    )
    op.create_table(
        "history_camera_failures",
        _bay(),
        _time("slot", nullable=False),
        sa.Column("camera", sa.String(32), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("bay_id", "slot", "camera"),
    )


def downgrade() -> None:
    """Back to nothing: the whole history is lost."""
    for name in ("camera_failures", "batches", "events", "positions", "tracks"):
        op.drop_table(f"history_{name}")


def _bay() -> "sa.Column[str]":
    return sa.Column("bay_id", sa.String(48), nullable=False)


def _track() -> "sa.Column[str]":
    return sa.Column("track_id", sa.String(64), nullable=False)


def _time(name: str, *, nullable: bool = True) -> "sa.Column[datetime]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
