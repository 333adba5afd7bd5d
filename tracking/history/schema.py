"""The history's tables.

    history_tracks           one row per block that was ever confirmed
    history_positions        one row per stay: from when to when a block stood at one place,
                             in one area, at one stage
    history_events           the tracker's events
    history_batches          one row per slot that anything is known of, with what became of it
    history_camera_failures  one row per camera and slot without a frame
    history_listeners        one row per recipient of events, with the first slot whose events it gets
    history_delivered        one row per event that a recipient got
    history_retention        one row per bay: before which slot its artifacts were deleted by housekeeping
    history_owners           one row per change of who owns a bay while the old system is replaced
    history_reviews          one row per judgement or correction by a person; rows are added and never changed
    history_alerts           one row per alert of the monitoring, from its start to its end
    history_messages         one row per alert or event and channel that it goes to, with when it was sent
    history_mutes            one row per mute: what is not sent for a while

A position is not stored slot by slot: 10 bays of 500 blocks at 144 slots a day would be
263 million rows a year that say the same again. A row of `history_positions` is written
when a block begins to stand somewhere, brought up to date while it does (`last_seen`,
`hits`, the smoothed footprint), and closed when that ends.

Every table is keyed by bay and slot, so that writing a slot again finds what it wrote.
Times are UTC. Kinds, outcomes and reasons are text: a later version may add to them.
"""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    and_,
    or_,
)

SCHEMA_VERSION = "0009"
"""The migration that this code is written for: the newest in `migrations/versions`."""

# Not Airflow's `alembic_version`: the history may share a database with it.
VERSION_TABLE = "history_schema"


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime: `timestamptz` in PostgreSQL, sortable text of UTC in SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; SQLite keeps no zone.

        Raises:
            ValueError: the time is naive, so that its instant is not known.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """None for PostgreSQL, whose connections speak UTC: a call for each value is a third of a day's reading."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Aware, UTC."""
        if value is None or value.tzinfo is UTC:
            return value  # type: ignore[no-any-return]
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # type: ignore[no-any-return]


SPANS = 25
"""Stays that are over are sorted by length: span k holds those of at most 2^k times ten minutes."""

_SPAN_UNIT = timedelta(minutes=10)


def span_of(length: timedelta) -> int:
    """The span of a stay of this length; the last one holds all that is longer."""
    return min(SPANS - 1, max(0, math.ceil(math.log2(max(length, _SPAN_UNIT) / _SPAN_UNIT))))


def longest_of(span: int) -> timedelta:
    """The longest stay of a span: 319 years for the last."""
    return (1 << span) * _SPAN_UNIT


metadata = MetaData()

_BAY = String(48)
_TRACK = String(64)
_NAME = String(96)
_LISTENER = String(48)

tracks = Table(
    "history_tracks",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("track_id", _TRACK, primary_key=True),
    Column("class_name", _NAME, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("recorded", UtcTime, nullable=False),
    Column("exited_at", UtcTime),
    Column("imported", Text),
    Index("ix_history_tracks_exited", "bay_id", "exited_at"),
)

positions = Table(
    "history_positions",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("track_id", _TRACK, primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("until", UtcTime),
    Column("span", SmallInteger),
    Column("standing_since", UtcTime, nullable=False),
    Column("recorded", UtcTime, nullable=False),
    Column("updated", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("hits", Integer, nullable=False),
    Column("hits_before", Integer, nullable=False),
    Column("status", String(32), nullable=False),
    Column("class_name", _NAME, nullable=False),
    Column("area", _NAME, nullable=False),
    Column("stage", _NAME),
    Column("footprint", LargeBinary, nullable=False),
    Column("height_m", Float, nullable=False),
    Column("position_std_m", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("anchor_x", Float, nullable=False),
    Column("anchor_y", Float, nullable=False),
    # Every slot brings 500 rows of a bay up to date. With room in each page, and none of the
    # changed columns in an index, PostgreSQL does so in place.
    postgresql_with={"fillfactor": 80},
)
Index(
    "ix_history_positions_open",
    positions.c.bay_id,
    positions.c.area,
    postgresql_where=positions.c.until.is_(None),
    sqlite_where=positions.c.until.is_(None),
)
# Of stays that are over, those that overlap a time lie in a stretch of `since` that is as long as
# their span allows: one short range of the index for each span.
Index(
    "ix_history_positions_span",
    positions.c.bay_id,
    positions.c.span,
    positions.c.since,
    positions.c.until,
    positions.c.area,
    positions.c.stage,
    positions.c.track_id,
)
Index(
    "ix_history_positions_area",
    positions.c.bay_id,
    positions.c.area,
    positions.c.span,
    positions.c.since,
    positions.c.until,
)

events = Table(
    "history_events",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("slot", UtcTime, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("track_id", _TRACK, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("from_area", _NAME),
    Column("to_area", _NAME),
    Column("from_stage", _NAME),
    Column("to_stage", _NAME),
    Column("others", Text),
    Column("details", Text),
    Index("ix_history_events_kind", "bay_id", "kind", "time"),
    Index("ix_history_events_time", "bay_id", "time"),
    Index("ix_history_events_track", "bay_id", "track_id", "time"),
)
# Splits and mergers, which are few: each is looked at for a block that it names.
Index(
    "ix_history_events_others",
    events.c.bay_id,
    events.c.time,
    postgresql_where=events.c.others.is_not(None),
    sqlite_where=events.c.others.is_not(None),
)

batches = Table(
    "history_batches",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("slot", UtcTime, primary_key=True),
    Column("outcome", String(32), nullable=False),
    Column("reason", Text, nullable=False),
    Column("sha256", String(64)),
    Column("track_count", Integer),
    Column("event_count", Integer),
    Column("cameras", Text),
    Column("reported", Boolean, nullable=False),
    Column("lateness_s", Float),
    Column("spread_s", Float),
    Column("seam", Text),
)

KNOWN_FLOOR = or_(batches.c.sha256.is_not(None), batches.c.outcome == "imported")
"""Of `batches`: slots whose floor is known, tracked here or imported from the system before."""

# The slots that are missing are few: to look for them among all reads a page for every four.
Index(
    "ix_history_batches_missing",
    batches.c.bay_id,
    batches.c.slot,
    postgresql_where=batches.c.sha256.is_(None),
    sqlite_where=batches.c.sha256.is_(None),
)

camera_failures = Table(
    "history_camera_failures",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("slot", UtcTime, primary_key=True),
    Column("camera", String(32), primary_key=True),
    Column("reason", Text, nullable=False),
)

listeners = Table(
    "history_listeners",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("listener", _LISTENER, primary_key=True),
    Column("since", UtcTime, nullable=False),
)

delivered = Table(
    "history_delivered",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("listener", _LISTENER, primary_key=True),
    Column("notice", String(32), primary_key=True),
    Column("slot", UtcTime, nullable=False),
    Column("content", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Index("ix_history_delivered_slot", "bay_id", "listener", "slot"),
)

retention = Table(
    "history_retention",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("artifacts_before", UtcTime, nullable=False),
)

owners = Table(
    "history_owners",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("changed_at", UtcTime, primary_key=True),
    Column("owner", String(16), nullable=False),
    Column("former", String(16), nullable=False),
    Column("author", String(256), nullable=False),
    Column("reason", Text, nullable=False),
)

reviews = Table(
    "history_reviews",
    metadata,
    Column("bay_id", _BAY, primary_key=True),
    Column("review_id", String(32), primary_key=True),
    Column("made_at", UtcTime, nullable=False),
    Column("author", String(256), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("track_id", _TRACK, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("event_kind", String(32)),
    Column("value", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("cameras", Text, nullable=False),
    Column("places", Text, nullable=False),
    Index("ix_history_reviews_at", "bay_id", "at"),
)

alerts = Table(
    "history_alerts",
    metadata,
    Column("fingerprint", String(32), primary_key=True),
    Column("since", UtcTime, primary_key=True),
    Column("until", UtcTime),
    Column("seen", UtcTime, nullable=False),
    Column("bay_id", _BAY, nullable=False),
    Column("name", _NAME, nullable=False),
    Column("severity", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("acknowledged_at", UtcTime),
    Column("acknowledged_by", String(256)),
)
Index(
    "ix_history_alerts_open",
    alerts.c.fingerprint,
    unique=True,
    postgresql_where=alerts.c.until.is_(None),
    sqlite_where=alerts.c.until.is_(None),
)

messages = Table(
    "history_messages",
    metadata,
    Column("route", _LISTENER, primary_key=True),
    Column("channel", _LISTENER, primary_key=True),
    Column("item", String(64), primary_key=True),
    Column("step", String(16), primary_key=True),
    Column("bay_id", _BAY, nullable=False),
    Column("content", Text, nullable=False),
    Column("entered", UtcTime, nullable=False),
    Column("due", UtcTime, nullable=False),
    Column("message", String(32)),
    Column("claimed_until", UtcTime),
    Column("attempts", Integer, nullable=False),
    Column("sent", UtcTime),
    Column("dropped", Text),
    Index("ix_history_messages_item", "item"),
)

WAITING = and_(messages.c.sent.is_(None), messages.c.dropped.is_(None))
"""Of `messages`: those that are still to be sent."""

Index("ix_history_messages_waiting", messages.c.due, postgresql_where=WAITING, sqlite_where=WAITING)

mutes = Table(
    "history_mutes",
    metadata,
    Column("mute_id", String(32), primary_key=True),
    Column("bay_id", _BAY, nullable=False),
    Column("kind", _NAME, nullable=False),
    Column("made_at", UtcTime, nullable=False),
    Column("until", UtcTime, nullable=False),
    Column("author", String(256), nullable=False),
    Column("reason", Text, nullable=False),
)
