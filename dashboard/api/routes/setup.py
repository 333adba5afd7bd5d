"""A bay's file: shown, and a change to it checked and shown as a difference. Nothing here writes a file."""

import difflib
import threading
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import ValidationError

from bay_observation.bay_files import unknown_cameras
from bay_observation.errors import CalibrationError, ConfigError
from bays import BayConfig, Camera, Intrinsics, bay_ids
from bays.editing import read_text, with_areas, with_calibration
from bays.loading import bay_file, parse_bay
from bays.models import Area
from dashboard.api.access import BayId, User, may
from dashboard.api.answers import answer
from dashboard.api.models import (
    BayFile,
    CalibratedCamera,
    CalibratedValue,
    CheckedFile,
    ClickedPoints,
    PointError,
    ProposedAreas,
    ProposedFile,
)
from dashboard.api.routes.bays import area_outlines, camera_views
from dashboard.api.routes.slots import CameraName

if TYPE_CHECKING:
    from fusion.calibration import Calibration

router = APIRouter(tags=["set-up"])

_one_at_a_time = threading.Lock()
"""A calibration computes for seconds."""


def editable_bay(bay_id: BayId, user: User) -> str:
    """The bay of the address, whether or not its file is right, for a person who may correct it."""
    if not may(user, "PUT", bay_id):
        raise HTTPException(403, f"no right to correct bay {bay_id}")
    if bay_id not in bay_ids():
        raise HTTPException(404, f"there is no bay {bay_id}")
    return bay_id


EditableBay = Annotated[str, Depends(editable_bay)]


@router.get("/bays/{bay_id}/file", response_model=BayFile)
def show_file(request: Request, bay: EditableBay) -> Response:
    """The bay's YAML file, for who may correct the bay: it names the cameras' hosts."""
    return answer(request, BayFile(bay_id=bay, name=bay_file(bay).name, text=read_text(bay_file(bay))))


@router.post("/bays/{bay_id}/file/check", response_model=CheckedFile)
def check_file(bay: EditableBay, proposed: ProposedFile) -> CheckedFile:
    """What a changed file would be: its faults, the difference to the file as it is, and its floor. It is not kept."""
    return _checked(bay, proposed.text)


@router.post("/bays/{bay_id}/areas/check", response_model=CheckedFile)
def check_areas(bay: EditableBay, proposed: ProposedAreas) -> CheckedFile:
    """What the file would be with these areas, as they were drawn on the floor. It is not kept."""
    text = read_text(bay_file(bay)) if proposed.text is None else proposed.text
    names = [area.name for area in proposed.areas]
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise HTTPException(422, f"area {', '.join(doubled)} is there twice: name each once")
    try:
        areas = {area.name: Area(x=area.x, y=area.y, kind=area.kind) for area in proposed.areas}
        return _checked(bay, with_areas(text, bay, areas))
    except ConfigError as error:
        return _faulty(bay, text, _faults(bay, error))
    except ValidationError as error:
        return _faulty(bay, text, [fault["msg"].removeprefix("Value error, ") for fault in error.errors()])


@router.post("/bays/{bay_id}/cameras/{camera}/calibrate", response_model=CalibratedCamera)
def calibrate_camera(bay: EditableBay, camera: CameraName, clicked: ClickedPoints) -> CalibratedCamera:
    """Pose and lens of a camera from points that were clicked in its frame, and what the file would be with them.

    It is what `bay-observation calibrate` computes. Nothing is kept.
    """
    from fusion.calibration import FloorPoint, calibrate_by_file, doubts, mistaken  # scipy, for this question alone
    from fusion.renaming import far_off, misnamed

    text = read_text(bay_file(bay)) if clicked.text is None else clicked.text
    if not _one_at_a_time.acquire(blocking=False):
        raise HTTPException(503, "another camera is being calibrated: try again in a moment")
    try:
        known, whole = _camera(bay, text, camera)
        points = [FloorPoint(**point.model_dump()) for point in clicked.points]
        found = calibrate_by_file(points, known, _lens(known, clicked))
        after = with_calibration(text, bay, camera, found.pose, found.intrinsics)
    except (CalibrationError, ConfigError) as error:
        raise HTTPException(422, "; ".join(_faults(bay, error))) from error
    finally:
        _one_at_a_time.release()
    marks = {name: (mark.x, mark.y, mark.z) for name, mark in whole.witnesses.items()}
    taken = mistaken(found, known, whole) or misnamed(found, known, marks)
    return CalibratedCamera(
        bay_id=bay,
        camera=camera,
        values=_values(found),
        points=[
            PointError(
                name=one.point.name,
                pixels=round(one.pixels, 2),
                floor_cm=round(one.floor_cm, 1),
                unseen_cm=None if one.unseen_cm is None else round(one.unseen_cm, 1),
                left_out=one.left_out,
            )
            for one in found.residuals
        ],
        rms_px=round(found.rms_px, 3),
        rms_cm=round(found.rms_cm, 2),
        unseen_cm=None if found.unseen_cm is None else round(found.unseen_cm, 2),
        floor_std_cm=round(found.floor_std_cm, 2),
        doubts=doubts(found) + taken,
        notes=[*found.notes, *found.lines_of_outside(), *([] if taken else far_off(found, known))],
        diff=_difference(bay, after),
        text=after,
    )


def _checked(bay: str, text: str) -> CheckedFile:
    try:
        found = parse_bay(bay_file(bay), text, bay)
    except ConfigError as error:
        return _faulty(bay, text, _faults(bay, error))
    return CheckedFile(
        bay_id=bay,
        faults=[],
        diff=_difference(bay, text),
        width=found.layout.width,
        height=found.layout.height,
        areas=area_outlines(found),
        cameras=camera_views(found),
        text=text,
    )


def _faulty(bay: str, text: str, faults: list[str]) -> CheckedFile:
    diff = _difference(bay, text)
    return CheckedFile(bay_id=bay, faults=faults, diff=diff, width=0, height=0, areas=[], cameras=[], text=text)


def _faults(bay: str, error: Exception) -> list[str]:
    """Of an error its lines, without this host's folders."""
    return str(error).replace(f"{bay_file(bay).parent}/", "").splitlines()


def _difference(bay: str, text: str) -> str:
    path = bay_file(bay)
    before, after = read_text(path).splitlines(keepends=True), text.splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, f"a/bays/{path.name}", f"b/bays/{path.name}"))


def _camera(bay: str, text: str, name: str) -> tuple[Camera, BayConfig]:
    found = parse_bay(bay_file(bay), text, bay)
    try:
        return found.camera(name), found
    except KeyError:
        unknown = unknown_cameras(bay, [name], [camera.name for camera in found.cameras])
        raise HTTPException(404, str(unknown)) from None


def _lens(camera: Camera, clicked: ClickedPoints) -> Intrinsics:
    """The lens to start from, for the frame's own size."""
    from fusion.calibration import resized

    size = (clicked.width, clicked.height)
    if camera.intrinsics is not None:
        given = resized(camera.intrinsics, size)
        return given.with_given_focal(clicked.focal_px) if clicked.focal_px else given
    if clicked.focal_px is None:
        raise CalibrationError(
            f"camera {camera.name} has no intrinsics to start from: give focal_px"
            " (image width x focal length in mm / sensor width in mm)"
        )
    return Intrinsics(width=size[0], height=size[1], focal_px=clicked.focal_px)


def _values(found: "Calibration") -> list[CalibratedValue]:
    held = {one.name: str(one) for one in found.held}
    return [
        CalibratedValue(name=name, value=float(f"{value:.8g}"), std=found.std.get(name), held=held.get(name, ""))
        for name, value in found.values.items()
    ]
