"""Pictures of one block: over time, and before and after something happened to it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from artifacts import ArtifactStore
from bays import BayConfig, batch_id, slot_of
from dashboard.api.access import Bay
from dashboard.api.answers import answer, with_etag
from dashboard.api.history import history
from dashboard.api.models import BlockCrop, BlockCrops
from dashboard.api.routes.floor import TrackId
from dashboard.api.routes.slots import FOR_A_DAY, CameraName, Slot, batch_of
from dashboard.api.times import Period, Time
from dashboard.crops import Crop, best_crop, thinned
from dashboard.pictures import cropped, full_frame
from tracking.history import Stay

router = APIRouter(tags=["frames"])

_LONGEST = timedelta(days=8)
_MOMENT = timedelta(microseconds=1)


class CropFilter(Period):
    """Which pictures of a block."""

    limit: Annotated[int, Field(ge=1, le=48, description="how many at most, evenly over the period")] = 8
    around: Annotated[
        Time | None, Field(description="a time at which something happened: one picture before it and one after it")
    ] = None


class CropBox(BaseModel):
    """A part of a frame, pixels."""

    left: Annotated[int, Field(ge=0, le=16_384)]
    top: Annotated[int, Field(ge=0, le=16_384)]
    right: Annotated[int, Field(ge=1, le=16_384)]
    bottom: Annotated[int, Field(ge=1, le=16_384)]


@router.get("/bays/{bay_id}/tracks/{track_id}/crops", response_model=BlockCrops)
def list_crops(request: Request, bay: Bay, track_id: TrackId, wanted: Annotated[CropFilter, Query()]) -> Response:
    """Where a block is to be seen in the frames of a period of at most eight days, as far as they are kept."""
    wanted.check(_LONGEST)
    stays = history().stays(bay.bay_id, track_id)
    cameras = {one.slot: one.cameras for one in history().batches(bay.bay_id, wanted.start, wanted.end)}
    kept = [slot for slot in _kept(bay, wanted) if slot in cameras]
    chosen = _around(stays, kept, wanted.around) if wanted.around else _over_time(stays, kept, wanted.limit)
    crops = [found for slot, stay in chosen if (found := best_crop(bay, slot, stay, cameras[slot])) is not None]
    return answer(request, BlockCrops(bay_id=bay.bay_id, track_id=track_id, crops=[_row(one) for one in crops]))


@router.get("/bays/{bay_id}/slots/{slot}/frames/{camera}/crop.jpg", response_class=Response)
def crop(request: Request, bay: Bay, slot: Slot, camera: CameraName, box: Annotated[CropBox, Query()]) -> Response:
    """A part of a camera's frame, at most 320 pixels wide, while the capture is kept."""
    if box.left >= box.right or box.top >= box.bottom:
        raise HTTPException(422, "left must lie before right, and top above bottom")
    frame = full_frame(ArtifactStore(), bay.bay_id, batch_of(bay, slot), camera)
    content = None if frame is None else cropped(frame, (box.left, box.top, box.right, box.bottom))
    if content is None:
        raise HTTPException(404, f"camera {camera} gave no such picture in slot {slot}, or it is not kept any more")
    return with_etag(request, content, "image/jpeg", FOR_A_DAY)


def _kept(bay: BayConfig, wanted: Period) -> list[datetime]:
    """Slots of a period of which the frames are kept, in order."""
    first, last = batch_id(bay.bay_id, wanted.start), batch_id(bay.bay_id, wanted.end)
    return [slot_of(name) for name in ArtifactStore().batch_ids("capture", bay.bay_id, first, last)]


def _over_time(stays: Sequence[Stay], kept: Sequence[datetime], limit: int) -> list[tuple[datetime, Stay]]:
    standing = [(slot, stay) for slot in kept if (stay := _at(stays, slot)) is not None]
    chosen = set(thinned([slot for slot, _ in standing], stays, limit))
    return [(slot, stay) for slot, stay in standing if slot in chosen]


def _around(stays: Sequence[Stay], kept: Sequence[datetime], time: datetime) -> list[tuple[datetime, Stay]]:
    """The last frames before a time and the first from it on, each of where the block stood, or will stand."""
    before, after = [slot for slot in kept if slot < time], [slot for slot in kept if slot >= time]
    old, new = _at(stays, time - _MOMENT), _at(stays, time)
    pairs = [(before[-1:], old or new), (after[:1], new or old)]
    return [(slots[0], stay) for slots, stay in pairs if slots and stay is not None]


def _at(stays: Sequence[Stay], time: datetime) -> Stay | None:
    return next((stay for stay in stays if stay.since <= time and (stay.until is None or time < stay.until)), None)


def _row(found: Crop) -> BlockCrop:
    return BlockCrop(slot=found.slot, camera=found.camera, box=found.box)
