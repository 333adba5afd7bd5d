"""Where blocks stand and stood."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import Field

from artifacts import ArtifactStore
from bay_observation.errors import ArtifactError, HistoryError, HistoryUnavailableError, NotObservedError
from bays import batch_id
from dashboard.api.access import Bay
from dashboard.api.answers import Paging, answer, page
from dashboard.api.history import history, one_state, said_of
from dashboard.api.models import PLAIN, TRACK_ID, Floor, Stays, TrackDetail, Tracks, UnseenFloor
from dashboard.api.rows import rings_of, stay_rows
from dashboard.api.times import Period, Time
from dashboard.plans import loaded
from tracking.history.reviews import Corrections, corrections
from tracking.history.stays import blocks_between, recorded_stays

router = APIRouter(tags=["floor"])

_LONGEST = timedelta(days=8)
TrackId = Annotated[str, Path(pattern=TRACK_ID)]
At = Annotated[Time | None, Query(description="a time; the newest slot if left out")]


class TrackFilter(Period, Paging):
    """Which blocks of a period."""

    area: Annotated[str | None, Field(max_length=96, pattern=PLAIN, description="that stood in this area")] = None


@router.get("/bays/{bay_id}/floor", response_model=Floor)
@one_state()
def floor_at(request: Request, bay: Bay, at: At = None) -> Response:
    """What stands in the bay at a time."""
    newest = newest_slot(bay.bay_id)
    if newest is None:
        raise HTTPException(404, f"bay {bay.bay_id} has no history yet: no batch was tracked")
    moment = at or newest
    try:
        stays = history().standing(bay.bay_id, at=moment)
    except NotObservedError:
        stays = []  # the page tells by the gaps that nothing is known of that time
    blocks = stay_rows(stays, corrected(bay.bay_id))
    return answer(request, {"bay_id": bay.bay_id, "at": moment, "newest_slot": newest, "blocks": blocks})


@router.get("/bays/{bay_id}/stays", response_model=Stays)
@one_state()
def list_stays(request: Request, bay: Bay, wanted: Annotated[Period, Query()]) -> Response:
    """Every stay that overlaps a period of at most eight days, to be drawn at any time within it."""
    wanted.check(_LONGEST)
    newest = newest_slot(bay.bay_id)
    found = [] if newest is None else recorded_stays(history(), bay.bay_id, wanted.start, wanted.end)
    period = {"bay_id": bay.bay_id, "start": wanted.start, "end": wanted.end, "newest_slot": newest}
    return answer(request, {**period, "stays": stay_rows(found, corrected(bay.bay_id))})


@router.get("/bays/{bay_id}/tracks", response_model=Tracks)
@one_state()
def list_tracks(request: Request, bay: Bay, wanted: Annotated[TrackFilter, Query()]) -> Response:
    """Blocks that stood in the bay within a period, in order of their id."""
    wanted.check(_LONGEST)
    known = newest_slot(bay.bay_id) is not None
    found = blocks_between(history(), bay.bay_id, wanted.start, wanted.end, wanted.area) if known else []
    shown, following = page(found, lambda block: (block.track_id,), wanted)
    return answer(request, {"tracks": [block._asdict() for block in shown], "next_cursor": following})


@router.get("/bays/{bay_id}/tracks/{track_id}", response_model=TrackDetail)
@one_state()
def show_track(request: Request, bay: Bay, track_id: TrackId) -> Response:
    """A block from its first stay to its latest."""
    stays = history().stays(bay.bay_id, track_id)
    rows = stay_rows(stays, corrected(bay.bay_id))
    return answer(request, {"bay_id": bay.bay_id, "track_id": track_id, "stays": rows})


@router.get("/bays/{bay_id}/unseen", response_model=UnseenFloor)
def unseen_floor(request: Request, bay: Bay, slot: Time) -> Response:
    """The floor that no working camera could see in a slot, from the slot's floor plan."""
    return answer(request, _unseen(bay.bay_id, slot))


def newest_slot(bay_id: str) -> datetime | None:
    """The newest slot that was tracked; None before the first.

    Raises:
        HistoryUnavailableError: the database cannot be used.
    """
    try:
        return history().newest_slot(bay_id)
    except HistoryUnavailableError:
        raise
    except HistoryError:
        return None


def corrected(bay_id: str) -> Corrections:
    """What people corrected in the bay."""
    return corrections(said_of(bay_id))


def _unseen(bay_id: str, slot: datetime) -> UnseenFloor:
    reason = "the floor plan of this slot is not kept"
    try:
        plan = loaded(ArtifactStore(), "fusion", bay_id, batch_id(bay_id, slot))
    except ArtifactError as error:
        plan, reason = None, str(error)
    return UnseenFloor(
        bay_id=bay_id,
        slot=slot,
        known=plan is not None,
        reason="" if plan else reason,
        unseen=rings_of(plan.unseen) if plan else [],
        cameras=list(plan.cameras) if plan else [],
        missing_cameras=list(plan.missing_cameras) if plan else [],
        out_of_pose=list(plan.out_of_pose) if plan else [],
    )
