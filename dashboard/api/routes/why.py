"""Why the system believes what it says of a block: what each camera saw, and what the tracker weighed."""

from typing import Annotated, Any

import shapely
from fastapi import APIRouter, HTTPException, Query, Request, Response

from artifacts import ArtifactStore
from bays import BayConfig, batch_id
from dashboard.api.access import Bay
from dashboard.api.answers import answer
from dashboard.api.history import history
from dashboard.api.models import (
    Alternative,
    BlockWhy,
    CameraSays,
    CameraWord,
    FusedEvidence,
    Reading,
    TrackedEvidence,
    WeighedEvent,
)
from dashboard.api.routes.floor import TrackId
from dashboard.api.times import Time
from dashboard.crops import best_crop
from dashboard.plans import loaded
from fusion.types import FusedBlock, FusionResult
from tracking.history import Stay
from tracking.types import Streak, Track, TrackingResult

router = APIRouter(tags=["floor"])


@router.get("/bays/{bay_id}/tracks/{track_id}/why", response_model=BlockWhy)
def explain(
    request: Request,
    bay: Bay,
    track_id: TrackId,
    slot: Annotated[Time, Query(description="of the floor that is looked at")],
) -> Response:
    """Which cameras saw a block in a slot, which must have and did not, and what the tracker weighed."""
    stay = next((one for one in reversed(history().stays(bay.bay_id, track_id)) if one.since <= slot), None)
    if stay is None:
        raise HTTPException(404, f"block {track_id} had not come yet at {slot.isoformat()}")
    store, batch = ArtifactStore(), batch_id(bay.bay_id, slot)
    plan: FusionResult | None = loaded(store, "fusion", bay.bay_id, batch)
    result: TrackingResult | None = loaded(store, "tracking", bay.bay_id, batch)
    if plan is None and result is None:
        raise HTTPException(404, f"of slot {slot.isoformat()} neither floor plan nor tracks are kept")
    track = None if result is None else next((one for one in result.tracks if one.track_id == track_id), None)
    block = None if plan is None else _block_at(plan, stay.footprint if track is None else track.footprint)
    return answer(
        request,
        BlockWhy(
            bay_id=bay.bay_id,
            track_id=track_id,
            slot=slot,
            doubt="" if result is None else result.doubt,
            cameras=[] if plan is None else [_says(bay, one.name, plan, block, stay) for one in bay.cameras],
            fused=None if block is None else _fused(block),
            tracked=None if result is None or track is None else _tracked(track, result),
        ),
    )


def _block_at(plan: FusionResult, outline: shapely.Polygon) -> FusedBlock | None:
    """The plan's block that covers most of an outline; None where none covers half of the smaller of the two."""
    shared = [(block.footprint.intersection(outline).area, block) for block in plan.blocks]
    area, block = max(shared, key=lambda pair: pair[0], default=(0.0, None))
    if block is None or area < min(block.footprint.area, outline.area) / 2:
        return None
    return block


def _says(bay: BayConfig, camera: str, plan: FusionResult, block: FusedBlock | None, stay: Stay) -> CameraSays:
    word: CameraWord
    if camera in plan.out_of_pose:
        word = "out of pose"
    elif camera not in plan.cameras:
        word = "no frame"
    elif block is None:
        word = "in view" if best_crop(bay, plan.slot, stay, [camera]) is not None else "not needed"
    else:
        word = "seen" if camera in block.cameras else "missed" if camera in block.missed_by else "not needed"
    return CameraSays(camera=camera, says=word)


def _fused(block: FusedBlock) -> FusedEvidence:
    return FusedEvidence(
        class_name=block.class_name,
        stage=block.stage,
        confidence=round(block.confidence, 3),
        stage_confidence=round(block.stage_confidence, 3),
        position_std_m=round(block.position_std_m, 3),
        height_std_m=round(block.height_std_m, 3),
        work=dict(block.work),
    )


def _tracked(track: Track, result: TrackingResult) -> TrackedEvidence:
    own = [event for event in result.events if track.track_id in (event.track_id, *event.others)]
    return TrackedEvidence(
        status=track.status.value,
        probability=round(track.probability, 3),
        sightings=track.hits,
        misses=track.misses,
        missed_since=track.missed_since,
        not_before=track.not_before,
        stage_readings=track.stage_readings,
        against=[
            *_readings("class", track.class_streaks),
            *_readings("area", track.area_streaks),
            *_readings("stage", track.stage_streaks),
            *_readings("work", track.work_streaks),
        ],
        events=[
            WeighedEvent(
                kind=event.kind.value,
                time=event.time,
                probability=round(event.probability, 3),
                alternatives=[Alternative(what=what, probability=round(odds, 3)) for what, odds in event.alternatives],
                reason=event.reason,
            )
            for event in own
        ],
    )


def _readings(of: Any, streaks: tuple[Streak, ...]) -> list[Reading]:
    return [
        Reading(of=of, value=one.value, count=one.count, weight=round(one.weight, 2), since=one.since)
        for one in streaks
    ]
