"""Which notices a listener of a bay still has to get, and which it got already.

A *notice* is one thing that happened, as it is sent out: a tracker's event, or a camera
that went down or came back. A *listener* is one recipient of a bay.

Pending notices are a difference: what the history holds now, less what the listener got.
That one rule covers a batch that is run again (no difference), a delivery that failed or
died (the difference is still there when the next batch comes), and a late batch that
changed the history of later slots: what is new is sent, and what was sent and does not
hold any more is sent once more, as withdrawn.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bays import BayConfig
from tracking.history.history import History
from tracking.history.schema import delivered, listeners
from tracking.history.types import CameraChange, HistoryEvent
from tracking.history.writing import upsert

HORIZON = timedelta(days=1)
"""How far back from the newest slot notices are pending; older ones are not sent any more."""

_AN_INSTANT = timedelta(microseconds=1)
_TIMES = ("time", "slot", "after")
# Where so much lies between the slot that showed it and the one before, that it may have happened in between is said.
_A_WHILE = timedelta(minutes=30)
_NOT_ITS_IDENTITY = ("slot", "after", "withdrawn", "reason")


@dataclass(frozen=True)
class Notice:
    """One thing that happened, in plain values.

    Attributes:
        kind: of `bays.NOTICE_KINDS`.
        time: first slot that showed it (aware, UTC).
        slot: the slot that made it certain.
        track_id: the block; None for a camera.
        camera: the camera; None for a block.
        from_area, to_area, from_stage, to_stage: as in `tracking.TrackEvent`.
        others: track ids of the further blocks that were merged or split.
        after: the latest slot that showed it not to have happened yet, where others lie between it and `time`:
            a night, a closure, slots that gave no floor plan.
        reason: why a camera gave no frame, or a floor plan is doubted.
        withdrawn: it was sent, and does not hold any more: a late batch or a repeated stage changed the history.
    """

    kind: str
    time: datetime
    slot: datetime
    track_id: str | None = None
    camera: str | None = None
    from_area: str | None = None
    to_area: str | None = None
    from_stage: str | None = None
    to_stage: str | None = None
    others: tuple[str, ...] = field(default=())
    after: datetime | None = None
    reason: str = ""
    withdrawn: bool = False

    @property
    def key(self) -> str:
        """Its identity. Which slot made it certain does not count: a late batch may change that alone."""
        own = {name: value for name, value in self.to_dict().items() if name not in _NOT_ITS_IDENTITY}
        return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: times as ISO 8601 in UTC; what has no value is left out."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {name: values[name].isoformat() for name in _TIMES if values[name] is not None}
        values["others"] = list(self.others)
        return {name: value for name, value in values.items() if value not in (None, "", [], False)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Notice":
        """The notice that `to_dict` wrote."""
        times = {name: datetime.fromisoformat(values[name]) for name in _TIMES if name in values}
        return cls(**{**values, **times, "others": tuple(values.get("others", ()))})

    def to_text(self, bay: BayConfig) -> str:
        """One line for a person, by the bay's own clock."""
        words = [self._when(bay), self.kind, self.track_id or self.camera or ""]
        for name, before, after in (
            ("area", self.from_area, self.to_area),
            ("stage", self.from_stage, self.to_stage),
        ):
            if before != after and (before or after):
                words.append(f"{name} {before or '–'} → {after or '–'}")
        if self.others:
            words.append(f"with {', '.join(self.others)}")
        if self.reason:
            words.append(f"({self.reason})")
        return ("withdrawn: " if self.withdrawn else "") + " ".join(word for word in words if word)

    def _when(self, bay: BayConfig) -> str:
        time = self.time.astimezone(bay.zone)
        if self.after is None:
            return f"{time:%H:%M}"
        after = self.after.astimezone(bay.zone)
        return f"between {after:%H:%M}{'' if after.date() == time.date() else f' ({after:%d %b})'} and {time:%H:%M}"


def notices_of_slots(history: History, bay: BayConfig, start: datetime, end: datetime) -> list[Notice]:
    """All that slots of [start, end) made certain, in order of time.

    Raises:
        HistoryError: the history has nothing of the bay.
    """
    of_blocks = map(_of_block, history.events_of_slots(bay.bay_id, start, end))
    of_cameras = map(_of_camera, history.camera_changes(bay.bay_id, start, end, bay.camera_down_after))
    return sorted([*of_blocks, *of_cameras], key=_order)


def pending_notices(
    history: History, bay: BayConfig, listener: str, kinds: Collection[str], run: str | None = None
) -> list[Notice]:
    """Notices that a listener has to get now, in order of time; those to take back are `withdrawn`.

    A new listener gets notices from the newest slot on. What was made certain more than
    `HORIZON` before the newest slot is not sent any more.

    Args:
        history: of the bay, in which the batch is.
        bay: the bay.
        listener: its name.
        kinds: the kinds of notices that it wants.
        run: deliveries marked under this name do not count (see `mark_notified`).

    Raises:
        HistoryError: the history has nothing of the bay.
    """
    newest = history.newest_slot(bay.bay_id)
    start = max(_since(history, bay.bay_id, listener, newest), newest - HORIZON)
    now = {each.key: each for each in notices_of_slots(history, bay, start, newest + _AN_INSTANT) if each.kind in kinds}
    known = {each.key: each for each in _delivered(history, bay.bay_id, listener, start, run) if each.kind in kinds}
    new = [notice for key, notice in now.items() if key not in known]
    gone = [replace(notice, withdrawn=True) for key, notice in known.items() if key not in now]
    return sorted([*gone, *new], key=_order)


def mark_notified(history: History, bay_id: str, listener: str, notices: Iterable[Notice], run: str = "") -> None:
    """Record that a listener got its pending notices.

    Args:
        history: of the bay.
        bay_id: the bay.
        listener: its name.
        notices: what `pending_notices` returned.
        run: name of the run that delivers them, where the delivery is complete only with that run's
            success: if it has to try again, it delivers them again. Empty where it is complete now.
    """
    rows = delivery_rows(bay_id, listener, notices, run)
    with history.database.writing() as connection, connection.begin():
        upsert(connection, delivered, rows)


def delivery_rows(bay_id: str, listener: str, notices: Iterable[Notice], run: str = "") -> list[dict[str, Any]]:
    """Rows of `history_delivered`, as `mark_notified` writes them."""
    return [
        {
            "bay_id": bay_id,
            "listener": listener,
            "notice": notice.key,
            "slot": notice.slot,
            "content": json.dumps(replace(notice, withdrawn=False).to_dict(), sort_keys=True),
            "run": run,
            "withdrawn": notice.withdrawn,
        }
        for notice in notices
    ]


def _since(history: History, bay_id: str, listener: str, newest: datetime) -> datetime:
    """The first slot whose notices a listener gets; for a new listener the newest."""
    own = sa.and_(listeners.c.bay_id == bay_id, listeners.c.listener == listener)
    asked = sa.select(listeners.c.since).where(own)
    with history.database.reading() as connection:
        since: datetime | None = connection.execute(asked).scalar()
    if since is None:
        since = newest
        with history.database.writing() as connection, connection.begin():
            upsert(connection, listeners, [{"bay_id": bay_id, "listener": listener, "since": since}])
    return since


def _delivered(history: History, bay_id: str, listener: str, start: datetime, run: str | None) -> list[Notice]:
    of_listener = sa.and_(delivered.c.bay_id == bay_id, delivered.c.listener == listener)
    asked = sa.select(delivered).where(of_listener, delivered.c.slot >= start)
    with history.database.reading() as connection:
        rows = connection.execute(asked).mappings().all()
    # What an earlier try of this run marked does not count: its notices are pending again, and what it took
    # back stands as delivered.
    return [Notice.from_dict(json.loads(row["content"])) for row in rows if row["withdrawn"] == (row["run"] == run)]


def _of_block(event: HistoryEvent) -> Notice:
    return Notice(
        kind=event.kind,
        time=event.time,
        slot=event.slot,
        track_id=event.track_id or None,
        from_area=event.from_area,
        to_area=event.to_area,
        from_stage=event.from_stage,
        to_stage=event.to_stage,
        others=event.others,
        after=event.after if event.after is not None and event.time - event.after > _A_WHILE else None,
        reason=event.details.get("reason", ""),
    )


def _of_camera(change: CameraChange) -> Notice:
    return Notice(change.kind.value, change.time, change.slot, camera=change.camera, reason=change.reason)


def _order(notice: Notice) -> tuple[datetime, bool, str, str]:
    return (notice.time, not notice.withdrawn, notice.track_id or notice.camera or "", notice.kind)
