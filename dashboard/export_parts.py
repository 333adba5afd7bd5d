"""Parts of the export, asked in threads: one that hangs holds up neither the others nor a scrape.

Parts that ask the same server are a group, and are asked one after the other. A group whose server hangs (a
database that was stopped, a mount whose server is gone) counts as failed until it answers again.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bay_observation.errors import BayObservationError

Value = tuple[str, tuple[str, ...], float]
"""Name of a metric, its labels' values in the order of its tags, and the value."""

Ask = Callable[[], Iterable[Value]]
"""Asks for a part's values, and may raise."""

HANGS_S = 60.0
"""A part that takes longer hangs. Longer than any limit on one call: those name their fault themselves."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What a part said: its values, whether it failed, and the seconds that it took."""

    values: Sequence[Value]
    failed: bool
    seconds: float


class Group:
    """Parts that ask the same server.

    Args:
        name: for the thread.
        hangs_s: seconds that one part may take.
    """

    def __init__(self, name: str, hangs_s: float = HANGS_S) -> None:
        self._name, self._hangs_s = name, hangs_s
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._done.set()
        self._answers: dict[str, Answer] = {}
        self._part, self._part_began = "", 0.0

    def ask(self, parts: Mapping[str, Ask]) -> None:
        """Begin a round, unless one is under way."""
        if not self._done.is_set():
            return
        self._done.clear()
        with self._lock:
            self._answers = {part: answer for part, answer in self._answers.items() if part in parts}
        self._part, self._part_began = "", time.monotonic()
        threading.Thread(target=self._round, args=(dict(parts),), name=f"export {self._name}", daemon=True).start()

    def wait(self, seconds: float) -> None:
        """Wait for the end of the round, at most so long."""
        self._done.wait(max(0.0, seconds))

    @property
    def hangs(self) -> bool:
        """Whether the part that is being asked hangs."""
        return not self._done.is_set() and time.monotonic() - self._part_began >= self._hangs_s

    def answers(self) -> dict[str, Answer]:
        """The newest answer of each part that has given one; while the server hangs, a failure of every part."""
        with self._lock:
            answers = dict(self._answers)
        if not self.hangs:
            return answers
        seconds = time.monotonic() - self._part_began
        return {part: Answer((), failed=True, seconds=seconds) for part in {*answers, self._part} if part}

    def _round(self, parts: Mapping[str, Ask]) -> None:
        try:
            for part, ask in parts.items():
                self._part, self._part_began = part, time.monotonic()
                answer = _asked(part, ask)
                with self._lock:
                    self._answers[part] = answer
        finally:
            self._done.set()


def ask_all(groups: Mapping[str, Group], parts: Mapping[str, Mapping[str, Ask]], patience_s: float) -> None:
    """Begin a round of each group, and wait for all of them, at most so many seconds together."""
    until = time.monotonic() + patience_s
    for name, group in groups.items():
        group.ask(parts[name])
    for group in groups.values():
        group.wait(until - time.monotonic())


def _asked(part: str, ask: Ask) -> Answer:
    began = time.monotonic()
    try:
        values, failed = list(ask()), False
    except (BayObservationError, OSError) as error:
        values, failed = [], True
        _log.warning("%s cannot be exported: %s", part, error)
    except Exception:  # noqa: BLE001 - a part may fail in any way; the others are exported
        values, failed = [], True
        _log.exception("%s cannot be exported", part)
    return Answer(values, failed, time.monotonic() - began)
