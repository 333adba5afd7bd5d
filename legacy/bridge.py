"""Old consumers of a bay that is this system's get their hash and their message all the same.

The bridge is a process of its own and costs the DAGs nothing. What waits for it lies in the store: the
observation artifacts of the slots after the last one that was published. That last slot stands in the old
Redis, where one script (`publish.lua`) looks at owner and slot, writes hash, slot and message, or nothing.
So a batch is published once and in order, whatever is killed and whoever published the one before. The history
has a note of it as well, for a Redis that comes back without its last writes.

A slot whose batch is late is waited for (`bridge.wait_s`), since consumers take slots in order; one that
ended without an observation is passed over. A message without a listener would be lost: the bridge waits
for its consumers too, and for the Redis itself. More than `bridge.backlog` slots are not kept.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from artifacts import ArtifactStore
from bay_observation.errors import (
    BayObservationError,
    ConfigError,
    HistoryError,
    MissingArtifactError,
    WrongArtifactError,
)
from bays import BayConfig, batch_id, slot_of
from inference.types import Observation
from legacy.connection import OldSide
from legacy.encoding import Encoder, slot_of_text, slot_text
from legacy.mapping import Mapping
from legacy.templates import OldNames
from tracking.history import BatchOutcome, History, scheduled_slots
from tracking.history.owners import last_published, note_published

_log = logging.getLogger(__name__)

AHEAD = timedelta(minutes=15)
"""A slot that lies so far in the future is one of another clock; clocks of two hosts differ by less."""

_MOMENT = timedelta(seconds=1)
# A stage that failed is tried again within that time.
_RETRIED = timedelta(minutes=10)
_ENDED = frozenset(
    {
        BatchOutcome.CAPTURE_FAILED.value,
        BatchOutcome.SKIPPED.value,
        BatchOutcome.INFERENCE_FAILED.value,
        BatchOutcome.WITHDRAWN.value,
    }
)


@dataclass(frozen=True)
class BridgeState:
    """How a bay's bridge stands after a look.

    Attributes:
        owner: as the old Redis has it: old, new, or None.
        last: the last slot that was published, by whichever side; None where none is known.
        published: slots that this look published.
        left: slots that are ready and were not, in order.
        why: what they wait for; empty where nothing is waited for.
        passed_over: slots without an observation that were passed over by this look.
        faults: what a person has to mend or to know.
        longest_s: seconds that the longest publication of this look took, from the artifact to the answer.
    """

    owner: str | None
    last: datetime | None
    published: tuple[datetime, ...] = ()
    left: tuple[datetime, ...] = ()
    why: str = ""
    passed_over: tuple[datetime, ...] = ()
    faults: tuple[str, ...] = ()
    longest_s: float = 0.0

    def lateness(self, now: datetime) -> timedelta:
        """How long the oldest slot has waited since its time."""
        return now - self.left[0] if self.left else timedelta()


class Bridge:
    """Publishes one bay.

    Args:
        bay: as its file is now.
        mapping: of the old system.
        store: with the bay's observations.
        history: with what became of its slots.
        old: the old Redis.
        clock: what time it is (aware).

    Raises:
        ConfigError: the mapping has no such bay.
    """

    def __init__(
        self,
        bay: BayConfig,
        mapping: Mapping,
        store: ArtifactStore,
        *,
        history: History,
        old: OldSide,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._bay, self._mapping, self._store = bay, mapping, store
        self._history, self._old, self._clock = history, old, clock
        self._encoder = Encoder(mapping, bay)
        names = OldNames(mapping)
        self._owner_key = names.fill(mapping.redis.owner_key, bay.bay_id)
        self._last_key = names.fill(mapping.redis.last_key, bay.bay_id)

    def step(self) -> BridgeState:
        """Publish what can be published now.

        Raises:
            LegacyRedisError: the old Redis does not answer.
            ArtifactError: the store cannot be used.
            ConfigError: the old Redis is Airflow's broker.
        """
        state, noted = self._standing(mends=True)
        if not self._is_ours or state.why or state.last is None:
            return state
        state = self._publish_from(state, state.last)
        if state.last is None or (noted is not None and state.last <= noted):
            return state
        try:
            note_published(self._history, self._bay.bay_id, state.last)
        except HistoryError as error:  # the next look tries again
            return replace(state, faults=(*state.faults, f"what was published cannot be noted: {error}"))
        return state

    def look(self) -> BridgeState:
        """The same without publishing or mending anything.

        Raises:
            LegacyRedisError, ArtifactError, ConfigError: as `step`.
        """
        state, _ = self._standing(mends=False)
        if not self._is_ours or state.why or state.last is None:
            return state
        ready, faults = self._ready(state.last)
        return replace(state, left=tuple(ready), why="not published yet" if ready else "", faults=state.faults + faults)

    @property
    def _is_ours(self) -> bool:
        return self._bay.migration is not None and self._bay.migration.owner == "new"

    # -- where both sides stand ----------------------------------------------------------------------

    def _standing(self, *, mends: bool) -> tuple[BridgeState, datetime | None]:
        """Owner and last slot, with what keeps a bay of ours from being published as `why`; and the history's note."""
        owner, text = self._old.get(self._owner_key), self._old.get(self._last_key)
        if owner is None and mends:
            owner = self._owner_again()
        found = None if text is None else slot_of_text(text)
        if not self._is_ours:
            return BridgeState(owner, found), None
        noted, faults = self._noted()
        last = max((one for one in (found, noted) if one is not None), default=None)
        why = self._odd(owner, text, found) or ("" if last is not None else self._unknown_last())
        if not why:
            return BridgeState(owner, last, faults=faults), noted
        left: tuple[datetime, ...] = () if last is None else tuple(self._ready(last)[0])
        return BridgeState(owner, last, (), left, why, (), (*faults, why)), noted

    def _owner_again(self) -> str | None:
        """A Redis that lost its data has the owner of the bay's file again."""
        if self._bay.migration is None:
            return None
        side = "new" if self._is_ours else "old"
        self._old.call(lambda client: client.set(self._owner_key, side, nx=True))
        owner = self._old.get(self._owner_key)
        _log.warning("bay %s: the old Redis had no owner; it is %s again", self._bay.bay_id, owner)
        return owner

    def _noted(self) -> tuple[datetime | None, tuple[str, ...]]:
        try:
            return last_published(self._history, self._bay.bay_id), ()
        except HistoryError as error:
            return None, (f"what was published cannot be looked up: {error}",)

    def _odd(self, owner: str | None, text: str | None, found: datetime | None) -> str:
        """What is wrong with the keys of a bay that is ours by its file; empty where nothing is."""
        again = f"`bay-observation legacy own {self._bay.bay_id} new --why ...`"
        if owner != "new":
            return f"its file says new, {self._owner_key} says {owner!a:.20}: run {again}, or give the bay back"
        if text is not None and found is None:
            return f"{self._last_key} holds {text!a:.40}, which is no slot: delete the key"
        if found is not None and found > self._clock() + AHEAD:
            return (
                f"{self._last_key} holds {text}, which lies ahead: the old producer gives its slot in UTC;"
                f" mend that, delete the key, and run {again}"
            )
        return ""

    def _unknown_last(self) -> str:
        return f"no last slot is known: run `bay-observation legacy own {self._bay.bay_id} new --why ...`"

    # -- what is ready -------------------------------------------------------------------------------

    def _ready(self, last: datetime) -> tuple[list[datetime], tuple[str, ...]]:
        """Slots after the last one that have an observation, of more than the backlog the newest; and what is lost."""
        since = batch_id(self._bay.bay_id, last + _MOMENT)
        ready = _slots(self._store.batch_ids("observation", self._bay.bay_id, since))
        lost = len(ready) - self._mapping.bridge.backlog
        if lost <= 0:
            return ready, ()
        fault = (
            f"{lost} slots from {slot_text(ready[0])} on will not be published: the old consumers were away for longer"
            f" than the backlog of {self._mapping.bridge.backlog} slots (bridge.backlog)"
        )
        return ready[lost:], (fault,)

    def _expected(self, last: datetime) -> list[datetime]:
        """Slots of the schedule since the last one in which the bay is open."""
        now = self._clock()
        begin = max(last + _MOMENT, now - timedelta(seconds=self._mapping.bridge.wait_s) - _RETRIED)
        slots = scheduled_slots(self._bay, begin, now)
        return [slot for slot in slots if self._bay.closed(slot) is None]

    def _is_waited_for(self, slot: datetime) -> bool:
        return self._clock() - slot < timedelta(seconds=self._mapping.bridge.wait_s)

    def _is_over(self, slot: datetime) -> bool:
        """Whether nothing comes of a slot without an observation any more."""
        if not self._is_waited_for(slot):
            return True
        if self._clock() - slot < _RETRIED:
            return False
        try:
            known = self._history.batches(self._bay.bay_id, slot, slot + _MOMENT)
        except HistoryError:
            return False
        return bool(known) and known[0].outcome in _ENDED

    # -- publishing ----------------------------------------------------------------------------------

    def _publish_from(self, state: BridgeState, last: datetime) -> BridgeState:
        """Slot after slot, until one has to be waited for."""
        ready, faults = self._ready(last)
        published: list[datetime] = []
        passed: list[datetime] = []
        longest, why = 0.0, ""
        for slot in sorted({*ready, *self._expected(last)}):
            if slot not in ready:
                if not self._is_over(slot):
                    why = f"slot {slot_text(slot)} has no observation yet"
                    break
                passed.append(slot)
                continue
            begin = time.perf_counter()
            try:
                answer = self._publish(slot)
            except (MissingArtifactError, WrongArtifactError) as error:
                why = f"slot {slot_text(slot)} cannot be published: {error}"
                faults = (*faults, why)
                if self._is_waited_for(slot):
                    break
                why = ""
                continue
            longest = max(longest, time.perf_counter() - begin)
            if answer not in ("published", "already"):
                why = _WHY.get(answer, answer)
                break
            last = slot  # already: by another bridge, or by a try whose answer was lost
            published += [slot] if answer == "published" else []
        left = tuple(slot for slot in ready if slot > last) if why else ()
        return replace(
            state,
            last=last,
            published=tuple(published),
            left=left,
            why=why if left else "",
            passed_over=tuple(slot for slot in passed if slot < last),
            faults=state.faults + faults,
            longest_s=longest,
        )

    def _publish(self, slot: datetime) -> str:
        """What the script answers.

        Raises:
            MissingArtifactError, WrongArtifactError: the observation is gone, or cannot be read.
        """
        name = batch_id(self._bay.bay_id, slot)
        seen = self._store.fetch("observation", self._bay.bay_id, name)
        if not isinstance(seen, Observation):
            raise MissingArtifactError(f"{name}: its observation was deleted meanwhile")
        return self._old.publish("new", self._encoder.publication(seen))


_WHY = {
    "not owner": "the old side owns the bay",
    "no consumer": "fewer consumers listen than bridge.consumers (those that listen to a pattern do not count)",
    "no slot": "the key of the last slot (redis.last_key) holds something else",
    "no hash": "a key of the batch holds no hash: is redis.key right?",
    "no text": "redis.owner_key or redis.last_key holds no text: name another key",
}


class BridgeLog:
    """Says what a bridge does: every publication; once what is wrong or falls behind, and that it is well again."""

    def __init__(self, bay_id: str, behind_s: float) -> None:
        self._bay_id, self._behind = bay_id, timedelta(seconds=behind_s)
        self._is_behind = False
        self._said: tuple[str, ...] = ()

    def take(self, state: BridgeState, now: datetime) -> None:
        """Note a look that went well."""
        self._say(state.faults)
        for slot in state.passed_over:
            _log.warning("bay %s: slot %s has no observation and was passed over", self._bay_id, slot_text(slot))
        for slot in state.published:
            _log.info("bay %s: slot %s published", self._bay_id, slot_text(slot))
        behind = state.lateness(now) > self._behind
        if behind and not self._is_behind:
            since = slot_text(state.left[0])
            _log.error("bay %s: %s slots behind since %s: %s", self._bay_id, len(state.left), since, state.why)
        if self._is_behind and not behind:
            _log.warning("bay %s: has caught up", self._bay_id)
        self._is_behind = behind

    def fail(self, error: BayObservationError) -> None:
        """Note a look that failed."""
        self._say((f"{error}; tried again",))

    def _say(self, faults: Sequence[str]) -> None:
        for fault in faults:
            if fault not in self._said:
                _log.error("bay %s: %s", self._bay_id, fault)
        if self._said and not faults:
            _log.warning("bay %s: goes on", self._bay_id)
        self._said = tuple(faults)


def _slots(names: Sequence[str]) -> list[datetime]:
    """In order; a folder that has no batch's name is none."""
    found = []
    for name in names:
        try:
            found.append(slot_of(name))
        except ConfigError:
            continue
    return sorted(found)
