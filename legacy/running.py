"""The bridge as a process, and how each bay stands."""

import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from artifacts import ArtifactStore
from bay_observation.errors import ArtifactError, BayObservationError, ConfigError, HistoryError
from bays import BayConfig, Owner, load_bay
from bays.loading import bay_file
from legacy.bridge import AHEAD, Bridge, BridgeLog
from legacy.connection import LegacyRedisError, OldSide
from legacy.encoding import slot_text
from legacy.mapping import Mapping
from legacy.ownership import side_of
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
        BayObservationError: with `once`, what the look at the first bay that failed came to.
    """
    ended = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
    logs = {bay_id: BridgeLog(bay_id, mapping.bridge.behind_s) for bay_id in bay_ids}
    bridges = _Bridges(mapping, store, history, old)
    _log.info("bridge to %s: %s", old.address, ", ".join(bay_ids))
    while not ended.is_set():
        failed: list[BayObservationError] = []
        for bay_id, log in logs.items():
            try:
                log.take(bridges.of(bay_id).step(), datetime.now(UTC))
            except (LegacyRedisError, ArtifactError, HistoryError, ConfigError) as error:
                log.fail(error)
                failed.append(error)
        if once:
            if failed:
                raise failed[0]
            return
        ended.wait(every_s)


class _Bridges:
    """The bridge of each bay, made when its file has changed: to read one takes longer than a look."""

    def __init__(self, mapping: Mapping, store: ArtifactStore, history: History, old: OldSide) -> None:
        self._mapping, self._store, self._history, self._old = mapping, store, history, old
        self._made: dict[str, tuple[tuple[int, ...] | None, Bridge]] = {}

    def of(self, bay_id: str) -> Bridge:
        """Of the bay as its file is now.

        Raises:
            ConfigError: it has none, or it is wrong.
        """
        stamp = _stamp(bay_file(bay_id))
        known = self._made.get(bay_id)
        if known is None or known[0] != stamp or stamp is None:
            bay = load_bay(bay_id)
            bridge = Bridge(bay, self._mapping, self._store, history=self._history, old=self._old)
            known = self._made[bay_id] = stamp, bridge
        return known[1]


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What differs where a file was written again; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class BayState:
    """How a bay stands: `owner` as its file says, `side` as the old Redis has it, and the bridge's look at it.

    `faults` are what a person has to mend.
    """

    bay_id: str
    owner: Owner | None
    side: str | None
    last: datetime | None
    waiting: int
    late: bool
    why: str
    faults: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be mended, and the bridge keeps up."""
        return not self.late and not self.faults

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "last": None if self.last is None else self.last.isoformat(), "well": self.is_well}

    def lines(self) -> Iterator[str]:
        """For a person."""
        last = "nothing" if self.last is None else f"{slot_text(self.last)} UTC"
        waits = f"; {self.waiting} slots wait: {self.why}" if self.waiting else ""
        holds = f"the old Redis says {self.side or 'nothing'}"
        yield f"{self.bay_id}: owner {self.owner or 'not named'}, {holds}; last published: {last}{waits}"
        yield from (f"{self.bay_id}: {fault}" for fault in self.faults)


def state_of(bay_id: str, mapping: Mapping, store: ArtifactStore, *, history: History, old: OldSide) -> BayState:
    """How a bay stands now. Nothing is published and nothing is changed.

    Raises:
        BayObservationError: its file, the store, the history or the old Redis cannot be used.
    """
    bay, now = load_bay(bay_id), datetime.now(UTC)
    owner = None if bay.migration is None else bay.migration.owner
    state = Bridge(bay, mapping, store, history=history, old=old).look()
    late = state.lateness(now) > timedelta(seconds=mapping.bridge.behind_s)
    faults = state.faults
    if owner in ("old", "shadow"):
        faults += tuple(_faults_of_old_side(bay, owner, state.owner, state.last, now))
    return BayState(bay_id, owner, state.owner, state.last, len(state.left), late, state.why, faults)


def _faults_of_old_side(
    bay: BayConfig, owner: Owner, side: str | None, last: datetime | None, now: datetime
) -> Iterator[str]:
    """Of a bay that the old side publishes."""
    if side != side_of(owner):
        yield f"file and key differ: run `bay-observation legacy own {bay.bay_id} {owner} --why ...`"
    if last is not None and last > now + AHEAD:
        yield (
            f"the last slot, {slot_text(last)}, lies ahead: the old producer gives its slot in UTC (docs/migration.md);"
            " mend that, then delete the key redis.last_key"
        )
