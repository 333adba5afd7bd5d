"""Who owns a bay: its file says it, a key of the old Redis holds both sides to it, the history keeps who changed it.

The key has two values, old and new: in the shadow the old side publishes. It changes between two slots:
the slot in work is published by the side that has it, then the other side goes on with the next one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bay_observation.errors import ConfigError
from bays import BayConfig, Owner, load_bay
from bays.editing import read_text, with_owner, write_owner
from bays.loading import bay_file
from legacy.bridge import BridgeState
from legacy.connection import OldSide
from legacy.encoding import slot_text
from legacy.mapping import Mapping
from legacy.templates import OldNames
from tracking.history import History, scheduled_slots
from tracking.history.owners import OwnerChange, note_owner
from tracking.history.slots import schedule_step

_POLL_S = 1.0
_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class Change:
    """What a change of owner came to: `missed` is the slot in work that was not waited for, if there was one."""

    bay_id: str
    former: Owner
    owner: Owner
    last: str | None
    missed: str | None


def side_of(owner: Owner) -> str:
    """The value of the key: which side publishes."""
    return "new" if owner == "new" else "old"


def slot_in_work(bay: BayConfig, now: datetime) -> datetime | None:
    """The latest slot of the schedule in which the bay is open, until the next one begins; None where it is over."""
    step = schedule_step(bay, now)
    slots = [slot for slot in scheduled_slots(bay, now - step + _MOMENT, now + _MOMENT) if bay.closed(slot) is None]
    return slots[-1] if slots else None


class Ownership:
    """Changes the owner of a bay.

    Args:
        mapping: of the old system.
        history: for the record.
        old: the old Redis.
        publish: lets the bridge of a bay publish what is ready.
        clock: what time it is (aware).
        sleep: waits some seconds.
    """

    def __init__(
        self,
        mapping: Mapping,
        history: History,
        old: OldSide,
        *,
        publish: Callable[[BayConfig], BridgeState],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._mapping, self._history, self._old = mapping, history, old
        self._publish, self._clock, self._sleep = publish, clock, sleep
        self._names = OldNames(mapping)

    def change(self, bay_id: str, owner: Owner, author: str, reason: str, *, at_once: bool = False) -> Change:
        """Give a bay to another owner. Said again, it mends what a killed one left.

        Args:
            bay_id: the bay.
            owner: the new one.
            author: who does it.
            reason: why, for the record.
            at_once: do not wait for the slot in work, as when the side that has it is down.

        Raises:
            ConfigError: the bay's file or the mapping is wrong, or would be with this owner; nothing changes.
            LegacyRedisError: the old Redis does not answer; nothing changes.
            HistoryError: the history cannot be written; nothing changes.
        """
        bay = load_bay(bay_id)
        if bay.migration is None:
            raise ConfigError(
                f"{bay_file(bay_id)}: has no key migration: add it with the present owner, as migration: {{owner: old}}"
            )
        with_owner(read_text(bay_file(bay_id).resolve()), bay_id, owner)
        owner_key, last_key = (
            self._names.fill(key, bay_id) for key in (self._mapping.redis.owner_key, self._mapping.redis.last_key)
        )
        former, side = bay.migration.owner, side_of(owner)
        present = self._old.get(owner_key)
        missed = None
        if present is not None and present != side and not at_once:
            missed = self._wait_for_slot_in_work(bay, last_key)
        if former != owner or present != side:
            note_owner(self._history, bay_id, OwnerChange(self._clock(), owner, former, author, reason))
        if side == "new":
            before = slot_in_work(bay, self._clock()) or self._clock()
            self._old.call(lambda client: client.set(last_key, slot_text(before), nx=True))
        # The key last where the other side begins with it, so that it finds a file that says the same.
        write_owner(bay_id, owner)
        self._old.call(lambda client: client.set(owner_key, side))
        return Change(bay_id, former, owner, self._old.get(last_key), missed)

    def _wait_for_slot_in_work(self, bay: BayConfig, last_key: str) -> str | None:
        """Until the slot in work is published, or the next one begins: the slot, where it was not."""
        slot = slot_in_work(bay, self._clock())
        if slot is None:
            return None
        end = slot + schedule_step(bay, slot)
        while self._clock() < end:
            self._publish(bay)
            last = self._old.get(last_key)
            if last is not None and last >= slot_text(slot):
                return None
            self._sleep(_POLL_S)
        return slot_text(slot)
