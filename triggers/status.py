"""Who runs what of the deferred tasks: per queue the triggerers that live, what they hold, what no process holds.

Airflow's `/monitor/health` is about its most recent triggerer alone: with `--queues obs_b` alive and a
task deferred in `obs_a` it says healthy. The rows of `job`, `trigger` and `task_instance` say more. Three
questions to Airflow's database, whatever the number of bays.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bay_observation.errors import AirflowUnavailableError
from bays import observer_queue, processor_queue, sound_bays
from triggers.listed_queues import ListedQueues, read

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

_log = logging.getLogger(__name__)

# A triggerer that ended in an orderly way says so; one that was killed is of interest for as long.
_SILENT_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Triggerer:
    """One triggerer process, by its row in Airflow's table `job`.

    Attributes:
        job_id: the row's number.
        host: under which Airflow knows its host.
        started: when (aware, UTC).
        heartbeat: its latest sign of life (aware, UTC).
        alive: whether that is younger than Airflow's `triggerer_health_check_threshold`.
        listed: which queues it lists; None where it did not say.
    """

    job_id: int
    host: str
    started: datetime
    heartbeat: datetime
    alive: bool
    listed: ListedQueues | None

    def serves(self, queue: str | None) -> bool | None:
        """Whether it runs the triggers of a queue (None: those that have none); None where that is not known."""
        if self.listed is None:
            return None
        if queue is None:
            return not self.listed.queues and self.listed.complete
        return True if queue in self.listed.queues else (False if self.listed.complete else None)


@dataclass(frozen=True, slots=True)
class DeferredTask:
    """A deferred task, and who runs its trigger.

    Attributes:
        queue: its trigger's; None where it was deferred without one.
        dag_id, run_id, task_id: which task.
        since: when it was deferred (aware, UTC).
        held_by: job_id of the living triggerer that has the trigger; None where no process has it.
        task_queue: the task's own queue, which its trigger has too where triggerers have queues.
    """

    queue: str | None
    dag_id: str
    run_id: str
    task_id: str
    since: datetime
    held_by: int | None
    task_queue: str = ""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue that defers.

    Attributes:
        queue: its name; None stands for triggers without a queue.
        expected: whether an enabled bay defers into it, now or at its next slot.
        triggerers: that live and serve it, as far as is known.
        held: deferred tasks that a living triggerer has.
        unclaimed: deferred tasks that no process has, the oldest first.
        problems: what is wrong, in words; empty where all is well.
    """

    queue: str | None
    expected: bool
    triggerers: tuple[Triggerer, ...]
    held: tuple[DeferredTask, ...]
    unclaimed: tuple[DeferredTask, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TriggererStatus:
    """All queues and all triggerers at one moment.

    Attributes:
        at: the moment (aware, UTC).
        queues: by name.
        triggerers: that live, or fell silent within the last day.
    """

    at: datetime
    queues: tuple[QueueStatus, ...]
    triggerers: tuple[Triggerer, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, of all queues."""
        return tuple(problem for queue in self.queues for problem in queue.problems)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "at": self.at.isoformat(),
            "queues": [self._queue(queue) for queue in self.queues],
            "triggerers": [self._triggerer(triggerer) for triggerer in self.triggerers],
            "problems": list(self.problems),
        }

    def _queue(self, queue: QueueStatus) -> dict[str, Any]:
        return {
            "queue": queue.queue,
            "expected": queue.expected,
            "triggerers": [triggerer.job_id for triggerer in queue.triggerers],
            "held": [_task(task) for task in queue.held],
            "unclaimed": [_task(task) for task in queue.unclaimed],
            "problems": list(queue.problems),
        }

    def _triggerer(self, triggerer: Triggerer) -> dict[str, Any]:
        listed = triggerer.listed
        return {
            "job_id": triggerer.job_id,
            "host": triggerer.host,
            "alive": triggerer.alive,
            "started": triggerer.started.isoformat(),
            "heartbeat": triggerer.heartbeat.isoformat(),
            "queues": None if listed is None else list(listed.queues),
            "queues_complete": listed is not None and listed.complete,
            "held": sum(task.held_by == triggerer.job_id for queue in self.queues for task in queue.held),
        }


def triggerer_status(*, patience: timedelta | None = None, queues: Collection[str] | None = None) -> TriggererStatus:
    """The state of things now, from Airflow's database.

    Args:
        queues: into which tasks are deferred; by default those of all enabled bays, whose files are read.
        patience: for how long a deferred task may wait for a triggerer; by default Airflow's
            `triggerer_health_check_threshold`, after which a dead triggerer's triggers are taken over.

    Raises:
        AirflowUnavailableError: this host may not use Airflow's database, or it does not answer.
    """
    from airflow.configuration import conf

    threshold = timedelta(seconds=conf.getfloat("triggerer", "triggerer_health_check_threshold"))
    now = datetime.now(UTC)
    with _database() as session:
        triggerers = _triggerers(session, now, threshold)
        tasks = _deferred(session, {triggerer.job_id for triggerer in triggerers if triggerer.alive})
    expected: set[str | None] = {None}
    if conf.getboolean("triggerer", "queues_enabled", fallback=False):
        expected = expected_queues() if queues is None else set(queues)
    return status_of(now, expected, triggerers, tasks, threshold if patience is None else patience)


def status_of(
    now: datetime,
    expected: Iterable[str | None],
    triggerers: Iterable[Triggerer],
    tasks: Iterable[DeferredTask],
    patience: timedelta,
) -> TriggererStatus:
    """Put together what is known.

    Args:
        now: the moment (aware).
        expected: queues that enabled bays defer into.
        triggerers: that live, or fell silent.
        tasks: that are deferred.
        patience: see `triggerer_status`.
    """
    triggerers, tasks, expected = tuple(triggerers), tuple(tasks), set(expected)
    living = [triggerer for triggerer in triggerers if triggerer.alive]
    names = expected | {task.queue for task in tasks}
    names |= {queue for triggerer in living if triggerer.listed for queue in triggerer.listed.queues}
    queues = []
    for queue in sorted(names, key=lambda name: name or ""):
        here = sorted((task for task in tasks if task.queue == queue), key=lambda task: task.since)
        held = tuple(task for task in here if task.held_by is not None)
        unclaimed = tuple(task for task in here if task.held_by is None)
        holders = {task.held_by for task in held}
        serving = tuple(one for one in living if one.serves(queue) or one.job_id in holders)
        nobody = not serving and not any(one.serves(queue) is None for one in living)
        needed = queue in expected or bool(here)
        problems = _problems(queue, nobody and needed, unclaimed, now, patience)
        queues.append(QueueStatus(queue, queue in expected, serving, held, unclaimed, problems))
    return TriggererStatus(now, tuple(queues), triggerers)


def queued_tasks() -> dict[str, tuple[int, datetime]]:
    """Tasks that wait for a worker, by queue: how many, and since when the first of them (aware, UTC).

    Raises:
        AirflowUnavailableError: this host may not use Airflow's database, or it does not answer.
    """
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import func, select

    asked = (
        select(TaskInstance.queue, func.count(), func.min(TaskInstance.queued_dttm))
        .where(TaskInstance.state == TaskInstanceState.QUEUED, TaskInstance.queued_dttm.is_not(None))
        .group_by(TaskInstance.queue)
    )
    with _database() as session:
        return {queue or "": (count, _aware(since)) for queue, count, since in session.execute(asked) if since}


def expected_queues() -> set[str | None]:
    """Queues into which the enabled bays' tasks are deferred: their observers' and their processors'."""

    def faulty(bay_id: str, error: Exception) -> None:
        _log.error("bay %a: whether it runs is not known: %s", bay_id, error)

    return {queue(bay_id) for bay_id in sound_bays(faulty) for queue in (observer_queue, processor_queue)}


@contextmanager
def _database() -> "Iterator[Session]":
    from airflow.sdk.exceptions import AirflowException
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session() as session:
            yield session
    except (SQLAlchemyError, AirflowException, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AirflowUnavailableError(
            f"Airflow's database does not answer here: {reason}; ask on the main server or on a host with a triggerer"
        ) from error


def _problems(
    queue: str | None, nobody: bool, unclaimed: tuple[DeferredTask, ...], now: datetime, patience: timedelta
) -> tuple[str, ...]:
    name = "tasks without a queue" if queue is None else f"queue {queue}"
    found = []
    if nobody:
        option = "" if queue is None else f" --queues {queue}"
        found.append(f"{name}: no triggerer that lives serves it: start one (airflow triggerer{option})")
    late = [task for task in unclaimed if now - task.since > patience]
    if late:
        oldest = late[0]
        found.append(
            f"{name}: {len(late)} deferred tasks that no process holds, the oldest for"
            f" {(now - oldest.since).total_seconds():.0f} s: {oldest.dag_id} {oldest.run_id} {oldest.task_id}"
        )
    return tuple(found)


def _triggerers(session: "Session", now: datetime, threshold: timedelta) -> list[Triggerer]:
    from airflow.jobs.job import Job, JobState
    from sqlalchemy import select

    rows = session.execute(
        select(Job.id, Job.hostname, Job.start_date, Job.latest_heartbeat, Job.executor_class)
        .where(Job.job_type == "TriggererJob", Job.end_date.is_(None), Job.state == JobState.RUNNING)
        .where(Job.latest_heartbeat > now - _SILENT_KEPT)
        .order_by(Job.hostname, Job.id)
    )
    found = [
        Triggerer(number, host or "", _aware(started), _aware(beat), now - _aware(beat) < threshold, read(column))
        for number, host, started, beat, column in rows
        if started and beat
    ]
    # A host whose triggerer was started again has a row that fell silent as well: it is over.
    living = {triggerer.host for triggerer in found if triggerer.alive}
    return [triggerer for triggerer in found if triggerer.alive or triggerer.host not in living]


def _deferred(session: "Session", living: set[int]) -> list[DeferredTask]:
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    rows = session.execute(
        select(
            Trigger.queue,
            TaskInstance.dag_id,
            TaskInstance.run_id,
            TaskInstance.task_id,
            Trigger.created_date,
            Trigger.triggerer_id,
            TaskInstance.queue,
        )
        .join(TaskInstance, TaskInstance.trigger_id == Trigger.id)
        .where(TaskInstance.state == TaskInstanceState.DEFERRED)
    )
    return [
        DeferredTask(queue, dag_id, run_id, task_id, _aware(since), holder if holder in living else None, own or "")
        for queue, dag_id, run_id, task_id, since, holder, own in rows
    ]


def _task(task: DeferredTask) -> Mapping[str, Any]:
    return {
        "dag_id": task.dag_id,
        "run_id": task.run_id,
        "task_id": task.task_id,
        "since": task.since.isoformat(),
        "held_by": task.held_by,
    }


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
