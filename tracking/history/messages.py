"""Messages to people: what is to be sent through which channel, and what was.

One row is one thing (an alert's start, its escalation, its end; an event, or that it does not hold any more) for one
channel of one route. The key makes the row unique: what is entered again finds it. Rows that are due for
one channel go out together, as one message with an identity of its own. A sender claims it first, sends, and
records it. A sender that dies in between leaves the claim to run out; the message is then sent again with
the same rows under the same identity, by which a receiver knows it.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from tracking.history.alerts import Alert
from tracking.history.history import History
from tracking.history.notifications import Notice, delivery_rows
from tracking.history.schema import WAITING, delivered, messages
from tracking.history.writing import upsert

CLAIM = timedelta(minutes=5)
"""For how long a sender has a message to itself. A channel that does not answer is given up far earlier."""

MOST_ATTEMPTS = 50
"""About a day. After that a message that no receiver takes is dropped."""

MOST_ITEMS = 100
"""Of one message; what is more goes into the next one."""

MUTED = "muted"
BEGAN, ENDED = "began", "ended"
"""Steps of an alert; `escalated-1` and further ones lie between."""

_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=30)


@dataclass(frozen=True)
class Entry:
    """One thing for one channel.

    Attributes:
        route: by which it goes.
        channel: to which.
        item: what it is about.
        step: which of its messages this is.
        bay_id: the bay; empty for the whole yard.
        content: what the message says, in plain values.
        due: not to be sent before (aware).
        muted: it is held back.
    """

    route: str
    channel: str
    item: str
    step: str
    bay_id: str
    content: dict[str, Any]
    due: datetime
    muted: bool = False


@dataclass(frozen=True)
class Outgoing:
    """What is sent as one message.

    Attributes:
        message: its identity, the same at every attempt.
        route, channel: where to.
        contents: of its entries, the earliest first.
        attempts: that were made before.
    """

    message: str
    route: str
    channel: str
    contents: tuple[dict[str, Any], ...]
    attempts: int


@dataclass(frozen=True)
class Backlog:
    """What waits to be sent: how much, and when the first of it was entered (aware; None where nothing waits)."""

    waiting: int
    oldest: datetime | None


def enter(history: History, entries: Iterable[Entry], now: datetime) -> int:
    """Enter what is to be sent; what was entered before stays as it is. Returns how many are new."""
    with history.database.writing() as connection, connection.begin():
        return _enter(connection, entries, now)


def enter_notices(
    history: History,
    bay_id: str,
    listener: str,
    notices: Sequence[Notice],
    *,
    entries: Iterable[Entry],
    now: datetime,
) -> int:
    """Enter a bay's pending notices and record, in the same transaction, that their listener has them.

    `entries` have an empty step: it is the number of times that the item was entered for the channel before, since what
    a late batch withdrew another one may bring back. What another service has entered meanwhile is left out.
    """
    with history.database.writing() as connection, connection.begin():
        of_listener = sa.and_(delivered.c.bay_id == bay_id, delivered.c.listener == listener)
        asked = sa.select(delivered.c.notice, delivered.c.withdrawn).where(of_listener)
        among = delivered.c.notice.in_([one.key for one in notices])
        has = {(notice, withdrawn) for notice, withdrawn in connection.execute(asked.where(among))}
        new = {item_of(bay_id, one) for one in notices if (one.key, one.withdrawn) not in has}
        numbered = [_numbered(connection, entry) for entry in entries if entry.item in new]
        upsert(connection, delivered, delivery_rows(bay_id, listener, notices))
        return _enter(connection, numbered, now)


def enter_end(history: History, alert: Alert, entries: Iterable[Entry], now: datetime) -> int:
    """Enter the end of an alert, for the channels that got its start.

    Where the start still waits (a quiet night, a digest), that message says the end as well, and is the only one.
    What is muted is not sent any more.
    """
    with history.database.writing() as connection, connection.begin():
        of_item = messages.c.item == alert.item
        rows = connection.execute(sa.select(messages).where(of_item).with_for_update()).mappings().all()
        for row in rows:
            if row["sent"] is None and row["dropped"] is None and row["message"] is None:
                assert alert.until is not None  # noqa: S101 - it has ended
                content = json.loads(row["content"]) | {"until": alert.until.isoformat()}
                connection.execute(messages.update().where(_is(row)).values(content=json.dumps(content)))
        known = {(row["route"], row["channel"]) for row in rows if row["sent"] or row["message"]}
        connection.execute(messages.update().where(of_item, messages.c.dropped == MUTED).values(dropped="ended muted"))
        return _enter(connection, [one for one in entries if (one.route, one.channel) in known], now)


def unmute(history: History, item: str, now: datetime) -> None:
    """Send what a mute held back of an item."""
    held = sa.and_(messages.c.item == item, messages.c.dropped == MUTED)
    with history.database.reading() as connection:
        if connection.execute(sa.select(sa.func.count()).select_from(messages).where(held)).scalar() == 0:
            return
    with history.database.writing() as connection, connection.begin():
        connection.execute(messages.update().where(held).values(dropped=None, due=now))


def claim_next(history: History, now: datetime) -> Outgoing | None:
    """The next message that is due, for this sender alone until its claim runs out; None where none is due."""
    free = sa.and_(
        WAITING, messages.c.due <= now, sa.or_(messages.c.claimed_until.is_(None), messages.c.claimed_until <= now)
    )
    ordered = (messages.c.due, messages.c.entered, messages.c.item, messages.c.step, messages.c.channel)
    with history.database.writing() as connection, connection.begin():
        chosen = sa.select(messages).where(free).order_by(*ordered).with_for_update(skip_locked=True)
        first = connection.execute(chosen.limit(1)).mappings().first()
        if first is None:
            return None
        together = sa.and_(
            free,
            messages.c.route == first["route"],
            messages.c.channel == first["channel"],
            messages.c.message.is_(None) if first["message"] is None else messages.c.message == first["message"],
        )
        whole = sa.select(messages).where(together).order_by(*ordered).with_for_update(skip_locked=True)
        rows = connection.execute(whole.limit(MOST_ITEMS)).mappings().all()
        message = first["message"] or _identity(rows)
        for row in rows:
            claimed = {"message": message, "claimed_until": now + CLAIM}
            connection.execute(messages.update().where(_is(row)).values(claimed))
    return Outgoing(
        message,
        first["route"],
        first["channel"],
        tuple(json.loads(row["content"]) for row in rows),
        first["attempts"],
    )


def mark_sent(history: History, message: str, now: datetime) -> None:
    """Record that a receiver has taken a message."""
    _mark(history, message, {"sent": now, "claimed_until": None})


def mark_failed(history: History, outgoing: Outgoing, now: datetime) -> None:
    """Record that no receiver has taken a message: it is tried later, and `MOST_ATTEMPTS` times at most."""
    wait = min(_FIRST_WAIT * 2 ** min(outgoing.attempts, 10), _LONGEST_WAIT)
    changes: dict[str, Any] = {"attempts": outgoing.attempts + 1, "claimed_until": None, "due": now + wait}
    if outgoing.attempts + 1 >= MOST_ATTEMPTS:
        changes["dropped"] = f"not taken in {MOST_ATTEMPTS} attempts"
    _mark(history, outgoing.message, changes)


def mark_dropped(history: History, message: str, reason: str) -> None:
    """Record that a message is not to be sent any more."""
    _mark(history, message, {"dropped": reason})


def item_of(bay_id: str, notice: Notice) -> str:
    """The key of an event among what messages are about."""
    return hashlib.sha256(f"{bay_id} {notice.key}".encode()).hexdigest()[:32]


def backlog(history: History, now: datetime) -> Backlog:
    """What is due and not sent."""
    late = sa.and_(WAITING, sa.or_(messages.c.due <= now, messages.c.attempts > 0))
    with history.database.reading() as connection:
        count, oldest = connection.execute(
            sa.select(sa.func.count(), sa.func.min(messages.c.entered)).where(late)
        ).one()
    return Backlog(count, oldest)


def _enter(connection: Connection, entries: Iterable[Entry], now: datetime) -> int:
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(messages)
    return sum(
        connection.execute(insert.values(_row(entry, now)).on_conflict_do_nothing()).rowcount for entry in entries
    )


def _row(entry: Entry, now: datetime) -> dict[str, Any]:
    return {
        "route": entry.route,
        "channel": entry.channel,
        "item": entry.item,
        "step": entry.step,
        "bay_id": entry.bay_id,
        "content": json.dumps(entry.content, sort_keys=True),
        "entered": now,
        "due": entry.due,
        "attempts": 0,
        "dropped": MUTED if entry.muted else None,
    }


def _numbered(connection: Connection, entry: Entry) -> Entry:
    of_item = (messages.c.route == entry.route, messages.c.channel == entry.channel, messages.c.item == entry.item)
    count = connection.execute(sa.select(sa.func.count()).select_from(messages).where(*of_item)).scalar()
    return Entry(**{**entry.__dict__, "step": str(count)})


def _mark(history: History, message: str, changes: dict[str, Any]) -> None:
    with history.database.writing() as connection, connection.begin():
        connection.execute(messages.update().where(messages.c.message == message, WAITING).values(changes))


def _is(row: RowMapping) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == row[column.name] for column in messages.primary_key))


def _identity(rows: Sequence[RowMapping]) -> str:
    keys = ["\0".join(row[column.name] for column in messages.primary_key) for row in rows]
    return hashlib.sha256("\1".join(sorted(keys)).encode()).hexdigest()[:32]
