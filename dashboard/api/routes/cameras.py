"""How the cameras are."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from bays import BayConfig
from dashboard.api.access import Bay
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import Cameras, CameraState
from dashboard.api.routes.floor import newest_slot
from dashboard.api.times import Period
from tracking.history import Batch

router = APIRouter(tags=["cameras"])

_LONGEST = timedelta(days=31)


@router.get("/bays/{bay_id}/cameras", response_model=Cameras)
def list_cameras(request: Request, bay: Bay, wanted: Annotated[Period, Query()]) -> Response:
    """Of each camera, within a period of at most 31 days: its newest frame, and the failures since."""
    wanted.check(_LONGEST)
    batches = [] if newest_slot(bay.bay_id) is None else history().batches(bay.bay_id, wanted.start, wanted.end)
    return answer(
        request, Cameras(bay_id=bay.bay_id, start=wanted.start, end=wanted.end, cameras=camera_states(bay, batches))
    )


def camera_states(bay: BayConfig, batches: Sequence[Batch]) -> list[CameraState]:
    """The state of each camera after these batches, which are in slot order."""
    return [_state(bay, camera.name, batches) for camera in bay.cameras]


def _state(bay: BayConfig, camera: str, batches: Sequence[Batch]) -> CameraState:
    last_frame: datetime | None = None
    failing_since: datetime | None = None
    frames = failures = in_a_row = 0
    reason = ""
    for batch in batches:
        if camera in batch.failures:
            failures, in_a_row, reason = failures + 1, in_a_row + 1, batch.failures[camera]
            failing_since = failing_since or batch.slot
        elif camera in batch.cameras:
            frames, in_a_row, reason = frames + 1, 0, ""
            last_frame, failing_since = batch.slot, None
    return CameraState(
        name=camera,
        last_frame=last_frame,
        failing_since=failing_since,
        failures_in_a_row=in_a_row,
        reason=reason,
        frames=frames,
        failures=failures,
        down=in_a_row >= bay.camera_down_after,
    )
