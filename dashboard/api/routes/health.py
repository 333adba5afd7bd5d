"""How a bay is: its cameras, queues and store, as seen from the API server."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from fastapi import APIRouter, Request, Response

from artifacts import ArtifactStore
from bay_observation.errors import BayObservationError
from bays import BayConfig, observer_queue, processor_queue
from dashboard.api.access import Bay
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import CameraHealth, CameraState, Check, Health, QueueHealth
from dashboard.api.routes.cameras import camera_states
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import slot_length

router = APIRouter(tags=["health"])

_DAY = timedelta(days=1)
_WAITS_LONG_S = 600.0
_STALE_SLOTS = 3
_DISK_LOW, _DISK_FULL = 0.10, 0.02
_HEARTBEAT = timedelta(seconds=30)


@router.get("/bays/{bay_id}/health", response_model=Health)
def show_health(request: Request, bay: Bay) -> Response:
    """The bay's cameras over the last day, the tasks and triggers of its queues, its store and its newest floor."""
    now = datetime.now(UTC)
    newest = newest_slot(bay.bay_id)
    batches = [] if newest is None else history().batches(bay.bay_id, now - _DAY, now)
    cameras = [_camera(state) for state in camera_states(bay, batches)]
    queues = _queues([observer_queue(bay.bay_id), processor_queue(bay.bay_id)], now)
    checks = [_floor(bay, newest, now), _cameras(bay, cameras), *map(_of_queue, queues), _store(), _disk()]
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


def _camera(state: CameraState) -> CameraHealth:
    known = state.frames + state.failures > 0
    word = "down" if state.down else "failing" if state.failures_in_a_row else "ok" if known else "unknown"
    return CameraHealth(
        name=state.name,
        state=word,
        last_frame=state.last_frame,
        failing_since=state.failing_since,
        failures=state.failures,
        frames=state.frames,
        reason=state.reason,
    )


def _floor(bay: BayConfig, newest: datetime | None, now: datetime) -> Check:
    if newest is None:
        return Check(name="floor", state="unknown", detail="no batch was tracked yet")
    length = slot_length(bay)
    detail = f"{newest.astimezone(bay.zone):%Y-%m-%d %H:%M} {bay.timezone}"
    late = length is not None and now - newest > _STALE_SLOTS * length and bay.closed(now) is None
    return Check(name="floor", state="failed" if late else "ok", detail=detail)


def _cameras(bay: BayConfig, cameras: Sequence[CameraHealth]) -> Check:
    failing = [one.name for one in cameras if one.state in ("down", "failing")]
    left = len(cameras) - len(failing)
    detail = f"{left} of {len(cameras)}; quorum {bay.camera_quorum}" + (f"; {', '.join(failing)}" if failing else "")
    state = "failed" if left < bay.camera_quorum else "warning" if failing else "ok"
    return Check(name="cameras", state=state, detail=detail)


def _of_queue(queue: QueueHealth) -> Check:
    name = f"queue:{queue.queue}"
    detail = f"waiting {queue.waiting}, running {queue.running}, deferred {queue.deferred}"
    if queue.unclaimed:
        return Check(name=name, state="failed", detail=f"{detail}; no triggerer runs {queue.unclaimed} of its triggers")
    if queue.oldest_s is not None and queue.oldest_s > _WAITS_LONG_S:
        return Check(name=name, state="warning", detail=f"{detail}; the oldest waits {queue.oldest_s / 60:.0f} min")
    return Check(name=name, state="ok", detail=detail)


def _queues(names: Sequence[str], now: datetime) -> list[QueueHealth]:
    of_queues = TaskInstance.queue.in_(names)
    counted = sa.select(TaskInstance.queue, TaskInstance.state, sa.func.count(), sa.func.min(TaskInstance.queued_dttm))
    counted = counted.where(of_queues, TaskInstance.state.in_(("queued", "scheduled", "running", "deferred")))
    with create_session() as session:
        rows = session.execute(counted.group_by(TaskInstance.queue, TaskInstance.state)).all()
        unclaimed = {row[0]: row[1] for row in session.execute(_unclaimed(names, now))}
    counts = {(queue, state): count for queue, state, count, _ in rows}
    since = {queue: first for queue, state, _, first in rows if state == "queued" and first is not None}
    return [
        QueueHealth(
            queue=name,
            waiting=counts.get((name, "queued"), 0) + counts.get((name, "scheduled"), 0),
            oldest_s=max(0.0, round((now - since[name]).total_seconds())) if name in since else None,
            running=counts.get((name, "running"), 0),
            deferred=counts.get((name, "deferred"), 0),
            unclaimed=unclaimed.get(name, 0),
        )
        for name in names
    ]


def _unclaimed(queues: Sequence[str], now: datetime) -> sa.Select[str | None, int]:
    """How many triggers of a queue's deferred tasks no live triggerer has taken up, half a minute after they were made.

    Airflow's own health page calls its triggerer healthy where one of another queue is alive.
    """
    from airflow.jobs.job import Job

    alive = sa.select(Job.id).where(Job.job_type == "TriggererJob", Job.latest_heartbeat > now - _HEARTBEAT)
    nobody = sa.or_(Trigger.triggerer_id.is_(None), Trigger.triggerer_id.not_in(alive))
    return (
        sa.select(TaskInstance.queue, sa.func.count())
        .join(Trigger, Trigger.id == TaskInstance.trigger_id)
        .where(TaskInstance.queue.in_(queues), Trigger.created_date < now - _HEARTBEAT, nobody)
        .group_by(TaskInstance.queue)
    )


def _store() -> Check:
    try:
        store = ArtifactStore()
        store.check()
    except BayObservationError as error:
        return Check(name="store", state="failed", detail=str(error))
    return Check(name="store", state="ok", detail=store.location)


def _disk() -> Check:
    try:
        usage = shutil.disk_usage(ArtifactStore().root)
    except (BayObservationError, OSError) as error:
        return Check(name="disk", state="unknown", detail=str(error))
    free = usage.free / usage.total
    state = "failed" if free < _DISK_FULL else "warning" if free < _DISK_LOW else "ok"
    return Check(name="disk", state=state, detail=f"{usage.free / 2**30:.0f} GiB free ({free:.0%})")
