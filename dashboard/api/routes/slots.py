"""Frames of a slot: which there are, small ones that are kept, and what was seen in them."""

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Request, Response

from artifacts import ArtifactStore
from bay_observation.errors import ConfigError
from bays import BayConfig, batch_id, slot_of
from bays.camera_model import CameraModel
from dashboard.api.access import Bay
from dashboard.api.answers import answer, with_etag
from dashboard.api.models import FrameObject, Frames, FusedBox, Ring, SlotFrame
from dashboard.pictures import Pictures, full_frame
from dashboard.plans import loaded

router = APIRouter(tags=["frames"])

FOR_A_DAY = "private, max-age=86400"
Slot = Annotated[str, Path(pattern=r"^\d{8}-\d{6}$", description="the slot in UTC: 20250702-161000")]
CameraName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,31}$")]
_SHOWN = ("panel", "block", "HP_block", "crane", "grinder", "welder", "step_board", "pipe")


@router.get("/bays/{bay_id}/slots/{slot}/frames", response_model=Frames)
def list_frames(request: Request, bay: Bay, slot: Slot) -> Response:
    """Each camera of a slot: what was seen in its frame, in pixels, and the floor plan's blocks drawn back into it."""
    batch = batch_of(bay, slot)
    store = ArtifactStore()
    seen, plan = loaded(store, "observation", bay.bay_id, batch), loaded(store, "fusion", bay.bay_id, batch)
    if seen is None and plan is None:
        raise HTTPException(404, f"of slot {slot} neither frames nor a floor plan are kept")
    by_camera = {} if seen is None else {one.camera_name: one for one in seen.cameras}
    failures = {} if seen is None else dict(seen.failures)
    frames = [_frame(bay, camera.name, by_camera.get(camera.name), failures, plan) for camera in bay.cameras]
    return answer(request, Frames(bay_id=bay.bay_id, slot=slot_of(batch), frames=frames))


@router.get("/bays/{bay_id}/slots/{slot}/frames/{camera}/thumbnail.jpg", response_class=Response)
def thumbnail(request: Request, bay: Bay, slot: Slot, camera: CameraName) -> Response:
    """A camera's frame, 480 pixels wide. Made once for all cameras of the slot, and kept on the API server."""
    content = Pictures.of_host().thumbnail(ArtifactStore(), bay.bay_id, batch_of(bay, slot), camera)
    if content is None:
        raise HTTPException(404, f"camera {camera} gave no frame in slot {slot}, or it is not kept any more")
    return with_etag(request, content, "image/jpeg", FOR_A_DAY)


@router.get("/bays/{bay_id}/slots/{slot}/frames/{camera}/full.jpg", response_class=Response)
def whole_frame(request: Request, bay: Bay, slot: Slot, camera: CameraName) -> Response:
    """A camera's frame as the camera sent it, while the capture is kept."""
    content = full_frame(ArtifactStore(), bay.bay_id, batch_of(bay, slot), camera)
    if content is None:
        raise HTTPException(404, f"camera {camera} gave no frame in slot {slot}, or it is not kept any more")
    return with_etag(request, content, "image/jpeg", FOR_A_DAY)


def batch_of(bay: BayConfig, slot: str) -> str:
    """The batch of a slot as an address has it.

    Raises:
        HTTPException: 422, it is no slot.
    """
    name = f"{bay.bay_id}_{slot}"
    try:
        return batch_id(bay.bay_id, slot_of(name))
    except ConfigError as error:
        raise HTTPException(422, str(error)) from error


def _frame(bay: BayConfig, camera: str, seen: Any, failures: dict[str, str], plan: Any) -> SlotFrame:
    return SlotFrame(
        camera=camera,
        captured_at=None if seen is None else seen.captured_at,
        width=None if seen is None else seen.image_size[0],
        height=None if seen is None else seen.image_size[1],
        failure=failures.get(camera, ""),
        out_of_pose=plan is not None and camera in plan.out_of_pose,
        objects=[] if seen is None else [_object(one) for one in seen.objects if one.class_name in _SHOWN],
        blocks=[] if plan is None or seen is None else _boxes(bay.at(plan.slot), camera, plan),
    )


def _object(one: Any) -> FrameObject:
    box = [round(float(value), 1) for value in one.box]
    return FrameObject(
        class_name=one.class_name,
        confidence=round(one.confidence, 3),
        box=(box[0], box[1], box[2], box[3]),
        outline=[] if one.polygon is None else _pixels(one.polygon),
        stage=one.stage,
    )


def _boxes(bay: BayConfig, name: str, plan: Any) -> list[FusedBox]:
    """The plan's blocks in a camera's frame: outlines on the floor and at their top, pixels."""
    camera = bay.camera(name)
    if camera.pose is None or camera.intrinsics is None:
        return []
    model = CameraModel.of(camera)
    found = []
    for block in plan.blocks:
        ring = np.asarray(block.footprint.exterior.coords)[:-1, :2]
        foot, foot_in_front = model.project(np.column_stack([ring, np.zeros(len(ring))]))
        top, top_in_front = model.project(np.column_stack([ring, np.full(len(ring), block.height_m)]))
        if not (foot_in_front.all() and top_in_front.all() and model.inside(np.concatenate([foot, top])).any()):
            continue
        saw = "seen" if name in block.cameras else "missed" if name in block.missed_by else "not needed"
        found.append(
            FusedBox(
                class_name=block.class_name,
                area=block.area,
                stage=block.stage,
                foot=_pixels(foot),
                top=_pixels(top),
                saw=saw,
                work=dict(block.work),
                confidence=round(block.confidence, 3),
                centre=(round(block.footprint.centroid.x, 2), round(block.footprint.centroid.y, 2)),
            )
        )
    return found


def _pixels(points: Any) -> Ring:
    return [(x, y) for x, y in np.asarray(points, dtype=float).round(1).tolist()]
