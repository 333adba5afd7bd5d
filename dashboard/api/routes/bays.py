"""Which bays there are, and what each is."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import shapely
from fastapi import APIRouter, Request, Response

from bay_observation.clock import every_slot_is_now
from bay_observation.errors import HistoryError, HistoryUnavailableError
from bays import BayConfig, Camera
from bays.camera_model import CameraModel
from dashboard.api.access import Bay, User, may, readable_bays
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import AreaOutline, BayDetail, BayFault, Bays, BaySummary, CameraView, Ring
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import now_of, slot_length
from tracking.history import scheduled_slots
from tracking.history.stays import Overview, overviews

router = APIRouter(tags=["bays"])

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_NOTHING = Overview(None, None, 0, 0, 0, None, (), ())
_EDGE_STEPS = 6  # points along each edge of the image: a lens bends it


@router.get("/bays", response_model=Bays)
def list_bays(request: Request, user: User) -> Response:
    """Every enabled bay that you may read: how old its floor is, cameras, events of the last hour, missing slots."""
    bays, faults = readable_bays(user)
    return answer(
        request,
        Bays(
            bays=[_summary(bay, known, now) for bay, known, now in _known(bays)],
            faults=[BayFault(bay_id=bay_id, fault=fault) for bay_id, fault in faults.items()],
        ),
    )


@router.get("/bays/{bay_id}", response_model=BayDetail)
def show_bay(request: Request, bay: Bay, user: User) -> Response:
    """A bay's floor, areas and cameras, and whether you may correct it."""
    newest = _overviews([bay.bay_id], datetime.now(UTC)).get(bay.bay_id, _NOTHING).newest_slot
    return answer(
        request,
        BayDetail(
            bay_id=bay.bay_id,
            description=bay.description,
            timezone=bay.timezone,
            width=bay.layout.width,
            height=bay.layout.height,
            areas=area_outlines(bay),
            cameras=camera_views(bay),
            writable=may(user, "PUT", bay.bay_id),
            newest_slot=newest,
            slot_s=_seconds(slot_length(bay)),
            simulated=every_slot_is_now(),
        ),
    )


def area_outlines(bay: BayConfig) -> list[AreaOutline]:
    """The areas of a bay's floor."""
    return [AreaOutline(name=name, x=area.x, y=area.y, kind=area.kind) for name, area in bay.layout.areas.items()]


def camera_views(bay: BayConfig) -> list[CameraView]:
    """Where a bay's cameras hang, and the floor that each looks at."""
    return [_camera(bay, camera) for camera in bay.cameras]


def _known(bays: list[BayConfig]) -> list[tuple[BayConfig, Overview, datetime]]:
    """How each bay is, and at what time; a simulated day has its own for each."""
    if not every_slot_is_now():
        now = datetime.now(UTC)
        known = _overviews([bay.bay_id for bay in bays], now)
        return [(bay, known.get(bay.bay_id, _NOTHING), now) for bay in bays]
    times = [(bay, now_of(bay, newest_slot(bay.bay_id))) for bay in bays]
    return [(bay, _overviews([bay.bay_id], now).get(bay.bay_id, _NOTHING), now) for bay, now in times]


def _overviews(bay_ids: list[str], now: datetime) -> dict[str, Overview]:
    try:
        return overviews(history(), bay_ids, now - _HOUR, now - _DAY)
    except HistoryUnavailableError:
        raise
    except HistoryError:
        return {}  # nothing was written yet


def _summary(bay: BayConfig, known: Overview, now: datetime) -> BaySummary:
    length = slot_length(bay)
    # A slot is missing once the next one has begun: until then it is under way.
    until = now - (length or timedelta())
    slots = _due(bay, now)
    # What lies before the first slot of which anything is known was not missed.
    since = max(now - _DAY, known.first_slot or now - _DAY)
    due = bisect_left(slots, until) - bisect_left(slots, since)
    return BaySummary(
        bay_id=bay.bay_id,
        description=bay.description,
        timezone=bay.timezone,
        newest_slot=known.newest_slot,
        age_s=None if known.newest_slot is None else round((now - known.newest_slot).total_seconds()),
        slot_s=_seconds(length),
        closed=bay.closed(now),
        blocks=known.blocks,
        cameras=len(bay.cameras),
        cameras_failed=list(known.failed_cameras),
        events_last_hour=known.events,
        slots_missing=max(0, due - known.tracked),
        alerts=known.alerts,
    )


def _due(bay: BayConfig, now: datetime) -> list[datetime]:
    """Slots in which the bay is watched, from a day ago to an hour hence, in order. Worked out once an hour."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    known = _due_slots.get(bay.bay_id)
    if known is None or known[0] is not bay or known[1] != hour:
        slots = scheduled_slots(bay, hour - _DAY, hour + _HOUR)
        known = _due_slots[bay.bay_id] = (bay, hour, [slot for slot in slots if bay.closed(slot) is None])
    return known[2]


_due_slots: dict[str, tuple[BayConfig, datetime, list[datetime]]] = {}


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _camera(bay: BayConfig, camera: Camera) -> CameraView:
    pose = camera.pose
    return CameraView(
        name=camera.name,
        x=None if pose is None else pose.x,
        y=None if pose is None else pose.y,
        z=None if pose is None else pose.z,
        pan=None if pose is None else pose.pan,
        fusion=camera.fusion,
        view=_view(camera, bay.layout.width, bay.layout.height),
    )


@lru_cache(maxsize=1024)
def _view(camera: Camera, width: float, height: float) -> Ring:
    """The floor that a camera looks at: the image's edge on the plane z = 0, cut at the floor's edge."""
    if camera.pose is None or camera.intrinsics is None:
        return []
    model = CameraModel.of(camera)
    across, down = model.size
    steps = np.linspace(0, 1, _EDGE_STEPS, endpoint=False)
    edge = np.concatenate(
        [
            np.stack([steps * across, 0 * steps], 1),
            np.stack([0 * steps + across, steps * down], 1),
            np.stack([(1 - steps) * across, 0 * steps + down], 1),
            np.stack([0 * steps, (1 - steps) * down], 1),
        ]
    )
    ground = model.to_plane(edge)
    ground = ground[np.isfinite(ground).all(axis=1)]
    if len(ground) < 3:
        return []
    seen = shapely.MultiPoint(ground).convex_hull.intersection(shapely.box(0, 0, width, height))
    if not isinstance(seen, shapely.Polygon) or seen.is_empty:
        return []
    return [(x, y) for x, y in np.asarray(seen.exterior.coords)[:-1].round(2).tolist()]
