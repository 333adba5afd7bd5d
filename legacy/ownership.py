"""Who owns a bay: its file says it, a key of the old Redis holds both sides to it, the history keeps who changed it.

The key has two values, old and new: in the shadow the old side publishes. It changes between two slots:
the slot in work is published by the side that has it, then the other side goes on with the next one.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bay_observation.errors import ArtifactError, ConfigError, HistoryError
from bays import BayConfig, Owner, load_bay
from bays.editing import read_text, with_owner, write_owner
from bays.loading import bay_file
from legacy.bridge import AHEAD, BridgeState
from legacy.connection import OldSide
from legacy.encoding import slot_of_text, slot_text
from legacy.mapping import Mapping
from legacy.templates import OldNames
from tracking.history import History, scheduled_slots
from tracking.history.owners import OwnerChange, note_owner, owner_now
from tracking.history.slots import schedule_step

_log = logging.getLogger(__name__)

_POLL_S = 1.0
_MOMENT = timedelta(seconds=1)
# Of the side that hands over: the slot in work, and one that failed.
_OPEN_SLOTS = 2


@dataclass(frozen=True)
class Change:
    """What a change of owner came to.

    Attributes:
        bay_id: the bay.
        former, owner: before and after.
        last: the last slot that was published, by either side; None where none is known.
        missed: slots that the side which had them leaves unpublished.
        is_noted: whether the history has the change.
    """

    bay_id: str
    former: Owner
    owner: Owner
    last: str | None
    missed: tuple[str, ...]
    is_noted: bool


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
        """Give a bay to another owner. Said again, it mends what a killed one, or a Redis that went away, left.

        Args:
            bay_id: the bay.
            owner: the new one.
            author: who does it.
            reason: why, for the record.
            at_once: do not wait for the slot in work, nor for store and history, as when a side is down.

        Raises:
            ConfigError: the bay's file or the mapping is wrong, or would be with this owner, another command
                changes the owner at this moment, or the last slot that was published cannot be right.
            LegacyRedisError: the old Redis does not answer; until it did, the old side publishes.
            ArtifactError, HistoryError: store or history cannot be used, and `at_once` was not said; nothing changes.
        """
        redis = self._mapping.redis
        self._mapping.old_name(bay_id)
        owner_key, last_key = (self._names.fill(key, bay_id) for key in (redis.owner_key, redis.last_key))
        with self._old.alone(f"{owner_key}:changing") as hold:
            bay = load_bay(bay_id)
            if bay.migration is None:
                raise ConfigError(
                    f"{bay_file(bay_id)}: has no key migration: add it with the present owner,"
                    " as migration: {owner: old}"
                )
            with_owner(read_text(bay_file(bay_id).resolve()), bay_id, owner)
            former, present = bay.migration.owner, self._old.get(owner_key)
            missed: tuple[str, ...] = ()
            if present is not None and present != side_of(owner):
                missed = self._hand_over(bay, present, hold, at_once=at_once)
            if side_of(owner) == "new":
                self._refuse_odd_last(bay, last_key, at_once=at_once or present == "new")
            is_noted = self._note(bay_id, OwnerChange(self._clock(), owner, former, author, reason), at_once=at_once)
            hold()
            self._switch(bay, owner, owner_key, last_key)
            return Change(bay_id, former, owner, self._old.get(last_key), missed, is_noted)

    def _hand_over(self, bay: BayConfig, side: str, hold: Callable[[], None], *, at_once: bool) -> tuple[str, ...]:
        """Let the side that has the bay publish what it has; the slots that it leaves."""
        slot = slot_in_work(bay, self._clock())
        if at_once:
            return () if side == "old" else self._published_at_once(bay)
        if side == "old" and self._mapping.redis.old_side == "by_hand":
            return ()
        state = self._publish(bay)
        if slot is not None:
            end = slot + schedule_step(bay, slot)
            while (state.last is None or state.last < slot) and self._clock() < end:
                hold()
                self._sleep(_POLL_S)
                state = self._publish(bay)
        left = set(state.left)
        if slot is not None and (state.last is None or state.last < slot):
            left.add(slot)
        return tuple(slot_text(one) for one in sorted(left))

    def _published_at_once(self, bay: BayConfig) -> tuple[str, ...]:
        """What is ready goes out, if the store lets it; the slots that are left."""
        try:
            return tuple(slot_text(one) for one in self._publish(bay).left)
        except ArtifactError as error:
            _log.error("bay %s: what is ready could not be published: %s", bay.bay_id, error)
            return ()

    def _refuse_odd_last(self, bay: BayConfig, last_key: str, *, at_once: bool) -> None:
        """A last slot of another clock would silence the bridge for hours, or publish hours again."""
        text, now = self._old.get(last_key), self._clock()
        if text is None:
            return
        last = slot_of_text(text)
        if last is None or last > now + AHEAD:
            raise ConfigError(
                f"{last_key} holds {text!a:.40}, which is no slot of the past: the old producer gives its slot in UTC,"
                f" as {slot_text(now)} (docs/migration.md): mend that, then delete the key"
            )
        if at_once or self._mapping.redis.old_side == "by_hand":
            return
        since = [slot for slot in scheduled_slots(bay, last + _MOMENT, now) if bay.closed(slot) is None]
        if len(since) > _OPEN_SLOTS:
            raise ConfigError(
                f"bay {bay.bay_id}: the old side last published {text}, {len(since)} slots ago: is it down, or is its"
                " slot not in UTC? With --now the bay is taken over all the same, and what was seen since is published"
            )

    def _note(self, bay_id: str, change: OwnerChange, *, at_once: bool) -> bool:
        try:
            if owner_now(self._history, bay_id) != change.owner:
                note_owner(self._history, bay_id, change)
        except HistoryError as error:
            if not at_once:
                raise
            _log.error("bay %s: the history does not have this change: %s", bay_id, error)
            return False
        return True

    def _switch(self, bay: BayConfig, owner: Owner, owner_key: str, last_key: str) -> None:
        """File and key. Whatever ends this between the two, the old side is the one that publishes."""
        if owner != "new":
            self._old.call(lambda client: client.set(owner_key, "old"))
            write_owner(bay.bay_id, owner)
            return
        before = slot_text(slot_in_work(bay, self._clock()) or self._clock())
        last = self._old.get(last_key)
        if last is None or (self._mapping.redis.old_side == "by_hand" and last < before):
            self._old.call(lambda client: client.set(last_key, before, nx=last is None))
        write_owner(bay.bay_id, owner)
        self._old.call(lambda client: client.set(owner_key, "new"))
