"""The history of all bays: what was written by tracking, to be asked."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import cache
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import shapely
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from bay_observation.errors import ConfigError, HistoryError, NotObservedError, QuestionError
from bays import BayConfig, load_bay
from tracking.history.cameras import DOWN_AFTER, camera_changes
from tracking.history.database import Database, database_url
from tracking.history.schema import (
    KNOWN_FLOOR,
    SPANS,
    WAITING,
    alerts,
    batches,
    camera_failures,
    delivered,
    events,
    longest_of,
    messages,
    mutes,
    positions,
    tracks,
)
from tracking.history.slots import schedule_step, scheduled_slots
from tracking.history.sql import earlier, epoch, later, seconds
from tracking.history.types import (
    LATE_S,
    Batch,
    BatchOutcome,
    CameraChange,
    Dwell,
    Gap,
    GapOutcome,
    HistoryEvent,
    Mark,
    MarkKind,
    Observed,
    Stay,
)
from tracking.history.writing import HistoryWriter, upsert
from tracking.types import EventKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of the schedule's step: tracked slots that lie further apart were not observed in between.
_LONGEST_STEPS = 3
# The same where no bay's file says what its step is.
_FOLLOWING = _LONGEST_STEPS * timedelta(minutes=10)
# In the order of the fields of `Stay` and `HistoryEvent`.
_STAY: tuple[sa.ColumnElement[Any], ...] = (
    positions.c.track_id,
    positions.c.since,
    positions.c.until,
    positions.c.standing_since,
    positions.c.last_seen,
    positions.c.hits - positions.c.hits_before,
    positions.c.status,
    positions.c.class_name,
    positions.c.area,
    positions.c.stage,
    positions.c.height_m,
    positions.c.position_std_m,
    positions.c.confidence,
    positions.c.footprint,
)
_STAY_FIELDS = tuple(field.name for field in fields(Stay))
_EVENT: tuple[sa.ColumnElement[Any], ...] = tuple(events.c[field] for field in HistoryEvent._fields)
_OF_CAPTURE = ("cameras", "reported", "lateness_s", "spread_s")
_EXPORTED = {
    tracks: ("class_name", "first_seen", "recorded", "exited_at"),
    positions: tuple(column.name for column in positions.c if column.name not in ("bay_id", "track_id", "since")),
    events: tuple(column.name for column in events.c if column.name not in ("bay_id", "slot", "number")),
}


class History:
    """Answers, and the way to write. Nothing is opened before the first question.

    Questions with a time take aware datetimes; answers are UTC. A question without one asks
    about the newest slot that was tracked. Of a time that no slot was tracked of, nothing is
    known: that is a `NotObservedError` and never an empty answer. `tracking.history.coverage`
    says how much of a period, or how old, an answer is.

    Args:
        url: see `tracking.history.database.Database`.
    """

    def __init__(self, url: str) -> None:
        self.database = Database(url)

    @classmethod
    def at(cls, data_root: Path | str) -> Self:
        """The history of this host's environment: `HISTORY_DB`, or SQLite under the data root."""
        return cls(database_url(Path(data_root)))

    def close(self) -> None:
        """Close the database's connections."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- where blocks stand ------------------------------------------------------------------------

    def where(self, bay_id: str, track_id: str, at: datetime | None = None) -> Stay | None:
        """Where a block stands (or stood at a time), and since when.

        Returns:
            None where it was not in the bay: not yet, not any more.

        Raises:
            HistoryError: the history has no such track, or nothing of the bay; the time is naive.
            NotObservedError: the bay was not observed yet at that time, or it lies in the future.
        """
        refuse_naive(at=at)
        asked = sa.select(*_STAY).where(positions.c.bay_id == bay_id, positions.c.track_id == track_id)
        if at is None:
            asked = asked.where(positions.c.until.is_(None))
        else:
            over_later = sa.or_(positions.c.until.is_(None), positions.c.until > at)
            asked = asked.where(positions.c.since <= at, over_later)
        with self.database.reading() as connection:
            self._refuse_future(connection, bay_id, at)
            found = _read_stays(connection, asked)
            if not found:
                self._refuse_unknown(connection, bay_id, track_id)
                self._refuse_before_first(connection, bay_id, at)
            return found[0] if found else None

    def stays(self, bay_id: str, track_id: str) -> list[Stay]:
        """All stays of a block, from its first to its latest.

        Raises:
            HistoryError: the history has no such track, or nothing of the bay.
        """
        of_track = sa.and_(positions.c.bay_id == bay_id, positions.c.track_id == track_id)
        asked = sa.select(*_STAY).where(of_track).order_by(positions.c.since)
        with self.database.reading() as connection:
            self._refuse_unknown(connection, bay_id, track_id)
            return _read_stays(connection, asked)

    def standing(self, bay_id: str, areas: Collection[str] = (), at: datetime | None = None) -> list[Stay]:
        """What stands (or stood at a time) in some areas, or in the whole bay, in order of track.

        A block is named by the smallest area that holds it; an area that is asked for is meant
        with those within it.

        Raises:
            HistoryError: the history has nothing of the bay, the bay no such area; the time is naive.
            NotObservedError: the bay was not observed yet at that time, or it lies in the future.
        """
        refuse_naive(at=at)
        values: dict[str, Any] = {"bay_id": bay_id}
        if areas:
            values["areas"] = _with_nested(bay_id, areas)
        if at is not None:
            values |= {"at": at, **ended_after(at)}
        with self.database.reading() as connection:
            self._refuse_future(connection, bay_id, at)
            found = _read_stays(connection, _standing(then=at is not None, in_areas=bool(areas)), values)
            if not found:
                self._newest_slot(connection, bay_id)
                self._refuse_before_first(connection, bay_id, at)
        return sorted(found, key=lambda stay: stay.track_id)

    # -- what happened -----------------------------------------------------------------------------

    def events(
        self,
        bay_id: str,
        start: datetime,
        end: datetime,
        *,
        kinds: Collection[str] = (),
        track_id: str | None = None,
        areas: Collection[str] = (),
    ) -> list[HistoryEvent]:
        """Events whose time lies within [start, end), in order of time.

        Args:
            bay_id: the bay.
            start: begin of the period (aware).
            end: its end (aware).
            kinds: of these kinds only; all kinds when empty.
            track_id: of this block only, also as one of the further blocks of a split or merger.
            areas: from or to one of these areas only, and those within them; all when empty.

        Raises:
            HistoryError: the history has nothing of the bay, the bay no such area or block; there is no such kind;
                a time is naive.
            NotObservedError: no slot of the period was tracked, and nothing is known to have happened in it.
        """
        check_period(start, end)
        _refuse_unknown_kinds(kinds)
        asked = sa.select(*_EVENT).where(events.c.bay_id == bay_id, events.c.time >= start, events.c.time < end)
        if kinds:
            asked = asked.where(events.c.kind.in_(sorted(kinds)))
        if track_id is not None:
            named = sa.and_(events.c.others.is_not(None), events.c.others.contains(f'"{track_id}"', autoescape=True))
            asked = asked.where(sa.or_(events.c.track_id == track_id, named))
        if areas:
            names = _with_nested(bay_id, areas)
            asked = asked.where(sa.or_(events.c.from_area.in_(names), events.c.to_area.in_(names)))
        with self.database.reading() as connection:
            found = _read_events(connection, asked)
            if not found:
                if track_id is not None:
                    self._refuse_unknown(connection, bay_id, track_id)
                self.refuse_unobserved(connection, bay_id, start, end)
        return sorted(found, key=attrgetter("time", "track_id", "kind", "slot"))

    def event_counts(
        self,
        bay_id: str,
        start: datetime,
        end: datetime,
        *,
        without: Collection[tuple[str, str, datetime]] = (),
    ) -> dict[str, int]:
        """How many events of each kind have a time within [start, end).

        Args:
            bay_id: the bay.
            start: begin of the period (aware).
            end: its end (aware).
            without: events, by kind, track and time, that do not count.
        """
        check_period(start, end)
        asked = (
            sa.select(events.c.kind, sa.func.count())
            .where(events.c.bay_id == bay_id, events.c.time >= start, events.c.time < end)
            .group_by(events.c.kind)
            .order_by(events.c.kind)
        )
        if without:
            identity = sa.tuple_(events.c.kind, events.c.track_id, events.c.time)
            asked = asked.where(identity.not_in(sorted(without)))
        with self.database.reading() as connection:
            return dict(connection.execute(asked).all())

    def events_of_slots(self, bay_id: str, start: datetime, end: datetime) -> list[HistoryEvent]:
        """Events that the slots of [start, end) made certain, in the tracker's own order."""
        check_period(start, end)
        asked = (
            sa.select(*_EVENT)
            .where(events.c.bay_id == bay_id, events.c.slot >= start, events.c.slot < end)
            .order_by(events.c.slot, events.c.number)
        )
        with self.database.reading() as connection:
            return _read_events(connection, asked)

    def dwell(self, bay_id: str, start: datetime, end: datetime) -> list[Dwell]:
        """How long blocks stood in each area at each stage within [start, end), longest in all first.

        A stay that lasts counts up to the newest slot that was tracked. Which stays are whole is told as if all of the
        period had been observed; `observed_dwell` looks at that.

        Raises:
            HistoryError: the history has nothing of the bay; a time is naive.
            NotObservedError: no slot of the period was tracked.
        """
        check_period(start, end)
        with self.database.reading() as connection:
            known = min(end, self._newest_slot(connection, bay_id))
            within = seconds(
                later(positions.c.since, sa.literal(start, positions.c.since.type)),
                earlier(positions.c.until, sa.literal(known, positions.c.since.type)),
            ).label("within")
            # One that begins with the period may have begun before what was seen.
            is_whole = sa.and_(positions.c.since > start, positions.c.until <= known)
            whole = sa.case((is_whole, 1), else_=0).label("whole")
            columns = (positions.c.area, positions.c.stage, positions.c.track_id, within, whole)
            there = (positions.c.bay_id == bay_id, positions.c.since < known)
            stays = overlapping(columns, *there).subquery()
            place = (stays.c.area, stays.c.stage)
            # First by block: to count different blocks otherwise takes a sort of every stay.
            blocks = (
                sa.select(
                    *place,
                    sa.func.count().label("stays"),
                    sa.func.sum(stays.c.within).label("total"),
                    sa.func.max(stays.c.within).label("longest"),
                    sa.func.sum(stays.c.whole).label("whole"),
                    sa.func.sum(stays.c.whole * stays.c.within).label("whole_total"),
                )
                .group_by(*place, stays.c.track_id)
                .subquery()
            )
            total = sa.func.sum(blocks.c.total)
            asked = (
                sa.select(
                    blocks.c.area,
                    blocks.c.stage,
                    sa.func.count(),
                    sa.func.sum(blocks.c.stays),
                    total,
                    sa.func.max(blocks.c.longest),
                    sa.func.sum(blocks.c.whole),
                    sa.func.sum(blocks.c.whole_total),
                )
                .group_by(blocks.c.area, blocks.c.stage)
                .order_by(total.desc(), blocks.c.area, blocks.c.stage)
            )
            rows = connection.execute(asked, ended_after(start)).all() if start < known else []
            if not rows:
                self.refuse_unobserved(connection, bay_id, start, end)
        return [
            Dwell(area, stage, count, int(many), _length(all_), _length(longest), int(whole), _length(whole_total))
            for area, stage, count, many, all_, longest, whole, whole_total in rows
        ]

    def observed_dwell(self, bay: BayConfig, start: datetime, end: datetime) -> Observed:
        """How long blocks were seen standing: time between tracked slots that do not follow one another does not count.

        Two tracked slots follow one another where they lie at most `_LONGEST_STEPS` of the
        schedule's steps apart: a slot that failed interrupts nothing, a closed night does.

        Raises:
            HistoryError: the history has nothing of the bay; a time is naive.
            NotObservedError: no slot of the period was tracked.
        """
        check_period(start, end)
        with self.database.reading() as connection:
            self.refuse_unobserved(connection, bay.bay_id, start, end)
            known = min(end, self._newest_slot(connection, bay.bay_id))
            observed = _observed_time(connection, bay, start, known)
            if observed.whole == known - start:
                return Observed(tuple(self.dwell(bay.bay_id, start, end)), observed.whole, known - start)
            stays = connection.execute(_stays_within(bay.bay_id, start, known), ended_after(start)).all()
        return Observed(tuple(_dwell_of(stays, observed)), observed.whole, known - start)

    def observed_time(self, bay: BayConfig, start: datetime, end: datetime) -> "ObservedTime":
        """When the bay was observed within [start, end): none of it where no slot was tracked.

        Raises:
            HistoryError: the history has nothing of the bay.
        """
        with self.database.reading() as connection:
            known = min(end, self._newest_slot(connection, bay.bay_id))
            return _observed_time(connection, bay, min(start, known), known)

    # -- what is missing ---------------------------------------------------------------------------

    def gaps(self, bay: BayConfig, start: datetime, end: datetime) -> list[Gap]:
        """Slots of the bay's schedule within [start, end) that were not tracked, and why, in order.

        A slot without a record is *closed* where the bay's operating hours and skip
        windows (as its file has them today) say so, and *not run* otherwise. Slots before the first one that the
        history has of the bay are not missing: it did not run yet.

        Raises:
            HistoryError: a time is naive.
        """
        check_period(start, end)
        within = sa.and_(batches.c.bay_id == bay.bay_id, batches.c.slot >= start, batches.c.slot < end)
        stopped = sa.select(batches.c.slot, batches.c.outcome, batches.c.reason).where(within, sa.not_(KNOWN_FLOOR))
        with self.database.reading() as connection:
            gaps = [Gap(*row) for row in connection.execute(stopped)]
            known = set(connection.execute(sa.select(epoch(batches.c.slot)).where(within)).scalars().all())
        first = self.first_slot(bay.bay_id)
        slots = list(scheduled_slots(bay, start if first is None else max(start, first), end))
        for slot, time in zip(slots, map(datetime.timestamp, slots), strict=True):
            if time not in known:
                closed = bay.closed(slot)
                outcome, reason = (GapOutcome.CLOSED, closed) if closed else (GapOutcome.NOT_RUN, "no run was recorded")
                gaps.append(Gap(slot, outcome.value, reason))
        return sorted(gaps, key=lambda gap: gap.slot)

    def marks(self, bay_id: str, start: datetime, end: datetime) -> list[Mark]:
        """What is to be known of tracked slots within [start, end), in order: late frames, seams."""
        marked = sa.or_(batches.c.seam.is_not(None), batches.c.lateness_s >= LATE_S, batches.c.spread_s >= LATE_S)
        asked = (
            sa.select(batches.c.slot, batches.c.lateness_s, batches.c.spread_s, batches.c.seam)
            .where(batches.c.bay_id == bay_id, batches.c.slot >= start, batches.c.slot < end, marked)
            .order_by(batches.c.slot)
        )
        marks = []
        with self.database.reading() as connection:
            for slot, lateness_s, spread_s, seam in connection.execute(asked):
                if (lateness_s or 0) >= LATE_S:
                    marks.append(Mark(slot, MarkKind.LATE, f"frames taken {_minutes(lateness_s)} after the slot"))
                if (spread_s or 0) >= LATE_S:
                    marks.append(Mark(slot, MarkKind.APART, f"frames taken over {_minutes(spread_s)}"))
                if seam is not None:
                    marks.append(Mark(slot, MarkKind.SEAM, seam))
        return marks

    def batches(self, bay_id: str, start: datetime, end: datetime) -> list[Batch]:
        """What became of every slot of [start, end) that has a record, in order, with its cameras."""
        check_period(start, end)
        with self.database.reading() as connection:
            return _batches(connection, bay_id, batches.c.slot >= start, batches.c.slot < end)

    def camera_changes(
        self, bay_id: str, start: datetime, end: datetime, down_after: int = DOWN_AFTER
    ) -> list[CameraChange]:
        """Cameras that went down or came back in slots of [start, end), see `camera_changes`."""
        check_period(start, end)
        with self.database.reading() as connection:
            lead = (
                sa.select(batches.c.slot)
                .where(batches.c.bay_id == bay_id, batches.c.slot < start, batches.c.cameras.is_not(None))
                .order_by(batches.c.slot.desc())
                .limit(down_after)
            )
            first = min(connection.execute(lead).scalars(), default=start)
            captured = _batches(connection, bay_id, batches.c.slot >= first, batches.c.slot < end)
        return [change for change in camera_changes(captured, down_after) if change.slot >= start]

    def first_slot(self, bay_id: str) -> datetime | None:
        """The first slot (aware, UTC) of which there is a record, whatever became of it; None where there is none."""
        asked = sa.select(sa.func.min(batches.c.slot)).where(batches.c.bay_id == bay_id)
        with self.database.reading() as connection:
            first: datetime | None = connection.execute(asked).scalar()
        return first

    def newest_slot(self, bay_id: str) -> datetime:
        """The newest slot that was tracked.

        Raises:
            HistoryError: the history has nothing of the bay.
        """
        with self.database.reading() as connection:
            return self._newest_slot(connection, bay_id)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Questions within see one state of the history, in one transaction, of which begin and end are paid for once.

        Raises:
            NotObservedError: nothing was written yet.
            HistoryUnavailableError: the database cannot be used.
        """
        with self.database.together():
            yield

    # -- writing -----------------------------------------------------------------------------------

    @contextmanager
    def writer(self, bay_id: str) -> Iterator[HistoryWriter]:
        """Write a bay, alone (see `Database.exclusive` for the lock)."""
        with self.database.exclusive(bay_id) as connection:
            yield HistoryWriter(connection, bay_id)

    def record(
        self,
        bay_id: str,
        slot: datetime,
        outcome: BatchOutcome,
        reason: str = "",
        *,
        cameras: Collection[str] | None = None,
        failures: Mapping[str, str] | None = None,
        lateness_s: float | None = None,
        spread_s: float | None = None,
        only_new: bool = False,
    ) -> None:
        """Record how far a slot's batch came. What was tracked stays tracked.

        Args:
            bay_id: the bay.
            slot: the slot (aware).
            outcome: how the stage ended.
            reason: why, for a person.
            cameras: those that gave a frame, from the capture itself; None from any later stage.
            failures: why the others did not, by name.
            lateness_s: how long after the slot its frames were taken, seconds; None where not known.
            spread_s: how far its frames are apart, seconds; None where not known.
            only_new: leave a slot that has a record as it is.
        """
        row = {"bay_id": bay_id, "slot": slot, "outcome": outcome.value, "reason": reason, "reported": False}
        with self.database.writing() as connection, connection.begin():
            if cameras is not None:
                row |= {"cameras": json.dumps(sorted(cameras)), "reported": True}
                row |= {"lateness_s": lateness_s, "spread_s": spread_s}
                _write_failures(connection, bay_id, slot, failures or {})
            of_slot = sa.and_(batches.c.bay_id == bay_id, batches.c.slot == slot)
            asked = sa.select(batches.c.sha256, batches.c.reported, batches.c.outcome).where(of_slot)
            if sa_row := connection.execute(asked).first():
                if only_new or sa_row.outcome == BatchOutcome.WITHDRAWN:
                    return
                changed = {name: row[name] for name in _OF_CAPTURE if row.get("cameras") is not None}
                if sa_row.sha256 is None:
                    changed |= {"outcome": row["outcome"], "reason": reason}
                if changed:
                    connection.execute(batches.update().where(of_slot).values(changed))
            else:
                upsert(connection, batches, [row])

    def slots_of(
        self, bay_id: str, outcomes: Collection[BatchOutcome], since: datetime, until: datetime
    ) -> list[datetime]:
        """Slots (aware, UTC) of [since, until) whose batch came exactly so far and is not tracked, in order."""
        asked = (
            sa.select(batches.c.slot)
            .where(batches.c.bay_id == bay_id, batches.c.slot >= since, batches.c.slot < until)
            .where(batches.c.sha256.is_(None), batches.c.outcome.in_(sorted(one.value for one in outcomes)))
            .order_by(batches.c.slot)
        )
        with self.database.reading() as connection:
            return list(connection.execute(asked).scalars())

    def prune(self, before: datetime, bay_id: str | None = None, *, dry_run: bool = False) -> dict[str, int]:
        """Delete what lies before a time, of one bay or all: rows deleted, by table.

        What stands now stays, and so does a bay's newest tracked slot, from which the next one goes on.

        Args:
            before: the time (aware).
            bay_id: of this bay only; of all when None.
            dry_run: delete nothing, and count what would be.
        """
        deleted: dict[str, int] = {}
        newest = (
            sa.select(sa.func.max(batches.c.slot).label("slot"), batches.c.bay_id)
            .where(batches.c.sha256.is_not(None))
            .group_by(batches.c.bay_id)
            .subquery()
        )
        is_newest = sa.exists().where(newest.c.bay_id == batches.c.bay_id, newest.c.slot == batches.c.slot)
        old = {
            positions: positions.c.until < before,
            tracks: tracks.c.exited_at < before,
            events: sa.and_(events.c.slot < before, events.c.time < before),
            camera_failures: camera_failures.c.slot < before,
            delivered: delivered.c.slot < before,
            alerts: alerts.c.until < before,
            messages: sa.and_(messages.c.entered < before, sa.not_(WAITING)),
            mutes: mutes.c.until < before,
            batches: sa.and_(batches.c.slot < before, sa.not_(is_newest)),
        }
        with self.database.writing() as connection, connection.begin():
            for table, condition in old.items():
                chosen = sa.and_(condition, sa.true() if bay_id is None else table.c.bay_id == bay_id)
                if dry_run:
                    counted = sa.select(sa.func.count()).select_from(table).where(chosen)
                    deleted[table.name] = int(connection.execute(counted).scalar() or 0)
                else:
                    deleted[table.name] = connection.execute(table.delete().where(chosen)).rowcount
        return deleted

    def export(self, bay_id: str) -> Iterator[str]:
        """All that tracking wrote of a bay, a JSON document a line, in the order of their keys.

        Equal histories have equal exports, byte for byte, whatever order their batches came in.
        """
        with self.database.reading() as connection:
            for table, values in _EXPORTED.items():
                keys = [column for column in table.primary_key if column.name != "bay_id"]
                asked = sa.select(table).where(table.c.bay_id == bay_id).order_by(*keys)
                for row in connection.execute(asked).mappings():
                    yield _line(table.name, {name: row[name] for name in (*(key.name for key in keys), *values)})
            for batch in _batches(connection, bay_id, batches.c.sha256.is_not(None)):
                yield _line(
                    batches.name,
                    {"slot": batch.slot, "sha256": batch.sha256, "failures": sorted(batch.failures)},
                )

    # -- inside ------------------------------------------------------------------------------------

    def _newest_slot(self, connection: Connection, bay_id: str) -> datetime:
        asked = (
            sa.select(batches.c.slot)
            .where(batches.c.bay_id == bay_id, KNOWN_FLOOR)
            .order_by(batches.c.slot.desc())
            .limit(1)
        )
        newest: datetime | None = connection.execute(asked).scalar()
        if newest is None:
            raise NotObservedError(f"no history yet of bay {bay_id} in {self.database.location}: no batch was tracked")
        return newest

    def _refuse_before_first(self, connection: Connection, bay_id: str, at: datetime | None) -> None:
        """Before the first tracked slot nothing is known."""
        if at is None:
            return
        tracked = sa.and_(batches.c.bay_id == bay_id, KNOWN_FLOOR)
        first = connection.execute(sa.select(sa.func.min(batches.c.slot)).where(tracked)).scalar()
        if first is not None and at < first:
            raise NotObservedError(
                f"bay {bay_id} was not observed at {at:%Y-%m-%d %H:%M %Z}:"
                f" its history begins at {first.astimezone(at.tzinfo):%Y-%m-%d %H:%M %Z}"
            )

    def _refuse_future(self, connection: Connection, bay_id: str, at: datetime | None) -> None:
        """Of a moment after now nothing is known, but for slots that a simulated clock brings."""
        now = datetime.now(UTC)
        if at is not None and at > now:
            refuse_after(bay_id, at, max(now, self._newest_slot(connection, bay_id)))

    def refuse_unobserved(self, connection: Connection, bay_id: str, start: datetime, end: datetime) -> None:
        """A period of which no slot was tracked is not known; one between two slots that follow one another is."""
        newest = self._newest_slot(connection, bay_id)
        tracked = sa.and_(batches.c.bay_id == bay_id, KNOWN_FLOOR)
        around = sa.and_(batches.c.slot >= start - _FOLLOWING, batches.c.slot < end + _FOLLOWING)
        near: list[datetime] = list(connection.execute(sa.select(batches.c.slot).where(tracked, around)).scalars())
        before = [slot for slot in near if slot < start]
        after = [slot for slot in near if slot >= end]
        follow = before and after and min(after) - max(before) <= _FOLLOWING
        if len(before) + len(after) == len(near) and not follow:
            begin = start.astimezone(end.tzinfo)
            raise NotObservedError(
                f"bay {bay_id}: no slot from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M %Z} was tracked,"
                f" so that it is not known what happened; the newest tracked slot is"
                f" {newest.astimezone(end.tzinfo):%Y-%m-%d %H:%M %Z}"
                f" (`bay-observation history gaps {bay_id}` says what is missing)"
            )

    def _refuse_unknown(self, connection: Connection, bay_id: str, track_id: str) -> None:
        asked = sa.select(tracks.c.track_id).where(tracks.c.bay_id == bay_id, tracks.c.track_id == track_id)
        if connection.execute(asked).first() is None:
            self._newest_slot(connection, bay_id)
            raise HistoryError(
                f"bay {bay_id} has no track {track_id}: `bay-observation history show {bay_id}` lists them"
            )


def check_period(start: datetime, end: datetime) -> None:
    """Refuse a period whose moments are not known, or that ends before it begins.

    Raises:
        QuestionError: it is one of these.
    """
    refuse_naive(start=start, end=end)
    if end < start:
        raise QuestionError(
            f"the period ends at {end.isoformat(sep=' ')}, before it begins at {start.isoformat(sep=' ')}"
        )


def refuse_after(bay_id: str, moment: datetime, now: datetime) -> None:
    """Nothing is known of the future; it is told in the moment's own zone.

    Raises:
        NotObservedError: the moment lies there.
    """
    if moment > now:
        raise NotObservedError(
            f"bay {bay_id}: {moment:%Y-%m-%d %H:%M %Z} lies in the future, of which nothing is known: now it is"
            f" {now.astimezone(moment.tzinfo):%Y-%m-%d %H:%M %Z}"
        )


def refuse_naive(**times: datetime | None) -> None:
    """Refuse a time without its zone, by the name of its argument.

    Raises:
        QuestionError: one has none.
    """
    for name, time in times.items():
        if time is not None and time.tzinfo is None:
            raise QuestionError(
                f"{name} {time.isoformat(sep=' ')} has no time zone, so that its moment is not known:"
                " give an aware datetime, as datetime(2025, 7, 2, 7, 10, tzinfo=UTC)"
            )


def _refuse_unknown_kinds(kinds: Collection[str]) -> None:
    known = [kind.value for kind in EventKind]
    for kind in kinds:
        if kind not in known:
            near = get_close_matches(kind, known, 1, 0.5)
            meant = f"did you mean {near[0]}? " if near else ""
            raise QuestionError(f"there is no kind of event {kind!r}: {meant}kinds are {', '.join(known)}")


def _with_nested(bay_id: str, areas: Collection[str]) -> list[str]:
    """Areas and those within them, by the bay's file; as they are named on a host that has no such file."""
    areas = (areas,) if isinstance(areas, str) else areas  # not its letters
    try:
        bay = load_bay(bay_id)
    except ConfigError:
        return sorted(areas)
    return sorted({name for area in areas for name in nested_areas(bay, area)})


def nested_areas(bay: BayConfig, area: str) -> list[str]:
    """An area and those that lie within it: a block is named by the smallest that holds it.

    Raises:
        QuestionError: the bay has no such area.
    """
    areas = bay.layout.areas
    if area not in areas:
        raise QuestionError(f"bay {bay.bay_id} has no area {area}; it has {', '.join(areas)}")
    outer = areas[area]
    return [
        name
        for name, inner in areas.items()
        if outer.x[0] <= inner.x[0]
        and inner.x[1] <= outer.x[1]
        and outer.y[0] <= inner.y[0]
        and inner.y[1] <= outer.y[1]
    ]


@cache
def _standing(*, then: bool, in_areas: bool) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """Stays that last, or those that lasted at a time, of a bay or of some of its areas.

    Made once: it takes as long as the answer. Its values are `bay_id`, `areas`, `at` and what `ended_after` gives.
    """
    conditions = [positions.c.bay_id == sa.bindparam("bay_id")]
    conditions += [positions.c.area.in_(sa.bindparam("areas", expanding=True))] if in_areas else []
    if not then:
        return _lasting(_STAY).where(*conditions)
    begun = positions.c.since <= sa.bindparam("at", type_=positions.c.since.type)
    return overlapping(_STAY, begun, *conditions)


def overlapping(
    columns: Sequence[sa.ColumnElement[Any]], *conditions: sa.ColumnElement[bool]
) -> sa.CompoundSelect[Any]:
    """Stays that last, and those that ended after a time: ask with the values of `ended_after`.

    A stay of span k that ended after a time began no earlier than 2^k slots before it. Each span is thereby one short
    range of an index of (bay, span, begin), and is asked for by itself: of a join with the ranges, or of a list of them
    with OR, PostgreSQL cannot tell how short they are, and reads every stay of the bay.
    """
    after = sa.bindparam("after", type_=positions.c.until.type)
    spans = [
        sa.select(*columns).where(
            positions.c.span == sa.literal_column(str(span)),
            positions.c.since > sa.bindparam(f"begun_after_{span}", type_=positions.c.since.type),
            positions.c.until > after,
            *conditions,
        )
        for span in range(SPANS)
    ]
    return sa.union_all(_lasting(columns).where(*conditions), *spans)


def _lasting(columns: Sequence[sa.ColumnElement[Any]]) -> sa.Select[Any]:
    """Stays that last. They have no span: said here, so that the index of spans finds them in one range too."""
    return sa.select(*columns).where(positions.c.until.is_(None), positions.c.span.is_(None))


def ended_after(time: datetime) -> dict[str, datetime]:
    """The values with which `overlapping` finds the stays that ended after a time."""
    return {"after": time, **{f"begun_after_{span}": time - longest_of(span) for span in range(SPANS)}}


@dataclass(frozen=True)
class ObservedTime:
    """Periods that were observed, as seconds since 1970: `begins[i]` to `ends[i]`, in order."""

    begins: "NDArray[np.float64]"
    ends: "NDArray[np.float64]"

    @property
    def whole(self) -> timedelta:
        """All of them together."""
        return timedelta(seconds=float(np.sum(self.ends - self.begins)))

    def within(self, since: "NDArray[np.float64]", until: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """Observed seconds of each period from `since` to `until`, (N,)."""
        return self._before(until) - self._before(since)

    def _before(self, times: "NDArray[np.float64]") -> "NDArray[np.float64]":
        lengths = np.concatenate([[0.0], np.cumsum(self.ends - self.begins)])
        index = np.searchsorted(self.begins, times, side="right")
        if not len(self.begins):
            return np.zeros(len(times))
        last = np.maximum(index - 1, 0)
        beyond = np.maximum(0.0, self.ends[last] - np.maximum(times, self.begins[last]))
        return np.where(index > 0, lengths[index] - beyond, 0.0)


def _observed_time(connection: Connection, bay: BayConfig, start: datetime, known: datetime) -> ObservedTime:
    """What was observed of [start, known): `known` is a tracked slot, or lies before the newest one."""
    tracked = sa.and_(batches.c.bay_id == bay.bay_id, KNOWN_FLOOR)
    before = sa.select(sa.func.max(batches.c.slot)).where(tracked, batches.c.slot <= start)
    after = sa.select(sa.func.min(batches.c.slot)).where(tracked, batches.c.slot >= known)
    first, last = connection.execute(before).scalar() or start, connection.execute(after).scalar() or known
    asked = (
        sa.select(epoch(batches.c.slot)).where(tracked, batches.c.slot.between(first, last)).order_by(batches.c.slot)
    )
    slots = np.array(connection.execute(asked).scalars().all(), dtype=float)
    follows = np.diff(slots) <= _LONGEST_STEPS * schedule_step(bay, known).total_seconds()
    begins = np.maximum(slots[:-1][follows], start.timestamp())
    ends = np.minimum(slots[1:][follows], known.timestamp())
    return ObservedTime(begins, ends)


def _stays_within(bay_id: str, start: datetime, known: datetime) -> sa.CompoundSelect[Any]:
    columns = (
        positions.c.area,
        positions.c.stage,
        positions.c.track_id,
        epoch(later(positions.c.since, sa.literal(start, positions.c.since.type))),
        epoch(earlier(positions.c.until, sa.literal(known, positions.c.since.type))),
        sa.case((sa.and_(positions.c.since > start, positions.c.until <= known), 1), else_=0),
    )
    return overlapping(columns, positions.c.bay_id == bay_id, positions.c.since < known)


def _dwell_of(stays: Sequence[Any], observed: ObservedTime) -> list[Dwell]:
    """Dwell of stays (area, stage, track id, since, until, within the period), as far as they were observed."""
    since, until = (np.array([stay[column] for stay in stays], dtype=float) for column in (3, 4))
    lengths = observed.within(since, until)
    # Whole is one whose begin was seen, too: a moment before it the bay was observed.
    seen = np.abs(observed.within(since - 1.0, until) - (until - since + 1.0)) < 0.5
    of_place: dict[tuple[str, str | None], list[tuple[str, float, bool]]] = {}
    for (area, stage, track_id, _, _, is_within), length, is_seen in zip(stays, lengths, seen, strict=True):
        if length > 0:
            of_place.setdefault((area, stage), []).append((track_id, float(length), bool(is_within and is_seen)))
    found = [
        Dwell(
            area,
            stage,
            len({track_id for track_id, _, _ in several}),
            len(several),
            _length(sum(length for _, length, _ in several)),
            _length(max(length for _, length, _ in several)),
            sum(whole for _, _, whole in several),
            _length(sum(length for _, length, whole in several if whole)),
        )
        for (area, stage), several in of_place.items()
    ]
    return sorted(found, key=lambda one: (-one.total, one.area, one.stage or ""))


def _length(seconds_: float) -> timedelta:
    return timedelta(seconds=float(seconds_))


def _minutes(seconds_: float) -> str:
    return f"{int(seconds_) // 60}:{int(seconds_) % 60:02d} min"


def _read_stays(
    connection: Connection,
    asked: sa.Select[Any] | sa.CompoundSelect[Any],
    values: Mapping[str, Any] = MappingProxyType({}),
) -> list[Stay]:
    rows: Sequence[Any] = connection.execute(asked, values).all()
    outlines = shapely.from_wkb([row[-1] for row in rows])
    return [_stay(row, outline) for row, outline in zip(rows, outlines, strict=True)]


def _stay(row: Sequence[Any], outline: shapely.Polygon) -> Stay:
    """A stay of a row. A frozen dataclass sets each field with a call, and a day has thousands of stays."""
    stay = object.__new__(Stay)
    values = vars(stay)
    values.update(zip(_STAY_FIELDS, row, strict=True))
    values["footprint"] = outline
    return stay


def _read_events(connection: Connection, asked: sa.Select[Any]) -> list[HistoryEvent]:
    rows: Sequence[Any] = connection.execute(asked).all()
    return [
        HistoryEvent(
            slot,
            kind,
            track_id,
            time,
            from_area,
            to_area,
            from_stage,
            to_stage,
            tuple(json.loads(others)) if others else (),
            json.loads(details) if details else {},
        )
        for slot, kind, track_id, time, from_area, to_area, from_stage, to_stage, others, details in rows
    ]


def _batches(connection: Connection, bay_id: str, *conditions: sa.ColumnElement[bool]) -> list[Batch]:
    asked = sa.select(batches).where(batches.c.bay_id == bay_id, *conditions).order_by(batches.c.slot)
    failed = (
        sa.select(camera_failures.c.slot, camera_failures.c.camera, camera_failures.c.reason)
        .join(
            batches,
            sa.and_(batches.c.bay_id == camera_failures.c.bay_id, batches.c.slot == camera_failures.c.slot),
        )
        .where(batches.c.bay_id == bay_id, *conditions)
    )
    failures: dict[datetime, dict[str, str]] = {}
    for slot, camera, reason in connection.execute(failed):
        failures.setdefault(slot, {})[camera] = reason
    return [
        Batch(
            slot=row["slot"],
            outcome=row["outcome"],
            reason=row["reason"],
            sha256=row["sha256"],
            track_count=row["track_count"],
            event_count=row["event_count"],
            cameras=tuple(json.loads(row["cameras"])) if row["cameras"] else (),
            failures=failures.get(row["slot"], {}),
        )
        for row in connection.execute(asked).mappings()
    ]


def _write_failures(connection: Connection, bay_id: str, slot: datetime, failures: Mapping[str, str]) -> None:
    of_slot = sa.and_(camera_failures.c.bay_id == bay_id, camera_failures.c.slot == slot)
    connection.execute(camera_failures.delete().where(of_slot))
    rows = [
        {"bay_id": bay_id, "slot": slot, "camera": camera, "reason": why} for camera, why in sorted(failures.items())
    ]
    upsert(connection, camera_failures, rows)


def _line(kind: str, values: Mapping[str, Any]) -> str:
    return json.dumps({"table": kind, **values}, default=_plain, sort_keys=True)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else bytes(value).hex()  # type: ignore[call-overload]
