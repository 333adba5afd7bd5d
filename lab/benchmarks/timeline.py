"""Where the time of a batch went, read from what Airflow's own services wrote while it travelled.

A task of Airflow comes to life once, or twice if it defers; each time is a *start* here. The
seconds between two lines of the logs are put to one account:

    waiting    from the moment that lets the task begin until a worker holds its message: the
               scheduler's rounds, PostgreSQL, Redis
    process    until the task's own process speaks: Celery's pool, the fork
    parsing    until the DAG file is read: the API server's leave to run, imports, the bay's file
    preparing  until `execute` is called: references from XCom, rendered fields
    work       in `execute` or `resume`, and in the trigger: the stage's own
    reporting    until the result stands: XCom, state, the run of the next stage's DAG
    deferral   from there until the trigger starts, and from its event until a worker holds the message

`trigger_fusion` and `trigger_tracking` do no other work than reporting.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bay_observation.errors import BayObservationError

ACCOUNTS = ("waiting", "process", "parsing", "preparing", "reporting", "deferral", "work")
TASKS_OF = {
    "observation": ("capture_images", "check_should_proceed", "run_inference", "trigger_fusion"),
    "fusion": ("process_fusion", "trigger_tracking"),
    "tracking": ("process_tracking",),
}
TASKS = tuple(task for tasks in TASKS_OF.values() for task in tasks)
_STARTS_A_RUN = ("trigger_fusion", "trigger_tracking")
# A worker's log, in the words of Celery and of Airflow's executor.
_RECEIVED = re.compile(r"^(?P<time>\S+Z) .*Task execute_workload\[(?P<message>[0-9a-f-]+)\] received")
_EXECUTING = re.compile(r"\[(?P<message>[0-9a-f-]{36})\] Executing workload in Celery: .*log_path='(?P<path>[^']+)'")
# A task's log, in the words of Airflow's task runner and triggerer.
_SPOKE, _PARSED = "::group::Pre Execute", "Worker startup parse complete"
_CALLED, _RETURNED = "::endgroup::", "::group::Post Execute"
_RUN_STARTED = "Dag Run triggered successfully."
_FIRED = "Trigger fired event"


class TimelineError(BayObservationError):
    """The logs do not show where the time went."""


@dataclass
class Start:
    """One coming to life of a task's process.

    Attributes:
        received: a worker holds its message.
        spoke: first line of its own process.
        parsed: its DAG file is read.
        called: `execute` or `resume` begins.
        returned: and ends.
        reported: the result stands, or the trigger is asked for.
    """

    received: datetime
    spoke: datetime
    parsed: datetime
    called: datetime
    returned: datetime
    reported: datetime


@dataclass(frozen=True)
class Task:
    """One task of a batch: its starts, and what its trigger did between them (start and event), if it deferred."""

    name: str
    starts: tuple[Start, ...]
    triggers: tuple[tuple[datetime, datetime], ...] = ()


@dataclass(frozen=True)
class Batch:
    """Where the time of one batch went.

    Attributes:
        seconds: by task, by account.
    """

    bay_id: str
    due: datetime
    tracked: datetime
    seconds: Mapping[str, Mapping[str, float]] = field(repr=False)

    @property
    def total(self) -> float:
        """Seconds from the slot's time to the tracking result."""
        return (self.tracked - self.due).total_seconds()

    @property
    def work(self) -> float:
        """Seconds that the stages worked."""
        return sum(accounts["work"] for accounts in self.seconds.values())

    @property
    def own_share(self) -> float:
        """Seconds that were Airflow's."""
        return self.total - self.work


def account(bay_id: str, due: datetime, tasks: Sequence[Task]) -> Batch:
    """Put every second of a batch to an account; each moment once, in the order of the tasks.

    Args:
        bay_id: the bay.
        due: when the slot was due (aware).
        tasks: of all three DAGs, in the order of `TASKS`.

    Raises:
        TimelineError: a task is missing, or out of order.
    """
    if tuple(task.name for task in tasks) != TASKS:
        raise TimelineError(f"bay {bay_id}: tasks {', '.join(task.name for task in tasks)}; wanted {', '.join(TASKS)}")
    now = due
    seconds = {}
    for task in tasks:
        spent = dict.fromkeys(ACCOUNTS, 0.0)
        for name, until in _boundaries(task):
            # What is reported to the next task a moment before it is logged is not counted twice.
            spent[name] += max(0.0, (until - now).total_seconds())
            now = max(now, until)
        seconds[task.name] = spent
    return Batch(bay_id, due, now, seconds)


def _boundaries(task: Task) -> Iterable[tuple[str, datetime]]:
    """The accounts in the order of a task's life, each with the moment it ends."""
    if len(task.triggers) != len(task.starts) - 1:
        raise TimelineError(f"{task.name}: {len(task.starts)} starts and {len(task.triggers)} triggers")
    for number, start in enumerate(task.starts):
        yield "deferral" if number else "waiting", start.received
        yield "process", start.spoke
        yield "parsing", start.parsed
        yield "preparing", start.called
        yield "reporting" if task.name in _STARTS_A_RUN else "work", start.returned
        yield "reporting", start.reported
        if number < len(task.triggers):
            began, fired = task.triggers[number]
            yield "deferral", began
            yield "work", fired


def read_task(log: Path, received: Sequence[datetime]) -> Task:
    """A task's life from its log file, that of its trigger beside it, and what the workers received.

    Args:
        log: the file of its first try.
        received: when workers held its messages; see `messages`.

    Raises:
        TimelineError: the task was tried more than once, or a line is missing.
    """
    name = log.parent.name.removeprefix("task_id=")
    if (log.parent / "attempt=2.log").exists():
        raise TimelineError(f"{log.parent}: more than one try; where the time of a failure goes is not the question")
    lives = _lives(_entries(log))
    held = sorted(received)
    if len(held) != len(lives):
        raise TimelineError(f"{log}: {len(lives)} starts and {len(held)} messages")
    triggers = sorted(_trigger(_entries(path)) for path in log.parent.glob(f"{log.name}.trigger.*.log"))
    return Task(name, tuple(_start(when, life, log) for when, life in zip(held, lives, strict=True)), tuple(triggers))


def messages(worker_logs: Iterable[Path]) -> dict[str, list[datetime]]:
    """When a worker held a message, by the log path of the task that it starts."""
    held: dict[str, datetime] = {}
    paths: dict[str, list[datetime]] = {}
    for log in worker_logs:
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := _RECEIVED.match(line):
                held[found["message"]] = datetime.fromisoformat(found["time"])
            elif (found := _EXECUTING.search(line)) and found["message"] in held:
                paths.setdefault(found["path"], []).append(held[found["message"]])
    return paths


_Entry = tuple[datetime, str]


def _entries(log: Path) -> list[_Entry]:
    entries = []
    for line in log.read_text(encoding="utf-8").splitlines():
        values = json.loads(line)
        entries.append((datetime.fromisoformat(values["timestamp"]), str(values["event"])))
    return entries


def _lives(entries: Sequence[_Entry]) -> list[list[_Entry]]:
    """A log cut where a new process begins to speak."""
    lives: list[list[_Entry]] = []
    for entry in entries:
        if entry[1] == _SPOKE:
            lives.append([])
        if lives:
            lives[-1].append(entry)
    return lives


def _start(received: datetime, life: Sequence[_Entry], log: Path) -> Start:
    def first(words: str) -> datetime:
        when = next((time for time, event in life if event == words), None)
        if when is None:
            raise TimelineError(f"{log}: no line {words!r}")
        return when

    reported = next((time for time, event in life if event == _RUN_STARTED), None)
    return Start(received, first(_SPOKE), first(_PARSED), first(_CALLED), first(_RETURNED), reported or life[-1][0])


def _trigger(entries: Sequence[_Entry]) -> tuple[datetime, datetime]:
    fired = next((time for time, event in entries if event == _FIRED), None)
    if not entries or fired is None:
        raise TimelineError("the log of a trigger shows no event")
    return entries[0][0], fired
