"""The replicator: publishes what an observer spooled, in order, when the store is back.

For each artifact, in the order of its bay's slots:

1. read it from the spool;
2. look at what is published in its place: the same, then it is done; another that stands, then it
   is set aside;
3. publish it, whole or not at all, and read it back;
4. move it from `pending` to `kept`.

Killed at any point it begins again at 1, and finds at 2 what it had done: nothing is lost, nothing is
published twice. `flock` keeps it to one process per spool; another one waits and takes over.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from artifacts.spool import Backlog, Spool, content_of
from artifacts.store import ArtifactStore
from bay_observation.errors import ArtifactError, SpoolError, StoreUnavailableError

logger = logging.getLogger(__name__)

IDLE_S = 2.0
"""How often an empty spool is looked at."""

LONGEST_WAIT_S = 60.0
"""Between two tries of a store that fails."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over the spool came to: artifacts published (or found published), set aside, and left."""

    published: int = 0
    aside: int = 0
    left: int = 0


class MetricsSink(Protocol):
    """As much of Airflow's stats interface as the spool uses. Calls must not block."""

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        """Set a value."""


class Replicator:
    """Publishes what waits in a spool.

    Args:
        spool: of this host.
        store: where to publish; a store without a spool.
    """

    def __init__(self, spool: Spool, store: ArtifactStore) -> None:
        self.spool = spool
        self.store = store

    def run(self, stop: threading.Event, *, idle_s: float = IDLE_S, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        """Publish what arrives until `stop` is set; a failing store is tried again after growing pauses.

        Raises:
            SpoolError: the spool cannot be used.
        """
        wait = idle_s
        while not stop.is_set():
            try:
                done = self.once()
            except StoreUnavailableError as error:
                wait = min(max(wait, idle_s) * 2, longest_wait_s)
                logger.warning("%s; %d artifacts wait; next try in %.0f s", error, self._waiting(), wait)
            else:
                if wait > idle_s and done.published:
                    logger.info("the store is back")
                # An artifact that failed by itself, and not with the store, is retried after a pause.
                wait = min(max(wait, idle_s) * 2, longest_wait_s) if done.left else idle_s
            stop.wait(wait)

    def once(self) -> Pass:
        """Publish all that waits; a bay whose next artifact cannot be published holds up no other bay.

        Raises:
            StoreUnavailableError: the store fails, or has not answered.
            SpoolError: the spool cannot be used.
        """
        published = aside = left = 0
        self.spool.prune()
        for bay_id in self.spool.bay_ids():
            paths = self.spool.pending(bay_id)
            for number, path in enumerate(paths):
                try:
                    if self._take(path):
                        published += 1
                    else:
                        aside += 1
                except FileNotFoundError:
                    continue  # another artifact took its name, or a person took it away
                except (StoreUnavailableError, SpoolError):
                    raise
                except OSError as error:
                    raise SpoolError(f"{path}: the spool cannot be used: {error.strerror}") from error
                except ArtifactError as error:
                    logger.error("%s; %d artifacts of bay %s wait behind it", error, len(paths) - number - 1, bay_id)
                    left += len(paths) - number
                    break
        return Pass(published, aside, left)

    def backlogs(self) -> list[Backlog]:
        """What waits, by bay."""
        return [self.spool.backlog(bay_id) for bay_id in self.spool.bay_ids()]

    def _take(self, path: Path) -> bool:
        """Publish one artifact, or set it aside and return False."""
        try:
            spooled = self.spool.entry(path)
            content = content_of(path, spooled.reference)
        except ArtifactError as error:
            logger.error("%s; it is set aside", error)
            self.spool.move(path, "aside")
            return False
        with self.spool.replicating():
            outcome = self.store.replicate(spooled.reference, content, spooled.stands_back)
        waited = datetime.now(UTC) - spooled.made_at
        self.spool.move(path, "aside" if outcome == "superseded" else "kept", spooled.reference)
        if outcome == "superseded":
            logger.warning("%s: another one is published and stands; set aside", spooled.reference.path)
            return False
        logger.info("%s: %s, after %.0f s in the spool", spooled.reference.path, outcome, waited.total_seconds())
        return True

    def _waiting(self) -> int:
        return sum(backlog.pending for backlog in self.backlogs())


def report_backlog(sink: MetricsSink, backlogs: Sequence[Backlog], now: datetime) -> None:
    """Send what waits in a spool, tagged with the bay.

    | metric | kind | meaning |
    |---|---|---|
    | `bay_spool.pending` | gauge | artifacts that wait for the store |
    | `bay_spool.bytes` | gauge | their size |
    | `bay_spool.oldest_age` | gauge | seconds that the longest-waiting one has waited |
    """
    for backlog in backlogs:
        tags = {"bay": backlog.bay_id}
        age = (now - backlog.since).total_seconds() if backlog.since else 0.0
        sink.gauge("bay_spool.pending", backlog.pending, tags=tags)
        sink.gauge("bay_spool.bytes", backlog.size, tags=tags)
        sink.gauge("bay_spool.oldest_age", max(0.0, age), tags=tags)
