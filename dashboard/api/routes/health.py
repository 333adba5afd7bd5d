"""How a bay is: its cameras, its observer, its queues and its store, as the API server can know it.

What is on the observer's host is known from the word that it leaves with each capture
(`capture_async.observer_note`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from fastapi import APIRouter, Request, Response

from artifacts import ArtifactStore
from bay_observation.errors import ArtifactError, BayObservationError
from bays import BayConfig, batch_id, observer_queue, processor_queue
from dashboard.api.access import Bay
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import CameraHealth, Check, Health, Poses, QueueHealth
from dashboard.api.routes.cameras import camera_states
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import now_of, slot_length
from dashboard.disk import disk_check
from dashboard.facts import State, check, fact
from dashboard.observer import CameraFacts, ObserverNote, facts_of
from dashboard.plans import loaded
from dashboard.poses import poses_of
from tracking.history import Batch, BatchOutcome
from triggers.status import triggerer_status

router = APIRouter(tags=["health"])

_DAY = timedelta(days=1)
_WAITS_LONG_S = 600.0
_STALE_SLOTS = 3
_UNCLAIMED = timedelta(seconds=30)


@router.get("/bays/{bay_id}/health", response_model=Health)
def show_health(request: Request, bay: Bay) -> Response:
    """The bay's cameras over the last day, its observer, the tasks and triggers of its queues, its store, its floor."""
    now = datetime.now(UTC)
    newest = newest_slot(bay.bay_id)
    seen_at = now_of(bay, newest)
    batches = [] if newest is None else history().batches(bay.bay_id, seen_at - _DAY, seen_at)
    facts, note = facts_of(bay)
    cameras = _cameras(bay, batches, facts, _out_of_pose(bay, newest))
    queues = _queues([observer_queue(bay.bay_id), processor_queue(bay.bay_id)], now)
    checks = [
        _floor(bay, newest, seen_at),
        _of_cameras(bay, cameras),
        *_of_observer(bay, note, batches, now),
        *map(_of_queue, queues),
        _store(),
        disk_check(),
    ]
    return answer(
        request,
        Health(
            bay_id=bay.bay_id,
            checked_at=now.replace(microsecond=0),
            checks=checks,
            cameras=cameras,
            queues=queues,
        ),
    )


@router.get("/bays/{bay_id}/poses", response_model=Poses)
def check_poses(request: Request, bay: Bay) -> Response:
    """By how much each camera hangs otherwise than the bay's file says. Takes seconds; kept until the next batch."""
    return answer(request, poses_of(bay))


def _cameras(
    bay: BayConfig, batches: Sequence[Batch], facts: dict[str, CameraFacts], out_of_pose: tuple[str, ...] | None
) -> list[CameraHealth]:
    found = []
    for state in camera_states(bay, batches):
        known = state.frames + state.failures > 0
        word = "down" if state.down else "failing" if state.failures_in_a_row else "ok" if known else "unknown"
        own = facts[state.name]
        found.append(
            CameraHealth(
                name=state.name,
                state=word,
                last_frame=state.last_frame,
                failing_since=state.failing_since,
                failures=state.failures,
                frames=state.frames,
                reason=state.reason,
                detail=own.detail if state.failures_in_a_row else "",
                advice=own.advice(state.reason),
                latency_s=own.latency_s,
                median_latency_s=own.median_latency_s,
                brightness=own.brightness,
                dark=own.dark,
                clock_offset_s=own.clock_offset_s,
                clock_wrong=own.clock_wrong,
                out_of_pose=None if out_of_pose is None else state.name in out_of_pose,
            )
        )
    return found


def _out_of_pose(bay: BayConfig, newest: datetime | None) -> tuple[str, ...] | None:
    """Cameras that the newest floor plan left out for their pose; None where it is not kept."""
    if newest is None:
        return None
    try:
        plan = loaded(ArtifactStore(), "fusion", bay.bay_id, batch_id(bay.bay_id, newest))
    except ArtifactError:
        return None
    return None if plan is None else tuple(plan.out_of_pose)


def _floor(bay: BayConfig, newest: datetime | None, now: datetime) -> Check:
    if newest is None:
        return check("floor", "unknown", fact("untracked"))
    late = _stale(bay, newest, now)
    return check("floor", "failed" if late else "ok", fact("newest", time=_local(bay, newest)))


def _of_cameras(bay: BayConfig, cameras: Sequence[CameraHealth]) -> Check:
    failing = [one.name for one in cameras if one.state in ("down", "failing")]
    doubtful = {
        "dark": [one.name for one in cameras if one.dark],
        "clock_wrong": [one.name for one in cameras if one.clock_wrong],
        "out_of_pose": [one.name for one in cameras if one.out_of_pose],
    }
    left = len(cameras) - len(failing)
    facts = [fact("working", n=left, all=len(cameras)), fact("quorum", n=bay.camera_quorum)]
    facts += [fact(name, names=", ".join(of)) for name, of in {"failing": failing, **doubtful}.items() if of]
    doubted = failing or any(doubtful.values())
    return check("cameras", "failed" if left < bay.camera_quorum else "warning" if doubted else "ok", *facts)


def _of_observer(bay: BayConfig, note: ObserverNote | None, batches: Sequence[Batch], now: datetime) -> list[Check]:
    """The observer's host, by its own word; what it said long ago is not known now."""
    inference = _inference(bay, note, batches)
    if note is None:
        return [check("observer", "unknown", fact("no_word")), inference]
    late = _stale(bay, note.at, now)
    word = check("observer", "failed" if late else "ok", fact("heard", time=_local(bay, note.at)))
    if not note.spool:
        return [word, check("spool", "unknown", fact("no_spool")), inference]
    runs = fact("publishes" if note.replicator else "not_running")
    replicator = check("replicator", "unknown" if late else "ok" if note.replicator else "failed", runs)
    return [word, _spool(note, late=late), replicator, inference]


def _spool(note: ObserverNote, *, late: bool) -> Check:
    waits_long = note.oldest_s is not None and note.oldest_s > _WAITS_LONG_S
    minutes = None if note.oldest_s is None else f"{note.oldest_s / 60:.0f}"
    facts = [fact("wait", n=note.pending) if minutes is None else fact("wait_since", n=note.pending, minutes=minutes)]
    if note.aside:
        facts.append(fact("set_aside", n=note.aside))
    state: State = "failed" if waits_long else "warning" if note.pending or note.aside else "ok"
    return check("spool", "unknown" if late else state, *facts)


def _inference(bay: BayConfig, note: ObserverNote | None, batches: Sequence[Batch]) -> Check:
    """What became of the newest batch in the models, and whether a server has them."""
    server = [] if note is None else [fact("has_server" if note.inference_server else "no_server")]
    for batch in reversed(batches):
        time = _local(bay, batch.slot)
        if batch.outcome == BatchOutcome.INFERENCE_FAILED:
            return check("inference", "failed", fact("inference_failed", time=time, reason=batch.reason), *server)
        if batch.outcome in (BatchOutcome.INFERRED, BatchOutcome.FUSED, BatchOutcome.TRACKED):
            return check("inference", "ok", fact("inferred", time=time), *server)
    return check("inference", "unknown", fact("not_inferred"), *server)


def _of_queue(queue: QueueHealth) -> Check:
    name = f"queue:{queue.queue}"
    tasks = fact("tasks", waiting=queue.waiting, running=queue.running, deferred=queue.deferred)
    if queue.unclaimed:
        return check(name, "failed", tasks, fact("unclaimed", n=queue.unclaimed))
    if queue.oldest_s is not None and queue.oldest_s > _WAITS_LONG_S:
        return check(name, "warning", tasks, fact("waits_long", minutes=f"{queue.oldest_s / 60:.0f}"))
    if not queue.triggerers:
        return check(name, "warning", tasks, fact("unserved"))
    return check(name, "ok", tasks)


def _queues(names: Sequence[str], now: datetime) -> list[QueueHealth]:
    of_queues = TaskInstance.queue.in_(names)
    counted = sa.select(TaskInstance.queue, TaskInstance.state, sa.func.count(), sa.func.min(TaskInstance.queued_dttm))
    counted = counted.where(of_queues, TaskInstance.state.in_(("queued", "scheduled", "running", "deferred")))
    with create_session() as session:
        rows = session.execute(counted.group_by(TaskInstance.queue, TaskInstance.state)).all()
    counts = {(queue, state): count for queue, state, count, _ in rows}
    since = {queue: first for queue, state, _, first in rows if state == "queued" and first is not None}
    status = triggerer_status(queues=names)
    by_queue = {queue.queue: queue for queue in status.queues}
    late = [task for queue in status.queues for task in queue.unclaimed if now - task.since > _UNCLAIMED]
    return [
        QueueHealth(
            queue=name,
            waiting=counts.get((name, "queued"), 0) + counts.get((name, "scheduled"), 0),
            oldest_s=max(0.0, round((now - since[name]).total_seconds())) if name in since else None,
            running=counts.get((name, "running"), 0),
            deferred=counts.get((name, "deferred"), 0),
            unclaimed=sum(task.task_queue == name for task in late),
            # Where triggerers have no queues, each runs the triggers of all.
            triggerers=len(one.triggerers) if (one := by_queue.get(name) or by_queue.get(None)) else 0,
        )
        for name in names
    ]


def _store() -> Check:
    try:
        store = ArtifactStore()
        store.check()
    except BayObservationError as error:
        return check("store", "failed", fact("said", words=error))
    return check("store", "ok", fact("location", where=store.location))


def _stale(bay: BayConfig, since: datetime, now: datetime) -> bool:
    length = slot_length(bay)
    return length is not None and now - since > _STALE_SLOTS * length and bay.closed(now) is None


def _local(bay: BayConfig, time: datetime) -> str:
    return f"{time.astimezone(bay.zone):%Y-%m-%d %H:%M} {bay.timezone}"
