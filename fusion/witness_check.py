"""Which cameras no longer look where they looked when their witnesses were kept: without any block.

All marks together give the camera's turn against its bay's file (`fusion.witness_turn`): a mark that is hidden has
no say, and one that looks like its neighbours has little.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from bays import BayConfig, Camera
from bays.camera_model import CameraModel, angles_of
from bays.checking import LEAST_WITNESSES
from fusion.pose_check import TOLERANCE_DEG, PoseCheck, PoseVerdict
from fusion.resection import Fit, Guesses, Points, refined
from fusion.witness_turn import TURN, Seen, find_turn
from fusion.witnesses import FARTHEST_DEG, KeptMark, Picture, likeness, search_px

_LIKELY = 3.0  # standard deviations
_NEWEST = 3  # frames that decide where they can: a camera that was just knocked looks another way in older ones


def check_witnesses(
    bay: BayConfig,
    kept: Mapping[str, Sequence[KeptMark]],
    frames: Mapping[str, Sequence[Picture]],
    tolerance_deg: float = TOLERANCE_DEG,
) -> tuple[PoseCheck, ...]:
    """Judge every camera that has a pose by its marks, by name.

    Args:
        bay: whose poses are judged.
        kept: marks by camera, from `read_witnesses`.
        frames: of each camera, in grey, the newest last. The newest three are looked at; where these do not decide, as
            marks are hidden in them, all are. A mark's place is its median over them.
        tolerance_deg: a camera that is surely turned by more is out of pose.
    """
    cameras = [camera for camera in bay.cameras if camera.pose is not None and camera.intrinsics is not None]
    checks = [_judged(bay, one, kept.get(one.name, ()), frames.get(one.name, ()), tolerance_deg) for one in cameras]
    return tuple(sorted(checks, key=lambda check: check.camera))


def with_witnesses(by_blocks: Iterable[PoseCheck], by_marks: Iterable[PoseCheck]) -> tuple[PoseCheck, ...]:
    """Each camera's verdict by its marks where they decide, else by the blocks."""
    found = {check.camera: check for check in by_blocks}
    for check in by_marks:
        before = found.get(check.camera)
        if check.verdict is not PoseVerdict.UNDECIDED or before is None:
            found[check.camera] = check
        elif before.verdict is PoseVerdict.UNDECIDED:
            found[check.camera] = replace(before, marks=check.marks, reason=f"{before.reason}; {check.reason}")
    return tuple(found[name] for name in sorted(found))


def _judged(
    bay: BayConfig, camera: Camera, marks: Sequence[KeptMark], frames: Sequence[Picture], tolerance: float
) -> PoseCheck:
    def unknown(reason: str, count: int = 0) -> PoseCheck:
        return PoseCheck(camera.name, PoseVerdict.UNDECIDED, reason, marks=count)

    known = [mark for mark in marks if mark.name in bay.witnesses]
    if len(known) < LEAST_WITNESSES:
        return unknown(f"{len(known)} witnesses of it are kept, and {LEAST_WITNESSES} are needed")
    if not frames:
        return unknown("no frame of it in these batches")
    width, height = CameraModel.of(camera).size
    frames = [frame for frame in frames if frame.shape == (height, width)]
    if not frames:
        return unknown(f"its frames are not of {width} x {height} pixels, as the bay's file says")
    check = _by_turn(bay, camera, known, frames[-_NEWEST:], tolerance)
    if check.verdict is PoseVerdict.UNDECIDED and len(frames) > _NEWEST:
        return _by_turn(bay, camera, known, frames, tolerance)
    return check


def _by_turn(
    bay: BayConfig, camera: Camera, marks: Sequence[KeptMark], frames: Sequence[Picture], tolerance: float
) -> PoseCheck:
    assert camera.pose is not None and camera.intrinsics is not None  # noqa: S101, PT018 - the caller looked
    start = Guesses.of([camera.pose], camera.intrinsics)
    seen = [one for mark in marks if (one := _seen(bay, mark, frames, search_px(camera))).frames]
    turn = find_turn(start, seen)
    count = int(turn.speaking.sum())
    if count >= LEAST_WITNESSES and turn.believed:
        return _check(camera, start, refined(turn.guess, turn.points, TURN), turn.points, tolerance)
    reason = (
        f"{count} of {len(marks)} witnesses agree, too few to rule out chance or another turn: they are hidden, dark,"
        f" or turned by more than {FARTHEST_DEG:g} degrees"
    )
    return PoseCheck(camera.name, PoseVerdict.UNDECIDED, reason, marks=count)


def _seen(bay: BayConfig, mark: KeptMark, frames: Sequence[Picture], radius: int) -> Seen:
    place = bay.witnesses[mark.name]
    found = (likeness(mark, frame, radius) for frame in frames)
    return Seen((place.x, place.y, place.z), [one for one in found if one is not None])


def _check(camera: Camera, before: Guesses, after: Guesses, points: Points, tolerance: float) -> PoseCheck:
    """The verdict on a turn, in degrees."""
    fit = Fit.of(after, points, TURN)
    vector = _turn_between(before, after)
    angle = float(np.degrees(np.linalg.norm(vector)))
    along = vector / max(float(np.linalg.norm(vector)), 1e-12)
    covariance = fit.covariance[0]
    std = float(np.degrees(np.sqrt(max(0.0, along @ covariance @ along))))
    # Roll moves what lies in the middle of the image little: what matters is where the camera looks.
    across = float(np.degrees(np.sqrt(np.linalg.eigvalsh(covariance[:2, :2])[-1])))
    least = max(0.0, angle - _LIKELY * std)
    measured = f"turned by {angle:.2f} ± {std:.2f} degrees by {len(points)} witnesses"
    verdict, reason = PoseVerdict.OK, measured
    if least > tolerance:
        verdict, reason = PoseVerdict.OUT_OF_POSE, f"{measured}, surely by more than {tolerance:g}"
    elif across > tolerance / 2:
        verdict, reason = PoseVerdict.UNDECIDED, f"{measured}, too uncertain for {tolerance:g}"
    old, new = angles_of(before.rotation[0]), angles_of(after.rotation[0])
    pan, tilt, roll = ((b - a + 180) % 360 - 180 for a, b in zip(old, new, strict=True))
    return PoseCheck(
        camera.name,
        verdict,
        reason,
        marks=len(points),
        residual_px=float(np.median(before.errors(points)[0])),
        turned_px=float(np.median(after.errors(points)[0])),
        angle_deg=angle,
        least_deg=least,
        across_std_deg=across,
        pan_deg=pan,
        tilt_deg=tilt,
        roll_deg=roll,
    )


def _turn_between(before: Guesses, after: Guesses) -> NDArray[np.float64]:
    """(3,) rotation vector about the camera's own axes, radians."""
    return np.asarray(Rotation.from_matrix(after.rotation[0] @ before.rotation[0].T).as_rotvec())
