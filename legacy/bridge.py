"""Old consumers of a bay that is this system's get their hash and their message all the same.

The bridge is a process of its own and costs the DAGs nothing. What waits for it lies in the store: the
observation artifacts of the slots after the last one that was published. That last slot stands in the old
Redis, where one script (`publish.lua`) looks at owner and slot, writes hash, slot and message, or nothing.
So a batch is published once and in order, whatever is killed and whoever published the one before.

A slot whose batch is late is waited for (`bridge.wait_s`), since consumers take slots in order; one that
ended without an observation is passed over. A message without a listener would be lost: the bridge waits
for its consumers too, and for the Redis itself. More than `bridge.backlog` slots are not kept.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from artifacts import ArtifactStore
from bay_observation.errors import BayObservationError, HistoryError, MissingArtifactError, WrongArtifactError
from bays import BayConfig, batch_id, slot_of
from inference.types import Observation
from legacy.connection import OldSide
from legacy.encoding import Encoder, slot_text
from legacy.mapping import Mapping
from legacy.templates import OldNames
from tracking.history import BatchOutcome, History, scheduled_slots
from tracking.history.owners import last_published, note_published

_log = logging.getLogger(__name__)

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
_SLOT_FORMAT = "%Y%m%d-%H%M%S"


@dataclass(frozen=True)
class BridgeState:
    """How a bay's bridge stands after a look.

    Attributes:
        owner: as the old Redis has it: old, new, or None.
        last: the last slot that was published, by whichever side; None where none was.
        published: slots that this look published.
        waiting: slots that are ready and were not.
        oldest: the first of them.
        why: what they wait for; empty where none waits.
        passed_over: slots without an observation that were passed over by this look.
        longest_s: seconds that the longest publication of this look took, from the artifact to the answer.
    """

    owner: str | None
    last: datetime | None
    published: tuple[datetime, ...] = ()
    waiting: int = 0
    oldest: datetime | None = None
    why: str = ""
    passed_over: tuple[datetime, ...] = ()
    longest_s: float = 0.0

    def lateness(self, now: datetime) -> timedelta:
        """How long the oldest slot has waited since its time."""
        return timedelta() if self.oldest is None else now - self.oldest


class Bridge:
    """Publishes one bay.

    Args:
        bay: as its file is now.
        mapping: of the old system.
        store: with the bay's observations.
        history: with what became of its slots.
        old: the old Redis.
        clock: what time it is (aware).
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

    def step(self, *, patient: bool = True) -> BridgeState:
        """Publish what can be published now.

        Args:
            patient: wait for a slot whose batch is late; otherwise it is passed over.

        Raises:
            LegacyRedisError: the old Redis does not answer.
            ArtifactError, HistoryError: store or history cannot be used.
            ConfigError: the old Redis is Airflow's broker.
        """
        owner, last = self._standing()
        if owner != "new" or self._bay.migration is None or self._bay.migration.owner != "new" or last is None:
            return BridgeState(owner, last)
        ready = self._ready(last)
        published: list[datetime] = []
        passed: list[datetime] = []
        longest, why = 0.0, ""
        for slot in sorted({*ready, *self._expected(last)}):
            if slot not in ready:
                if patient and not self._is_over(slot):
                    why = f"slot {slot_text(slot)} has no observation yet"
                    break
                passed.append(slot)
                continue
            begin = time.perf_counter()
            answer = self._publish(slot)
            longest = max(longest, time.perf_counter() - begin)
            if answer == "published":
                published.append(slot)
            elif answer not in ("already", "unreadable"):
                why = _WHY.get(answer, answer)
                break
        after = published[-1] if published else last
        left = [slot for slot in ready if slot > after] if why else []
        return BridgeState(
            owner,
            after,
            tuple(published),
            len(left),
            min(left, default=None),
            why if left else "",
            tuple(slot for slot in passed if slot < after),
            longest,
        )

    def look(self) -> BridgeState:
        """The same without publishing or mending anything.

        Raises:
            LegacyRedisError, ArtifactError, HistoryError, ConfigError: as `step`.
        """
        owner, text = self._old.get(self._owner_key), self._old.get(self._last_key)
        last = (None if text is None else _slot(text)) or last_published(self._history, self._bay.bay_id)
        if owner != "new" or last is None:
            return BridgeState(owner, last)
        ready = self._ready(last)
        return BridgeState(owner, last, (), len(ready), min(ready, default=None), "not published yet" if ready else "")

    def _standing(self) -> tuple[str | None, datetime | None]:
        """Owner and last slot in the old Redis; what it lost is put back."""
        owner, text = self._old.get(self._owner_key), self._old.get(self._last_key)
        if owner is None and self._bay.migration is not None:
            side = "new" if self._bay.migration.owner == "new" else "old"
            self._old.call(lambda client: client.set(self._owner_key, side, nx=True))
            owner = self._old.get(self._owner_key)
            _log.warning("bay %s: the old Redis had no owner; it is %s again", self._bay.bay_id, owner)
        last = None if text is None else _slot(text)
        if last is None and owner == "new":
            last = last_published(self._history, self._bay.bay_id)
            if last is not None:
                self._old.call(lambda client: client.set(self._last_key, slot_text(last), nx=True))
                _log.warning("bay %s: the old Redis had no last slot; it is %s again", self._bay.bay_id, last)
        return owner, last

    def _ready(self, last: datetime) -> list[datetime]:
        """Slots after the last one that have an observation; of more than the backlog the newest."""
        since = batch_id(self._bay.bay_id, last + _MOMENT)
        ready = [slot_of(name) for name in self._store.batch_ids("observation", self._bay.bay_id, since)]
        if len(ready) > self._mapping.bridge.backlog:
            lost = len(ready) - self._mapping.bridge.backlog
            _log.error(
                "bay %s: %d slots from %s on are not published: the old consumers were away for longer than the"
                " backlog of %d slots (bridge.backlog)",
                self._bay.bay_id,
                lost,
                ready[0],
                self._mapping.bridge.backlog,
            )
            ready = ready[lost:]
        return ready

    def _expected(self, last: datetime) -> list[datetime]:
        """Slots of the schedule since the last one in which the bay is open."""
        now = self._clock()
        begin = max(last + _MOMENT, now - timedelta(seconds=self._mapping.bridge.wait_s) - _RETRIED)
        slots = scheduled_slots(self._bay, begin, now)
        return [slot for slot in slots if self._bay.closed(slot) is None]

    def _is_over(self, slot: datetime) -> bool:
        """Whether nothing comes of a slot any more."""
        age = self._clock() - slot
        if age >= timedelta(seconds=self._mapping.bridge.wait_s):
            return True
        if age < _RETRIED:
            return False
        try:
            known = self._history.batches(self._bay.bay_id, slot, slot + _MOMENT)
        except HistoryError:
            return False
        return bool(known) and known[0].outcome in _ENDED

    def _publish(self, slot: datetime) -> str:
        try:
            seen = self._store.fetch("observation", self._bay.bay_id, batch_id(self._bay.bay_id, slot))
            if not isinstance(seen, Observation):
                return "unreadable"  # it was deleted since it was listed
            publication = self._encoder.publication(seen)
        except (MissingArtifactError, WrongArtifactError) as error:
            _log.error("bay %s: a slot is not published: %s", self._bay.bay_id, error)
            return "unreadable"
        answer = self._old.publish("new", publication)
        if answer == "published":
            note_published(self._history, self._bay.bay_id, slot)
        return answer


_WHY = {
    "not owner": "the old side owns the bay",
    "no consumer": "fewer consumers listen than bridge.consumers",
}


class BridgeLog:
    """Says what a bridge does: every publication, and once that it falls behind and that it has caught up."""

    def __init__(self, bay_id: str, behind_s: float) -> None:
        self._bay_id, self._behind = bay_id, timedelta(seconds=behind_s)
        self._is_behind = False
        self._fault = ""

    def take(self, state: BridgeState, now: datetime) -> None:
        """Note a look that went well."""
        if self._fault:
            _log.warning("bay %s: goes on", self._bay_id)
            self._fault = ""
        for slot in state.passed_over:
            _log.warning("bay %s: slot %s has no observation and was passed over", self._bay_id, slot_text(slot))
        for slot in state.published:
            _log.info("bay %s: slot %s published", self._bay_id, slot_text(slot))
        behind = state.lateness(now) > self._behind
        if behind and not self._is_behind:
            _log.error("bay %s: %s slots behind since %s: %s", self._bay_id, state.waiting, state.oldest, state.why)
        if self._is_behind and not behind:
            _log.warning("bay %s: has caught up", self._bay_id)
        self._is_behind = behind

    def fail(self, error: BayObservationError) -> None:
        """Note a look that failed, once for each reason."""
        if str(error) != self._fault:
            self._fault = str(error)
            _log.error("bay %s: %s; tried again", self._bay_id, error)


def _slot(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, _SLOT_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
