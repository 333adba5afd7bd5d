"""The bridge as a process, and how each bay stands."""

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from artifacts import ArtifactStore
from bay_observation.errors import ArtifactError, ConfigError, HistoryError
from bays import Owner, load_bay
from legacy.bridge import Bridge, BridgeLog, BridgeState
from legacy.connection import LegacyRedisError, OldSide
from legacy.encoding import slot_text
from legacy.mapping import Mapping
from legacy.ownership import side_of
from legacy.templates import OldNames
from tracking.history import History

_log = logging.getLogger(__name__)


def run_bridge(
    bay_ids: Sequence[str],
    mapping: Mapping,
    store: ArtifactStore,
    *,
    history: History,
    old: OldSide,
    every_s: float,
    once: bool = False,
) -> None:
    """Publish bays until a signal ends it. What one bay lacks stops that bay alone.

    Args:
        bay_ids: the bays.
        mapping: of the old system.
        store: with their observations.
        history: with what became of their slots.
        old: the old Redis.
        every_s: seconds between two looks.
        once: look once, and end.

    Raises:
        BayObservationError: with `once`, what the look came to.
    """
    ended = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    logs = {bay_id: BridgeLog(bay_id, mapping.bridge.behind_s) for bay_id in bay_ids}
    _log.info("bridge to %s: %s", old.address, ", ".join(bay_ids))
    while not ended.is_set():
        for bay_id, log in logs.items():
            try:
                state = Bridge(load_bay(bay_id), mapping, store, history=history, old=old).step()
                log.take(state, datetime.now(UTC))
            except (LegacyRedisError, ArtifactError, HistoryError, ConfigError) as error:
                if once:
                    raise
                log.fail(error)
        if once:
            return
        ended.wait(every_s)


@dataclass(frozen=True)
class BayState:
    """How a bay stands: `owner` as its file says, `side` as the old Redis has it, and the bridge's look at it."""

    bay_id: str
    owner: Owner | None
    side: str | None
    last: datetime | None
    waiting: int
    late: bool
    why: str

    @property
    def is_well(self) -> bool:
        """Whether file and key agree, and the bridge keeps up."""
        return not self.late and (self.owner is None or self.side == side_of(self.owner))

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "last": None if self.last is None else self.last.isoformat(), "well": self.is_well}

    def lines(self) -> Iterator[str]:
        """For a person."""
        last = "nothing" if self.last is None else f"{slot_text(self.last)} UTC"
        waits = f"; {self.waiting} slots wait: {self.why}" if self.waiting else ""
        holds = f"the old Redis says {self.side or 'nothing'}"
        yield f"{self.bay_id}: owner {self.owner or 'not named'}, {holds}; last published: {last}{waits}"
        if not self.late and not self.is_well:
            remedy = f"bay-observation legacy own {self.bay_id} {self.owner} --why ..."
            yield f"{self.bay_id}: file and key differ: run `{remedy}`"


def state_of(bay_id: str, mapping: Mapping, store: ArtifactStore, *, history: History, old: OldSide) -> BayState:
    """How a bay stands now. Nothing is published and nothing is changed.

    Raises:
        BayObservationError: its file, the store, the history or the old Redis cannot be used.
    """
    bay = load_bay(bay_id)
    owner = None if bay.migration is None else bay.migration.owner
    names = OldNames(mapping)
    side = old.get(names.fill(mapping.redis.owner_key, bay_id))
    state: BridgeState = Bridge(bay, mapping, store, history=history, old=old).look()
    late = state.lateness(datetime.now(UTC)) > timedelta(seconds=mapping.bridge.behind_s)
    return BayState(bay_id, owner, side, state.last, state.waiting, late, state.why)
