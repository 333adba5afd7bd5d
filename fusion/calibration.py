"""A camera's pose, focal length and distortion from points that are known in its image and on the floor.

The reprojection error is minimised (bundle adjustment of one camera; Hartley and
Zisserman, "Multiple View Geometry", ch. 7), from many starts, so that points on
one plane, which leave closed-form solutions degenerate, need no case of their own.
A parameter is freed only where the points fix it; the others are held, and it is
told why. A point that contradicts the others is left out, and named: the pose is that of the largest agreement
(`fusion.consensus`), and where a third of the points or more is wrong, or another pose has nearly as many on its side,
it is not taken. `doubts` has the limits above which a result is not to be used.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely

from bay_observation.errors import CalibrationError, UncertainCalibrationError
from bay_observation.pictures import opened_picture
from bays import BayConfig, Camera, Intrinsics, Pose
from bays.camera_model import CameraModel, angles_of, rotation
from bays.checking import LEAST_MARKS
from bays.models import LensPrior
from fusion.consensus import Agreements, Problem, agreements
from fusion.resection import (
    CLICK_PX,
    LENS_NAMES,
    POSE_NAMES,
    Bools,
    Fit,
    Floats,
    Guesses,
    Ints,
    Known,
    Points,
    lens_values,
    pixel_scale,
    refined,
    robust_cost,
    step_of,
)

LEAST_POINTS = 4
FOCAL_STD = 0.01
"""How well the focal length of a bay's file is known, as a share of it: it was measured once."""

DATA_SHEET_STD = 0.05
"""The same of a focal length that a person gives for a camera of which the file says none."""

# In this order: what is freed, points needed, how far out in the image they must reach (share of the
# half diagonal), and the largest standard deviation at which it is worth freeing.
_STAGES: tuple[tuple[tuple[str, ...], int, float, float], ...] = (
    (("focal_px",), 6, 0.0, 0.02),  # relative to the focal length
    (("k1",), 8, 0.55, 0.02),
    (("k2",), 12, 0.7, 0.03),
    (("p1", "p2"), 16, 0.7, 0.002),
    (("k3",), 24, 0.85, 0.05),
)
# The same of what few lenses have; freed only where the points show that it is not as given.
_SELDOM: tuple[tuple[tuple[str, ...], int, float, float], ...] = (
    (("aspect",), 12, 0.55, 0.006),
    (("cx", "cy"), 16, 0.7, 0.006),  # relative to the focal length
)
_DIFFERS = 3.0  # standard deviations
# What is held may be off by so much (standard deviation); the middle by a share of the width, the focal length by one
# of itself.
_USUALLY_OFF = {"aspect": 0.002, "k1": 0.02, "k2": 0.02, "p1": 5e-4, "p2": 5e-4, "k3": 0.02}
_FOCAL_OFF, _MIDDLE_OFF = 0.02, 0.005
UNKNOWN_BEND = 0.1  # the same of k1 where nobody has measured the lens's bend: that of the usual wide lens
# What such a lens is tried with: straight, as usual, as the widest ones are.
_BENDS = ((0.0, 0.0, 0.0, 0.0, 0.0), (-0.12, 0.03, 0.0, 0.0, 0.0), (-0.3, 0.09, 0.0, 0.0, 0.0))
_AS_WELL = 1.5  # careful clicks: so far off (root mean square) points may be, and be explained
_COLLINEAR = 0.02  # smaller over larger extent of the points, under which they lie on a line
_OUTLIER_STD = 5.0
_OUTLIER_PX = 6.0  # in an image 1920 wide, four careful clicks (`CLICK_PX`): no contradiction, however well others fit
_MOST_OUTLIERS = 1 / 3
_ROUNDS = 3  # in which points are taken back
_AGREEING_PX = 20.0  # what a lens held wrong may put a good point off by; a wrong one is off by more
_CONTRADICTED = 2.0  # standard deviations from which the points contradict what is known beforehand
_SAMPLE = 4  # points that fix a pose
_NEAR_M, _NEAR_DEG = 2.0, 10.0  # a pose as planned or as it was, and the one that is found
# Limits of a result that is to be used.
_MOST_TURN_DEG = 0.25  # standard deviation of a turn about any axis: two of them are half a degree
_MOST_FLOOR_CM = 25.0
_MOST_RMS_PX = 5.0
_AS_GOOD = 4.0  # cost by which a second pose may be worse and still be possible
_ELSEWHERE = 0.2  # of the distance to the points, from which it is another pose
_STARTS_KEPT = 8
_DISTANCES = (0.7, 1.0, 1.5, 2.2, 3.5)  # of what the points' extent suggests
_TILTS = (15.0, 30.0, 45.0, 60.0, 80.0)
_PANS = 16
_FOCAL_SHARES = (0.45, 0.6, 0.8, 1.05, 1.4, 1.9)  # of the image's width: a view of 96 to 29 degrees


@dataclass(frozen=True)
class FloorPoint:
    """A point known in the image (pixels) and in the bay (metres, floor frame).

    `where` is the file and line that it is from, for messages.
    """

    name: str
    u: float
    v: float
    x: float
    y: float
    z: float = 0.0
    where: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.where}: point {self.name}" if self.where else f"point {self.name}"


@dataclass(frozen=True)
class PointResidual:
    """How far off one point is.

    `pixels` is its reprojection error, `floor_cm` how far from the point its pixel meets
    the plane of the point's height. `unseen_cm` is the same by the camera as the other
    points alone give it: what to expect of a place that was not clicked. `left_out`
    points had no say.
    """

    point: FloorPoint
    pixels: float
    floor_cm: float
    unseen_cm: float | None
    left_out: bool = False


@dataclass(frozen=True)
class Held:
    """A parameter that was not estimated.

    Attributes:
        name: of it.
        value: that it was held at.
        reason: why, in words.
        off: what such a value usually is off by (standard deviation), in its own unit.
        cost_cm: how far places between the points are off then, in the median, the rest of the camera fitted to it.
            Like `off`, None where no floor between the points is in view.
    """

    name: str
    value: float
    reason: str
    off: float | None = None
    cost_cm: float | None = None

    def __str__(self) -> str:
        if self.off is None or self.cost_cm is None:
            return self.reason
        return f"{self.reason}; off by {self.off:.2g}, it puts places off by {self.cost_cm:.1f} cm"


@dataclass(frozen=True)
class Calibration:
    """A calibrated camera.

    Attributes:
        pose: estimated.
        intrinsics: estimated or held, see `held`.
        std: standard deviation of every estimated value, by its name in the bay's file; what is held is taken as for
            `floor_std_cm`.
        held: what was not estimated, and what that costs.
        residuals: of every point.
        rms_px: reprojection error of the points used.
        rms_cm: floor error of the points used.
        unseen_cm: the same for each point by a camera calibrated without it; None where too few points allow it.
        floor_std_cm: standard deviation of a floor position, in the median over the floor between the points; what is
            held is taken as exact, but for the bend of a lens of which none is known.
        turn_std_deg: standard deviation of the camera's turn about the axis about which it is known least. Pan and roll
            of a camera that looks down steeply are each known badly, and together well.
        notes: what a person should know of it.
        outside: points whose pixel lies outside of the image; they had no say and have no residual.
        above: the same of points that look above the horizon.
    """

    pose: Pose
    intrinsics: Intrinsics
    std: dict[str, float]
    held: tuple[Held, ...]
    residuals: tuple[PointResidual, ...]
    rms_px: float
    rms_cm: float
    unseen_cm: float | None
    floor_std_cm: float
    turn_std_deg: float
    notes: tuple[str, ...] = field(default_factory=tuple)
    outside: tuple[FloorPoint, ...] = ()
    above: tuple[FloorPoint, ...] = ()

    @property
    def values(self) -> dict[str, float]:
        """The pose and the lens by the names of the bay's file: metres, degrees, pixels."""
        lens = self.intrinsics.model_dump(include={"focal_px", "fy", "cx", "cy"}, exclude_none=True)
        bend = dict(zip(("k1", "k2", "p1", "p2", "k3"), self.intrinsics.distortion, strict=True))
        return self.pose.model_dump(exclude_none=True) | lens | bend

    def moved_m(self, before: Pose) -> float:
        """How far it hangs from where it was thought to, metres."""
        return _apart_m(self.pose, before)

    def turned_deg(self, before: Pose) -> float:
        """The angle of the turn from how it was thought to look, degrees."""
        return _turn_deg(self.pose, before)

    @property
    def left_out(self) -> tuple[PointResidual, ...]:
        """Points that contradict the others."""
        return tuple(residual for residual in self.residuals if residual.left_out)

    @property
    def without_say(self) -> int:
        """How many points had none: they contradict the others, lie outside of the image or look above the horizon."""
        return len(self.left_out) + len(self.outside) + len(self.above)

    def lines_of_left_out(self) -> list[str]:
        """Each point that had no say, with why."""
        contradict = [
            f"LEFT OUT: {one.point} is {one.pixels:.0f} px off what the other points say: mis-clicked, or wrong"
            " coordinates?"
            for one in self.left_out
        ]
        return [*contradict, *self.lines_of_outside()]

    def lines_of_outside(self) -> list[str]:
        """Each point that lies outside of the image, or looks above the horizon."""
        size = f"{self.intrinsics.width} x {self.intrinsics.height}"
        above = [
            f"LEFT OUT: {one}: pixel ({one.u:g}, {one.v:g}) looks above the horizon: click it again"
            for one in self.above
        ]
        return above + [
            f"LEFT OUT: {one}: pixel ({one.u:g}, {one.v:g}) lies outside of the image of {size}: click it again"
            for one in self.outside
        ]


def calibrate(
    points: Sequence[FloorPoint],
    intrinsics: Intrinsics,
    pose: Pose | None = None,
    focal_std: float | None = FOCAL_STD,
    focal_px: float | None = None,
) -> Calibration:
    """Estimate a camera from its points.

    Args:
        points: at least four that do not lie on a line.
        intrinsics: image size and principal point, which are taken as they are; focal
            length and distortion where the points do not fix them.
        pose: the file's, one of the starts; None when it is not known.
        focal_std: how well the given focal length is known, as a share of it (standard deviation). It counts beside
            the points as long as they do not contradict it; None where it is a guess.
        focal_px: the focal length that is known so, where that is not the given one.

    Raises:
        CalibrationError: too few points, points on a line, more than a third of them outside of the image or
            above the horizon, or one twice.
        UncertainCalibrationError: more than a third of the points contradict the others or lie outside of the image,
            or two poses explain them equally well.
    """
    inside, outside = _parted(points, intrinsics)
    _check(inside)
    seen = _arrays(inside)
    mean = focal_px or intrinsics.focal_px
    known = None if focal_std is None else Known(mean, focal_std * mean)
    solution, held = _solved(seen, intrinsics, pose, known)
    above = _above_horizon(inside, solution.camera.exact())
    if above:
        rest = [point for point in points if point not in above]
        if len(above) + len(outside) > _MOST_OUTLIERS * len(points) or len(inside) - len(above) < LEAST_POINTS:
            raise _above(above[0])
        result = calibrate(rest, intrinsics, pose, focal_std, focal_px)
        result = replace(result, above=(*above, *result.above))
        if result.without_say > _MOST_OUTLIERS * len(points):
            raise _too_few_agree(len(points) - result.without_say, len(points))
        return result
    result = replace(_report(inside, seen, solution, held), outside=outside)
    if outside and result.without_say > _MOST_OUTLIERS * len(points):
        raise _too_few_agree(len(points) - result.without_say, len(points))
    return result


def _solved(
    points: Points, given: Intrinsics, pose: Pose | None, known: Known | None
) -> tuple["_Solution", tuple[Held, ...]]:
    """The solution from the lens as given; of which no bend is known, from bent ones too, where they explain more.

    By a lens that is taken for straight, the points near the corners, which alone show its bend, look mis-clicked.
    """
    if any(given.distortion):
        return _freed(points, _agreed(points, given, pose), given, known)
    refused: UncertainCalibrationError | None = None
    best: tuple[_Solution, tuple[Held, ...]] | None = None
    for bend in _BENDS:
        if best is not None and best[0].used.all():
            break
        lens = given.model_copy(update={"distortion": bend})
        try:
            found = _freed(points, _agreed(points, lens, pose), lens, known)
        except UncertainCalibrationError as error:
            refused = refused or error
            continue
        if not any(bend) or ("k1" in found[0].free and (best is None or _explains_more(found[0], best[0], points))):
            best = found
    if best is None:
        assert refused is not None  # noqa: S101 - of each lens there is a solution or an error
        raise refused
    return best


def _explains_more(solution: "_Solution", than: "_Solution", points: Points) -> bool:
    """Whether it leaves out fewer points, and those that it uses fit as well."""
    limit = max(_rms_of(than, points), _AS_WELL * CLICK_PX * pixel_scale(than.camera.given))
    return solution.used.sum() > than.used.sum() and _rms_of(solution, points) <= limit


def _rms_of(solution: "_Solution", points: Points) -> float:
    return _rms(solution.camera.errors(points)[0][solution.used])


def calibrate_without_lens(
    points: Sequence[FloorPoint], size: tuple[int, int], pose: Pose | None = None
) -> Calibration:
    """Estimate a camera of whose lens nothing is known, from focal lengths of a very wide to a long lens.

    Args:
        points: as for `calibrate`.
        size: (width, height) of the image.
        pose: as for `calibrate`.

    Raises:
        CalibrationError: as for `calibrate`.
        UncertainCalibrationError: the points do not fix the focal length.
    """
    found: list[Calibration] = []
    refused: CalibrationError | None = None
    for share in _FOCAL_SHARES:
        given = Intrinsics(width=size[0], height=size[1], focal_px=share * size[0])
        try:
            result = calibrate(points, given, pose, focal_std=None)
        except CalibrationError as error:
            refused = error
        else:
            if "focal_px" in result.std:
                found.append(result)
    if found:
        return min(found, key=lambda result: (len(result.left_out), result.rms_px))
    if refused is not None:
        raise refused
    raise UncertainCalibrationError(
        "the points do not fix the focal length: add points, nearer to the image's corners, or give --focal in pixels"
        " (image width x focal length in mm / sensor width in mm)"
    )


def calibrate_by_file(points: Sequence[FloorPoint], camera: Camera, lens: Intrinsics | tuple[int, int]) -> Calibration:
    """Estimate a camera of a bay from its points, beside what its file says of the lens.

    What was known of the focal length before any points were used counts, and not what the same points have said
    before: `Intrinsics.prior` keeps it, so that points which are used again count once.

    Args:
        points: as for `calibrate`.
        camera: as the bay's file has it; its pose is one of the starts.
        lens: to start from, for the image's own size; the size alone where no lens is known.

    Raises:
        CalibrationError: as for `calibrate`.
        UncertainCalibrationError: as for `calibrate` and `calibrate_without_lens`.
    """
    result: Calibration
    if not isinstance(lens, Intrinsics):
        result, prior = calibrate_without_lens(points, lens, camera.pose), LensPrior()
    elif lens.prior is not None and lens.prior.focal_px is None:
        result, prior = _without_known_lens(points, lens, camera.pose), lens.prior
    else:
        std = FOCAL_STD if camera.intrinsics is not None else DATA_SHEET_STD
        prior = lens.prior or LensPrior(focal_px=lens.focal_px, std=std)
        result = calibrate(points, lens, camera.pose, prior.std, prior.focal_px)
    if "focal_px" not in result.std:
        return result
    return replace(result, intrinsics=result.intrinsics.model_copy(update={"prior": prior}))


def _without_known_lens(points: Sequence[FloorPoint], lens: Intrinsics, pose: Pose | None) -> Calibration:
    """By points alone, as the lens of the file was found; with that lens where they do not fix one."""
    try:
        return calibrate_without_lens(points, (lens.width, lens.height), pose)
    except UncertainCalibrationError:
        return calibrate(points, lens, pose, focal_std=None)


def _arrays(points: Sequence[FloorPoint]) -> Points:
    return Points(np.array([(p.u, p.v) for p in points]), np.array([(p.x, p.y, p.z) for p in points]))


def _parted(
    points: Sequence[FloorPoint], intrinsics: Intrinsics
) -> tuple[Sequence[FloorPoint], tuple[FloorPoint, ...]]:
    """The points within the image, and those outside of it; where these are too many, the image has another size."""
    refuse_doubled(points)
    for point in points:
        if not np.isfinite([point.u, point.v, point.x, point.y, point.z]).all():
            raise CalibrationError(f"{point}: holds a number that is not finite")
    outside = tuple(
        point for point in points if not (0 <= point.u <= intrinsics.width and 0 <= point.v <= intrinsics.height)
    )
    inside = [point for point in points if point not in outside]
    if outside and (len(outside) > _MOST_OUTLIERS * len(points) or len(inside) < LEAST_POINTS):
        one, others = outside[0], len(outside) - 1
        more = f" (and {others} more of {len(points)} points)" if others else ""
        raise CalibrationError(
            f"{one}: pixel ({one.u:g}, {one.v:g}) lies outside of the image of "
            f"{intrinsics.width} x {intrinsics.height}{more}: click it again, or say the image's own size"
        )
    return inside, outside


def _check(points: Sequence[FloorPoint]) -> None:
    if len(points) < LEAST_POINTS:
        raise CalibrationError(f"{len(points)} points where at least {LEAST_POINTS} are needed: click more")
    seen = _arrays(points)
    _refuse_line(seen.places, "on the floor", 1e-3)
    _refuse_line(seen.pixels, "in the image", 1.0)


def refuse_doubled(points: Sequence[FloorPoint]) -> None:
    """Two points of one name: which one a mark was clicked at is not known.

    Raises:
        CalibrationError: with the second one.
    """
    names: set[str] = set()
    for point in points:
        if point.name in names:
            raise CalibrationError(f"{point} is given twice: leave one out, or give it a name of its own")
        names.add(point.name)


def _refuse_line(coordinates: Floats, where: str, least: float) -> None:
    extent = np.linalg.svd(coordinates - coordinates.mean(axis=0), compute_uv=False)
    if extent[1] < max(_COLLINEAR * extent[0], least):
        raise CalibrationError(
            f"the points lie on one line {where}: add points to its side, as far from it as the view allows"
        )


def doubts(result: Calibration) -> list[str]:
    """Why a result is not to be used: what exceeds the limits, in words; empty where nothing does."""
    found = []
    left_out, used = result.without_say, len(result.residuals) - len(result.left_out)
    if result.turn_std_deg > _MOST_TURN_DEG:
        found.append(f"its direction is known to ± {result.turn_std_deg:.2f}° only, and {_MOST_TURN_DEG}° is wanted")
    if result.floor_std_cm > _MOST_FLOOR_CM:
        found.append(f"a place is known to ± {result.floor_std_cm:.0f} cm only, and {_MOST_FLOOR_CM:.0f} cm is wanted")
    most = _MOST_RMS_PX * pixel_scale(result.intrinsics)
    if result.rms_px > most:
        found.append(f"the points are {result.rms_px:.1f} px off, and {most:.1f} px is the most")
    if used < LEAST_MARKS + left_out:
        found.append(f"{used} points agree{f' and {left_out} do not' if left_out else ''}: too few to be sure of it")
    return found


def mistaken(result: Calibration, camera: Camera, bay: BayConfig) -> list[str]:
    """Whether the points are another camera's, in words; empty where they are not.

    They are where that one hangs as they say, by the bay's file, and this one does not.
    """
    if camera.pose is None or _is_near(result.pose, camera.pose):
        return []
    return [
        f"so hangs {other.name} by the bay's file, {_apart_m(result.pose, camera.pose):.0f} m from {camera.name}:"
        f" are these the points of {other.name}?"
        for other in bay.cameras
        if other.name != camera.name and other.pose is not None and _is_near(result.pose, other.pose)
    ]


def _is_near(pose: Pose, other: Pose) -> bool:
    return _apart_m(pose, other) <= _NEAR_M and _turn_deg(pose, other) <= _NEAR_DEG


def _turn_deg(pose: Pose, other: Pose) -> float:
    turn = rotation(pose) @ rotation(other).T
    return float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))


def _apart_m(pose: Pose, other: Pose) -> float:
    return math.dist((pose.x, pose.y, pose.z), (other.x, other.y, other.z))


def image_size(frame: bytes) -> tuple[int, int]:
    """(width, height) in pixels of a JPEG or PNG.

    Raises:
        CalibrationError: the bytes are no image.
    """
    try:
        with opened_picture(frame) as image:
            return image.size
    except OSError as error:
        raise CalibrationError(f"the frame is no image that can be read ({len(frame)} bytes)") from error


def resized(intrinsics: Intrinsics, size: tuple[int, int]) -> Intrinsics:
    """The same lens for an image of another size, as a camera gives where its resolution is changed.

    Raises:
        CalibrationError: the size has another shape, so that part of the image was cut off.
    """
    width, height = size
    if (width, height) == (intrinsics.width, intrinsics.height):
        return intrinsics
    ratio = width / intrinsics.width
    if abs(height - ratio * intrinsics.height) > 1:
        raise CalibrationError(
            f"the frame is {width} x {height}, the file's intrinsics are of {intrinsics.width} x {intrinsics.height}:"
            " give a picture of this camera as it is now (--frame); where its image has this shape now, remove them"
            " from the bay's file and give --focal"
        )
    scaled = {name: None if value is None else value * ratio for name, value in _principal(intrinsics).items()}
    lens = intrinsics.with_focal(intrinsics.focal_px * ratio)
    prior = intrinsics.prior
    if prior is not None and prior.focal_px is not None:
        prior = prior.model_copy(update={"focal_px": prior.focal_px * ratio})
    return lens.model_copy(update={"width": width, "height": height, "prior": prior, **scaled})


def _principal(intrinsics: Intrinsics) -> dict[str, float | None]:
    return {"cx": intrinsics.cx, "cy": intrinsics.cy}


def _agreed(points: Points, intrinsics: Intrinsics, pose: Pose | None) -> "_Solution":
    """The pose of the largest agreement, the lens as given, and the points that agree."""
    count = len(points)
    problem = Problem[Guesses](
        count,
        refined=lambda guesses, rows: refined(guesses, points, POSE_NAMES, rows, robust=True, most=20),
        errors=lambda guesses: guesses.errors(points),
        tolerance=_AGREEING_PX * pixel_scale(intrinsics),
        sample=_SAMPLE,
    )
    found = agreements(problem, _solved_poses(points, intrinsics, pose))
    found = found.take(np.flatnonzero(_possible(found.models)))
    if not len(found.models):
        raise CalibrationError("no camera above the floor sees these points so: check their order and their units")
    best = int(found.count[0])
    if count - best > _MOST_OUTLIERS * count:
        raise _too_few_agree(best, count)
    _refuse_rivals(points, found)
    return _Solution(found.models.take(np.array([0])), found.agree[0], POSE_NAMES)


def _too_few_agree(best: int, count: int) -> UncertainCalibrationError:
    return UncertainCalibrationError(
        f"only {best} of {count} points agree on one pose: more than a third is mis-clicked, or has wrong"
        " coordinates, or the image is of another camera or lens: look at all of them again"
    )


def _refuse_rivals(points: Points, found: Agreements[Guesses]) -> None:
    """Another pose with nearly as many points on its side: the points do not decide."""
    ours = found.models.position[0]
    away = np.linalg.norm(found.models.position - ours, axis=1)
    elsewhere = away > _ELSEWHERE * np.linalg.norm(ours - points.places.mean(axis=0))
    if found.count[0] == len(points):
        costs = robust_cost(found.models.residuals(points), _loss_px(found.models.given))
        as_good = (found.count == len(points)) & (costs <= costs[0] + _AS_GOOD)
    else:
        as_good = found.count >= found.count[0] - 1
    rivals = np.flatnonzero(elsewhere & as_good)
    if len(rivals):
        x, y, z = found.models.position[rivals[0]]
        raise UncertainCalibrationError(
            f"two poses explain these points: at ({ours[0]:.1f}, {ours[1]:.1f}, {ours[2]:.1f}) and at "
            f"({x:.1f}, {y:.1f}, {z:.1f}): they lie too close together, or one of them is clicked wrong and decides"
            " between the two. Look at each point in the picture and click a wrong one again; if none is wrong, add"
            " points, spread over the whole image"
        )


def _solved_poses(points: Points, intrinsics: Intrinsics, pose: Pose | None) -> Guesses:
    """Poses from many starts, the lens as given, the best first."""
    starts = _starts(points, intrinsics)
    if pose is not None:
        starts = Guesses.of([pose], intrinsics).joined(starts)
    solved = refined(starts, points, POSE_NAMES, robust=True, most=60)
    solved = solved.take(_possible(solved))
    if not len(solved):
        raise CalibrationError("no camera above the floor sees these points so: check their order and their units")
    return solved.take(np.argsort(robust_cost(solved.residuals(points), _loss_px(intrinsics)), kind="stable"))


def _loss_px(intrinsics: Intrinsics) -> float:
    return 2 * CLICK_PX * pixel_scale(intrinsics)


def _possible(guesses: Guesses) -> Bools:
    """(k,) whether a bay's file could hold the position."""
    x, y, z = guesses.position.T
    return np.asarray((z > 0) & (z <= 200) & (np.maximum(np.abs(x), np.abs(y)) <= 1000))


def _starts(points: Points, intrinsics: Intrinsics) -> Guesses:
    """Cameras all round that look at the middle of the points, the most fitting ones."""
    middle, centre = points.places.mean(axis=0), points.pixels.mean(axis=0)
    extent = np.linalg.norm(points.places - middle, axis=1).mean()
    seen = np.linalg.norm(points.pixels - centre, axis=1).mean()
    usual = intrinsics.focal_px * extent / max(seen, 1.0)
    ray = np.array([*((centre - intrinsics.principal_point) / intrinsics.focal_px), 1.0])
    found = Guesses.of(
        [
            Pose(x=0, y=0, z=1, pan=float(pan), tilt=tilt)
            for pan in np.arange(_PANS) * 360 / _PANS
            for tilt in _TILTS
            for _ in _DISTANCES
        ],
        intrinsics,
    )
    direction = ray / np.linalg.norm(ray) @ found.rotation
    share = np.tile(_DISTANCES, _PANS * len(_TILTS))
    found = replace(found, position=middle - direction * (usual * share)[:, None]).take(direction[:, 2] <= -0.05)
    costs = robust_cost(found.residuals(points), _loss_px(intrinsics))
    return found.take(np.argsort(costs, kind="stable")[:_STARTS_KEPT])


@dataclass(frozen=True)
class _Solution:
    """A fit that leaves out the points that contradict the others."""

    camera: Guesses  # one
    used: Bools
    free: tuple[str, ...]
    known: Known | None = None

    def fit(self, points: Points) -> Fit:
        """Covariance and noise, by the points that are used."""
        return Fit.of(self.camera, points.take(self.used), self.free, known=self.known)


def _freed(
    points: Points, agreed: _Solution, given: Intrinsics, known: Known | None
) -> tuple[_Solution, tuple[Held, ...]]:
    """Free as much of the lens as the points fix; points that agreed only once it was free have a say too.

    The agreement is of the lens as given. A point that the freed one has within `_OUTLIER_PX` contradicts nothing: no
    used point is left out for so little.
    """
    found = _freed_once(points, agreed, given, known)
    for _ in range(_ROUNDS):
        near = found[0].camera.errors(points)[0] <= _OUTLIER_PX * pixel_scale(given)
        if not (near & ~found[0].used).any():
            break
        again = _freed_once(points, replace(agreed, used=found[0].used | near), given, known)
        if again[0].used.sum() <= found[0].used.sum():
            break
        found = again
    return found


def _freed_once(
    points: Points, agreed: _Solution, given: Intrinsics, known: Known | None
) -> tuple[_Solution, tuple[Held, ...]]:
    """Free as much of the lens as the points fix, the most first: a lens held wrong makes good points look bad."""
    held: list[Held] = []
    for last in range(len(_STAGES), 0, -1):
        names, least, reach, largest = _STAGES[last - 1]
        reason = _why_not(points.take(agreed.used), given, least, reach)
        if reason is None:
            free = (*POSE_NAMES, *(name for stage in _STAGES[:last] for name in stage[0]))
            solution = _by_what_is_known(points, _consistent(points, agreed, free), known)
            fit = solution.fit(points)
            focal = float(solution.camera.lens[0, 0])
            std = max(fit.std(name) / (focal if name == "focal_px" else 1.0) for name in names)
            if std <= largest and _sound(solution, points):
                solution, seldom = _with_what_differs(solution, points, given)
                return solution, (*seldom, *reversed(held))
            reason = f"the points leave it at ± {std:.2g}, and ± {largest:g} is wanted"
        held += [Held(name, _lens_value(given, name), reason) for name in reversed(names)]
    why = "the focal length is held"
    held += [Held(name, _lens_value(given, name), why) for names, *_ in reversed(_SELDOM) for name in reversed(names)]
    return _consistent(points, agreed, POSE_NAMES), tuple(reversed(held))


def _with_what_differs(solution: _Solution, points: Points, given: Intrinsics) -> tuple[_Solution, list[Held]]:
    """Free also what few lenses have, where the points show that this one has it."""
    held: list[Held] = []
    for names, least, reach, largest in _SELDOM:
        reason = _why_not(points.take(solution.used), given, least, reach)
        if reason is None:
            tried = _consistent(points, solution, (*solution.free, *names), solution.known)
            fit, focal = tried.fit(points), float(tried.camera.lens[0, 0])
            found = tried.camera.lens[0] - solution.camera.lens[0]
            change = {name: abs(float(found[LENS_NAMES.index(name)])) for name in names}
            std = max(fit.std(name) / (1.0 if name == "aspect" else focal) for name in names)
            if std > largest or not _sound(tried, points):
                reason = f"the points leave it at ± {std:.2g}, and ± {largest:g} is wanted"
            elif all(change[name] <= _DIFFERS * fit.std(name) for name in names):
                reason = "the points do not differ from it"
            else:
                solution = tried
                continue
        held += [Held(name, _lens_value(given, name), reason) for name in names]
    return solution, held


def _by_what_is_known(points: Points, alone: _Solution, known: Known | None) -> _Solution:
    """The fit with what is known beforehand, unless the points alone contradict it."""
    if known is None:
        return alone
    off = abs(float(alone.camera.lens[0, 0]) - known.focal_px)
    if off > _CONTRADICTED * np.hypot(alone.fit(points).std("focal_px"), known.std_px):
        return alone
    return _consistent(points, alone, alone.free, known)


def _why_not(points: Points, given: Intrinsics, least: int, reach: float) -> str | None:
    if len(points) < least:
        return f"{len(points)} points, and {least} are needed"
    half_diagonal = np.hypot(given.width, given.height) / 2
    outwards = np.linalg.norm(points.pixels - given.principal_point, axis=1)
    farthest = float(np.sort(outwards)[-2:].min() / half_diagonal)
    if farthest < reach:
        return f"the points reach {farthest:.0%} of the way to the image's corners, and {reach:.0%} is needed"
    return None


def _sound(solution: _Solution, points: Points) -> bool:
    """Whether the lens does not fold the image over within the points."""
    _, valid = solution.camera.exact().project(points.take(solution.used).places)
    return bool(valid.all())


def _lens_value(intrinsics: Intrinsics, name: str) -> float:
    return float(lens_values(intrinsics)[LENS_NAMES.index(name)])


def _consistent(points: Points, agreed: _Solution, free: tuple[str, ...], known: Known | None = None) -> _Solution:
    """Fit, and leave out points that the others contradict, one by one, the worst first."""
    solution = replace(agreed, free=free, known=known)
    solution = replace(solution, camera=_fitted(points, solution, solution.used[None]))
    while (~solution.used).sum() < int(_MOST_OUTLIERS * len(points)) and _spare(solution.used.sum() - 1, free):
        rows = np.flatnonzero(solution.used)
        judged = _contradictions(points, solution, rows)
        worst = int(judged.argmax())
        if judged[worst] <= 1:
            break
        used = solution.used & (np.arange(len(points)) != rows[worst])
        solution = replace(solution, camera=_fitted(points, solution, used[None]), used=used)
    return solution


def _fitted(points: Points, solution: _Solution, rows: Bools, *, robust: bool = False) -> Guesses:
    """The camera by each of some choices (k, n) of points."""
    free, known = solution.free, solution.known
    starts = solution.camera.take(np.zeros(len(rows), dtype=np.int64))
    found = refined(starts, points, free, rows, known=known, robust=True)
    return found if robust else refined(found, points, free, rows, known=known)


def _contradictions(points: Points, solution: _Solution, rows: Ints) -> Floats:
    """How far each of these points is from where the others put it, as a multiple of what is still likely."""
    rest = solution.used & ~np.eye(len(points), dtype=bool)[rows]
    cameras = _fitted(points, solution, rest, robust=True)
    fit = Fit.of(cameras, points, solution.free, rest, solution.known)
    each = np.arange(len(rows))
    slope = cameras.slopes(points, solution.free)[each, rows]
    covariance = slope @ fit.covariance @ np.swapaxes(slope, -1, -2)
    likely = np.sqrt(np.linalg.eigvalsh(covariance)[:, -1] + fit.sigma_px**2)
    least = _OUTLIER_PX * pixel_scale(cameras.given)
    return np.asarray(cameras.errors(points)[each, rows] / np.maximum(least, _OUTLIER_STD * likely))


def _spare(count: int, names: tuple[str, ...]) -> bool:
    """Whether so many points still contradict one another where one is wrong."""
    return 2 * count >= len(names) + 2


def _above_horizon(points: Sequence[FloorPoint], model: CameraModel) -> tuple[FloorPoint, ...]:
    """The points whose pixel meets no floor by the camera that all of them give."""
    return tuple(
        point for point in points if not np.isfinite(model.to_plane(np.array([point.u, point.v]), point.z)).all()
    )


def _above(point: FloorPoint) -> CalibrationError:
    return CalibrationError(
        f"{point}: pixel ({point.u:g}, {point.v:g}) looks above the horizon by the camera that the "
        "other points give, so nothing on the floor shows there: click it again or remove it"
    )


def _report(given: Sequence[FloorPoint], points: Points, solution: _Solution, held: tuple[Held, ...]) -> Calibration:
    camera, used = solution.camera, solution.used
    fit = solution.fit(points)
    held = _with_costs(held, points.take(used), camera, fit, solution.known)
    unknown = [one for one in held if one.off is not None and one.cost_cm is not None and _is_unknown(one.name, camera)]
    considered = _considered(fit, unknown, points.take(used), camera)
    model = camera.rounded()
    pixels = camera.errors(points)[0]
    floor = _floor_cm(points, model)
    unseen = _unseen_cm(points, solution)
    residuals = tuple(
        PointResidual(point, float(pixels[row]), float(floor[row]), unseen[row], left_out=not used[row])
        for row, point in enumerate(given)
    )
    unseen_cm = [one.unseen_cm for one in residuals if one.unseen_cm is not None and not one.left_out]
    return Calibration(
        pose=model.pose,
        intrinsics=model.intrinsics,
        std=_stds(considered, camera),
        held=held,
        residuals=residuals,
        rms_px=_rms(pixels[used]),
        rms_cm=_rms(floor[used]),
        unseen_cm=_rms(np.array(unseen_cm)) if unseen_cm else None,
        floor_std_cm=math.hypot(
            _floor_std_cm(points.take(used), camera, fit), *(one.cost_cm or 0.0 for one in unknown)
        ),
        turn_std_deg=_turn_std_deg(considered),
        notes=_notes(points, solution),
    )


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _floor_cm(points: Points, model: CameraModel) -> Floats:
    """(n,) how far from its place each point's pixel meets the plane at the point's height."""
    met = np.array([model.to_plane(uv, place[2]) for uv, place in zip(points.pixels, points.places, strict=True)])
    return np.asarray(np.linalg.norm(met - points.places[:, :2], axis=1) * 100)


def _unseen_cm(points: Points, solution: _Solution) -> list[float | None]:
    """For each point its floor error by the camera that the other points give."""
    rest = solution.used & ~np.eye(len(points), dtype=bool)
    cameras = _fitted(points, solution, rest)
    result: list[float | None] = []
    for row, others in enumerate(rest):
        alone = np.arange(len(points)) == row
        error = float(_floor_cm(points.take(alone), cameras.exact(row))[0])
        result.append(error if _spare(others.sum(), solution.free) and np.isfinite(error) else None)
    return result


def _stds(fit: Fit, camera: Guesses) -> dict[str, float]:
    """By the names of the bay's file: the turn about the camera's own axes becomes pan, tilt and roll."""
    std = {name: fit.std(name) for name in fit.names if not name.startswith("turn_")}
    turns = [fit.names.index(name) for name in POSE_NAMES[3:]]
    step = 1e-6
    here = np.array(angles_of(camera.rotation[0]))
    around = camera.take(np.zeros(3, dtype=np.int64)).moved(POSE_NAMES[3:], step * np.eye(3))
    slope = np.stack([(np.array(angles_of(one)) - here + 180) % 360 - 180 for one in around.rotation], axis=1)
    angles = np.sqrt(np.diag(slope @ fit.covariance[0][np.ix_(turns, turns)] @ slope.T)) / step
    return std | {name: float(value) for name, value in zip(("pan", "tilt", "roll"), angles, strict=True)}


def _turn_std_deg(fit: Fit) -> float:
    turns = [fit.names.index(name) for name in POSE_NAMES[3:]]
    return float(np.degrees(np.sqrt(np.linalg.eigvalsh(fit.covariance[0][np.ix_(turns, turns)])[-1])))


def _with_costs(
    held: Sequence[Held], points: Points, camera: Guesses, fit: Fit, known: Known | None
) -> tuple[Held, ...]:
    """What each held value costs where it is off as usual: the others are fitted to it, and hide what they can."""
    pixels, places = _between(points, camera)
    if not len(pixels):
        return tuple(held)
    result = []
    for one in held:
        off = _usually_off(one.name, camera, known)
        moved = camera.moved((*fit.names, one.name), np.append(_follow(one.name, off, points, camera, fit), off)[None])
        error = np.linalg.norm(moved.exact().to_plane(pixels) - places[:, :2], axis=1)
        result.append(replace(one, off=off, cost_cm=float(np.nanmedian(error) * 100)))
    return tuple(result)


def _considered(fit: Fit, held: Sequence[Held], points: Points, camera: Guesses) -> Fit:
    """The fit with a covariance that also says what these held values, off as usual, do to the estimated ones.

    Schmidt's consider covariance (Bierman, "Factorization Methods for Discrete Sequential Estimation", ch. VIII).
    """
    covariance = fit.covariance.copy()
    for one in held:
        if one.off is not None:
            follow = _follow(one.name, one.off, points, camera, fit)
            covariance[0] += np.outer(follow, follow)
    return replace(fit, covariance=covariance)


def _follow(name: str, off: float, points: Points, camera: Guesses, fit: Fit) -> Floats:
    """(p,) by how much the estimated values change where a held one is off by so much."""
    own = camera.slopes(points, fit.names)[0].reshape(-1, len(fit.names))
    pushed = camera.slopes(points, (name,))[0].ravel() * off
    return np.asarray(-fit.covariance[0] / fit.sigma_px[0] ** 2 @ (own.T @ pushed))


def _usually_off(name: str, camera: Guesses, known: Known | None) -> float:
    if name == "focal_px":
        return known.std_px if known else _FOCAL_OFF * float(camera.lens[0, 0])
    if _is_unknown(name, camera):
        return UNKNOWN_BEND
    return _MIDDLE_OFF * camera.given.width if name in ("cx", "cy") else _USUALLY_OFF[name]


def _is_unknown(name: str, camera: Guesses) -> bool:
    """Whether it is the bend of a lens that nobody has measured; what a bay's file says else is taken as exact."""
    return name == "k1" and not any(camera.given.distortion)


def _floor_std_cm(points: Points, camera: Guesses, fit: Fit) -> float:
    """Median over places between the points: by how much the camera's uncertainty moves them on the floor."""
    pixels, places = _between(points, camera)
    steps = [1e-4 * step_of(name) for name in fit.names]
    moved = camera.take(np.zeros(len(steps), dtype=np.int64)).moved(fit.names, np.diag(steps))
    slope = np.stack(
        [(moved.exact(row).to_plane(pixels) - places[:, :2]) / step for row, step in enumerate(steps)], axis=-1
    )
    variance = np.einsum("nij,jk,nik->n", slope, fit.covariance[0], slope)
    return float(np.median(np.sqrt(variance)) * 100)


def _between(points: Points, camera: Guesses) -> tuple[Floats, Floats]:
    """Places (n, 3) on the floor between the points, and their pixels (n, 2)."""
    corner = shapely.MultiPoint(points.places[:, :2]).convex_hull
    low_x, low_y, high_x, high_y = corner.bounds
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(low_x, high_x, 9), np.linspace(low_y, high_y, 9)))
    inside = shapely.intersects_xy(corner, x, y)
    places = np.stack([x[inside], y[inside], np.zeros(int(inside.sum()))], axis=1)
    pixels, seen = camera.exact().project(places)
    return pixels[seen], places[seen]


def _notes(points: Points, solution: _Solution) -> tuple[str, ...]:
    notes = []
    if not _spare(len(points) - 1, solution.free):
        notes.append(f"{len(points)} points are too few to single out a mis-clicked one")
    if (~solution.used).sum() == int(_MOST_OUTLIERS * len(points)) > 0:
        count = int((~solution.used).sum())
        notes.append(
            f"{count} of {len(points)} points contradict the rest, as many as may be wrong: look at all of them again"
        )
    return tuple(notes)
