"""A camera's pose, focal length and distortion from points that are known in its image and on the floor.

The reprojection error is minimised (bundle adjustment of one camera; Hartley and
Zisserman, "Multiple View Geometry", ch. 7), from many starts, so that points on
one plane, which leave closed-form solutions degenerate, need no case of their own.
A parameter is freed only where the points fix it; the others are held, and it is
told why. A point that contradicts the others is left out, and named: the pose is that of the largest agreement
(`fusion.consensus`), and where a third of the points or more is wrong, or another pose has nearly as many on its side,
it is not taken. `doubts` has the limits above which a result is not to be used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from bay_observation.errors import CalibrationError, UncertainCalibrationError
from bays import Intrinsics, Pose
from bays.camera_model import CameraModel, angles_of, rotation
from fusion.consensus import Agreement, Problem, agreements

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST_POINTS = 4
CLICK_PX = 1.5  # what a careful click is off by, as long as the points do not show otherwise

_POSE_NAMES = ("x", "y", "z", "turn_1", "turn_2", "turn_3")
_LENS_NAMES = ("focal_px", "k1", "k2", "p1", "p2", "k3")
# In this order: what is freed, points needed, how far out in the image they must reach (share of the
# half diagonal), and the largest standard deviation at which it is worth freeing.
_STAGES: tuple[tuple[tuple[str, ...], int, float, float], ...] = (
    (("focal_px",), 6, 0.0, 0.02),  # relative to the focal length
    (("k1",), 8, 0.55, 0.02),
    (("k2",), 12, 0.7, 0.03),
    (("p1", "p2"), 16, 0.7, 0.002),
    (("k3",), 24, 0.85, 0.05),
)
_PRIOR_WEIGHT = 4.0  # degrees of freedom that CLICK_PX counts as
_COLLINEAR = 0.02  # smaller over larger extent of the points, under which they lie on a line
_OUTLIER_STD = 5.0
_OUTLIER_PX = 6.0
_MOST_OUTLIERS = 1 / 3
_AGREEING_PX = 20.0  # what a lens held wrong may put a good point off by; a wrong one is off by more
_SAMPLE = 4  # points that fix a pose
_USUAL_WIDTH = 1920  # of the image that the pixels above are meant for
# Limits of a result that is to be used.
_MOST_TURN_DEG = 0.2  # standard deviation of pan, tilt and roll
_MOST_FLOOR_CM = 25.0
_MOST_RMS_PX = 5.0
_FAR_PX = 1e4  # stands in for the error of a point behind the camera
_AS_GOOD = 4.0  # cost by which a second pose may be worse and still be possible
_ELSEWHERE = 0.2  # of the distance to the points, from which it is another pose
_STARTS_KEPT = 8
_DISTANCES = (0.7, 1.0, 1.5, 2.2, 3.5)  # of what the points' extent suggests
_TILTS = (15.0, 30.0, 45.0, 60.0, 80.0)
_PANS = 16


@dataclass(frozen=True)
class FloorPoint:
    """A point known in the image (pixels) and in the bay (metres, floor frame)."""

    name: str
    u: float
    v: float
    x: float
    y: float
    z: float = 0.0


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
    """A parameter that was not estimated: the value that it was held at, and why."""

    name: str
    value: float
    reason: str


@dataclass(frozen=True)
class Calibration:
    """A calibrated camera.

    Attributes:
        pose: estimated.
        intrinsics: estimated or held, see `held`.
        std: standard deviation of every estimated value, by its name in the bay's file.
        held: what was not estimated.
        residuals: of every point.
        rms_px: reprojection error of the points used.
        rms_cm: floor error of the points used.
        unseen_cm: the same for each point by a camera calibrated without it; None where too few points allow it.
        floor_std_cm: standard deviation of a floor position, in the median over the floor between the points;
            of the estimated values alone, what is held taken as exact.
        notes: what a person should know of it.
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
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def left_out(self) -> tuple[PointResidual, ...]:
        """Points that contradict the others."""
        return tuple(residual for residual in self.residuals if residual.left_out)


def calibrate(points: Sequence[FloorPoint], intrinsics: Intrinsics, pose: Pose | None = None) -> Calibration:
    """Estimate a camera from its points.

    Args:
        points: at least four that do not lie on a line.
        intrinsics: image size and principal point, which are taken as they are; focal
            length and distortion where the points do not fix them.
        pose: the file's, one of the starts; None when it is not known.

    Raises:
        CalibrationError: too few points, points on a line, outside of the image, above the
            horizon, or twice.
        UncertainCalibrationError: more than a third of the points contradict the others, or two poses explain
            them equally well.
    """
    _check(points, intrinsics)
    data = _Data.of(points)
    agreed = _agreed(data, intrinsics, pose)
    solution, held = _freed(data, agreed, intrinsics)
    _refuse_above_horizon(points, solution.camera.exact())
    return _report(points, data, solution, held)


@dataclass(frozen=True)
class _Data:
    pixels: Floats  # (n, 2)
    places: Floats  # (n, 3) metres

    @classmethod
    def of(cls, points: Sequence[FloorPoint]) -> "_Data":
        return cls(np.array([(p.u, p.v) for p in points]), np.array([(p.x, p.y, p.z) for p in points]))

    def take(self, rows: Bools) -> "_Data":
        return _Data(self.pixels[rows], self.places[rows])

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class _Camera:
    """A camera while it is estimated: rotation as a matrix, so that no direction is special."""

    position: Floats
    rotation: Floats
    intrinsics: Intrinsics

    def moved(self, names: Sequence[str], step: Floats) -> "_Camera":
        """Changed by a step in these parameters; the turn is about the camera's own axes."""
        change = dict(zip(names, step, strict=True))
        position = self.position + [change.get(name, 0.0) for name in _POSE_NAMES[:3]]
        vector = np.array([change.get(name, 0.0) for name in _POSE_NAMES[3:]])
        turned = Rotation.from_rotvec(vector).as_matrix() @ self.rotation
        if not set(_LENS_NAMES) & change.keys():
            return _Camera(position, turned, self.intrinsics)
        lens = np.array([self.intrinsics.focal_px, *_lens_order(self.intrinsics.distortion)])
        lens += [change.get(name, 0.0) for name in _LENS_NAMES]
        k1, k2, p1, p2, k3 = (float(value) for value in lens[1:])
        intrinsics = self.intrinsics.model_copy(
            update={"focal_px": float(max(lens[0], 11.0)), "distortion": (k1, k2, p1, p2, k3)}
        )
        return _Camera(position, turned, intrinsics)

    def exact(self) -> CameraModel:
        """Its geometry, nothing rounded."""
        pan, tilt, roll = angles_of(self.rotation)
        x, y, z = (float(value) for value in self.position)
        return CameraModel(Pose(x=x, y=y, z=z, pan=pan, tilt=tilt, roll=roll), self.intrinsics)

    def model(self) -> CameraModel:
        """As the bay's file can hold it, angles and metres rounded far below what can be known."""
        pan, tilt, roll = angles_of(self.rotation)
        x, y, z = (round(float(value), 4) for value in self.position)
        pose = Pose(x=x, y=y, z=z, pan=round(pan % 360, 4), tilt=round(tilt, 4), roll=round(roll, 4))
        k1, k2, p1, p2, k3 = (round(value, 7) for value in self.intrinsics.distortion)
        update = {"focal_px": round(self.intrinsics.focal_px, 2), "distortion": (k1, k2, p1, p2, k3)}
        return CameraModel(pose, self.intrinsics.model_copy(update=update))

    def residuals(self, data: _Data) -> Floats:
        """(2n,) pixels."""
        camera = (data.places - self.position) @ self.rotation.T
        ahead = camera[:, 2] > 0.05
        depth = np.where(ahead, camera[:, 2], 1.0)
        k1, k2, p1, p2, k3 = self.intrinsics.distortion
        x, y = camera[:, 0] / depth, camera[:, 1] / depth
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        across = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        down = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        pixels = np.stack([across, down], axis=1) * self.intrinsics.focal_px + self.intrinsics.principal_point
        error = np.where(ahead[:, None], pixels - data.pixels, _FAR_PX)
        return np.asarray(np.clip(error, -_FAR_PX, _FAR_PX).ravel())


def _lens_order(distortion: tuple[float, float, float, float, float]) -> tuple[float, ...]:
    k1, k2, p1, p2, k3 = distortion
    return k1, k2, p1, p2, k3


_SCALES = dict(
    zip(
        (*_POSE_NAMES, *_LENS_NAMES), (1.0, 1.0, 1.0, 0.03, 0.03, 0.03, 30.0, 0.05, 0.05, 1e-3, 1e-3, 0.05), strict=True
    )
)


def _refined(
    data: _Data,
    start: _Camera,
    names: Sequence[str],
    loss: Literal["linear", "soft_l1"] = "linear",
    *,
    most: int = 60,
) -> _Camera:
    scale = np.array([_SCALES[name] for name in names])

    def residuals(step: Floats) -> Floats:
        return start.moved(names, step * scale).residuals(data)

    solution = least_squares(
        residuals,
        np.zeros(len(names)),
        loss=loss,
        f_scale=2 * CLICK_PX,
        max_nfev=most,
    )
    return start.moved(names, solution.x * scale)


@dataclass(frozen=True)
class _Fit:
    """A solution's covariance and noise; `names` are the freed parameters."""

    names: tuple[str, ...]
    covariance: Floats
    sigma_px: float

    @classmethod
    def of(cls, data: _Data, camera: _Camera, names: tuple[str, ...]) -> "_Fit":
        residual, slope = camera.residuals(data), _slopes(data, camera, names)
        freedom = max(0, len(residual) - len(names))
        sigma = np.sqrt((residual @ residual + _PRIOR_WEIGHT * CLICK_PX**2) / (freedom + _PRIOR_WEIGHT))
        scale = np.array([_SCALES[name] for name in names])
        normal = (slope * scale).T @ (slope * scale)
        return cls(names, np.linalg.pinv(normal, hermitian=True) * np.outer(scale, scale) * sigma**2, float(sigma))

    def std(self, name: str) -> float:
        """Of one parameter."""
        index = self.names.index(name)
        return float(np.sqrt(self.covariance[index, index]))


def _slopes(data: _Data, camera: _Camera, names: tuple[str, ...]) -> Floats:
    """(2n, parameters) change of the residuals."""
    steps = np.array([1e-4 * _SCALES[name] for name in names])
    return np.stack(
        [
            (camera.moved(names, change).residuals(data) - camera.moved(names, -change).residuals(data)) / (2 * step)
            for change, step in zip(np.diag(steps), steps, strict=True)
        ],
        axis=1,
    )


def _check(points: Sequence[FloorPoint], intrinsics: Intrinsics) -> None:
    if len(points) < LEAST_POINTS:
        raise CalibrationError(f"{len(points)} points where at least {LEAST_POINTS} are needed: click more")
    names = [point.name for point in points]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise CalibrationError(f"point {', '.join(doubled)} is given twice: name every point once")
    for point in points:
        if not np.isfinite([point.u, point.v, point.x, point.y, point.z]).all():
            raise CalibrationError(f"point {point.name}: holds a number that is not finite")
        if not (0 <= point.u <= intrinsics.width and 0 <= point.v <= intrinsics.height):
            raise CalibrationError(
                f"point {point.name}: pixel ({point.u:g}, {point.v:g}) lies outside of the image of "
                f"{intrinsics.width} x {intrinsics.height}"
            )
    data = _Data.of(points)
    _refuse_line(data.places, "on the floor", 1e-3)
    _refuse_line(data.pixels, "in the image", 1.0)


def _refuse_line(coordinates: Floats, where: str, least: float) -> None:
    extent = np.linalg.svd(coordinates - coordinates.mean(axis=0), compute_uv=False)
    if extent[1] < max(_COLLINEAR * extent[0], least):
        raise CalibrationError(
            f"the points lie on one line {where}: add points to its side, as far from it as the view allows"
        )


def doubts(result: Calibration) -> list[str]:
    """Why a result is not to be used: what exceeds the limits, in words; empty where nothing does."""
    found = []
    left_out, used = len(result.left_out), len(result.residuals) - len(result.left_out)
    worst = max(result.std[name] for name in ("pan", "tilt", "roll"))
    if worst > _MOST_TURN_DEG:
        found.append(f"its direction is known to ± {worst:.2f}° only, and {_MOST_TURN_DEG}° is wanted")
    if result.floor_std_cm > _MOST_FLOOR_CM:
        found.append(f"a place is known to ± {result.floor_std_cm:.0f} cm only, and {_MOST_FLOOR_CM:.0f} cm is wanted")
    most = _MOST_RMS_PX * _scale(result.intrinsics)
    if result.rms_px > most:
        found.append(f"the points are {result.rms_px:.1f} px off, and {most:.1f} px is the most")
    if used < _SAMPLE + 1 or (left_out and used < _SAMPLE + 1 + left_out):
        found.append(f"{used} points agree{f' and {left_out} do not' if left_out else ''}: too few to be sure of it")
    return found


def image_size(frame: bytes) -> tuple[int, int]:
    """(width, height) in pixels of a JPEG or PNG.

    Raises:
        CalibrationError: the bytes are no image.
    """
    from io import BytesIO

    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(frame)) as image:
            return image.size
    except (UnidentifiedImageError, OSError) as error:
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
            " remove them from the bay's file and give --focal"
        )
    scaled = {name: None if value is None else value * ratio for name, value in _principal(intrinsics).items()}
    return intrinsics.model_copy(
        update={"width": width, "height": height, "focal_px": intrinsics.focal_px * ratio, **scaled}
    )


def _principal(intrinsics: Intrinsics) -> dict[str, float | None]:
    return {"cx": intrinsics.cx, "cy": intrinsics.cy}


def _scale(intrinsics: Intrinsics) -> float:
    """Of limits in pixels, for an image of another width."""
    return intrinsics.width / _USUAL_WIDTH


def _agreed(data: _Data, intrinsics: Intrinsics, pose: Pose | None) -> "_Solution":
    """The pose of the largest agreement, the lens as given, and the points that agree."""
    count = len(data)
    problem = Problem[_Camera](
        count,
        refined=lambda camera, rows: _refined(data.take(rows), camera, _POSE_NAMES, "soft_l1", most=20),
        errors=lambda camera: np.linalg.norm(camera.residuals(data).reshape(-1, 2), axis=1),
        tolerance=_AGREEING_PX * _scale(intrinsics),
        sample=_SAMPLE,
    )
    found = [one for one in agreements(problem, _solved_poses(data, intrinsics, pose)) if _possible(one.model)]
    if not found:
        raise CalibrationError("no camera above the floor sees these points so: check their order and their units")
    best = found[0]
    if count - best.count > _MOST_OUTLIERS * count:
        raise UncertainCalibrationError(
            f"only {best.count} of {count} points agree on one pose: more than a third is mis-clicked, or has wrong"
            " coordinates, or the image is of another camera or lens: look at all of them again"
        )
    _refuse_rivals(data, best, found)
    return _Solution(best.model, best.agree, _POSE_NAMES)


def _refuse_rivals(data: _Data, best: "Agreement[_Camera]", found: "Sequence[Agreement[_Camera]]") -> None:
    """Another pose with nearly as many points on its side: the points do not decide."""
    elsewhere = _ELSEWHERE * np.linalg.norm(best.model.position - data.places.mean(axis=0))
    slack = 0 if best.count == len(data) else 1
    for one in found:
        if one.count < best.count - slack or np.linalg.norm(one.model.position - best.model.position) <= elsewhere:
            continue
        if _robust_cost(one.model.residuals(data)) > _robust_cost(best.model.residuals(data)) + _AS_GOOD and not slack:
            continue
        (x, y, z), ours = one.model.position, best.model.position
        raise UncertainCalibrationError(
            f"two poses explain these points: at ({ours[0]:.1f}, {ours[1]:.1f}, {ours[2]:.1f}) and at "
            f"({x:.1f}, {y:.1f}, {z:.1f}): add points, spread over the whole image"
        )


def _solved_poses(data: _Data, intrinsics: Intrinsics, pose: Pose | None) -> list[_Camera]:
    """Poses from many starts, the lens as given, the best first."""
    starts = _starts(data, intrinsics)
    if pose is not None:
        starts.insert(0, _Camera(np.array([pose.x, pose.y, pose.z]), rotation(pose), intrinsics))
    solved = [_refined(data, start, _POSE_NAMES, "soft_l1") for start in starts]
    solved = [camera for camera in solved if _possible(camera)]
    if not solved:
        raise CalibrationError("no camera above the floor sees these points so: check their order and their units")
    return sorted(solved, key=lambda camera: _robust_cost(camera.residuals(data)))


def _possible(camera: _Camera) -> bool:
    """Whether a bay's file could hold the position."""
    x, y, z = camera.position
    return bool(0 < z <= 200 and max(abs(x), abs(y)) <= 1000)


def _robust_cost(residual: Floats) -> float:
    return float(2 * (np.sqrt(1 + (residual / (2 * CLICK_PX)) ** 2) - 1).sum())


def _starts(data: _Data, intrinsics: Intrinsics) -> list[_Camera]:
    """Cameras all round that look at the middle of the points, the most fitting ones."""
    middle, centre = data.places.mean(axis=0), data.pixels.mean(axis=0)
    extent = np.linalg.norm(data.places - middle, axis=1).mean()
    seen = np.linalg.norm(data.pixels - centre, axis=1).mean()
    usual = intrinsics.focal_px * extent / max(seen, 1.0)
    found: list[tuple[float, _Camera]] = []
    for pan in np.arange(_PANS) * 360 / _PANS:
        for tilt in _TILTS:
            looks = rotation(Pose(x=0, y=0, z=1, pan=float(pan), tilt=tilt))
            ray = np.array([*((centre - intrinsics.principal_point) / intrinsics.focal_px), 1.0])
            direction = ray / np.linalg.norm(ray) @ looks
            if direction[2] > -0.05:
                continue
            for share in _DISTANCES:
                camera = _Camera(middle - direction * usual * share, looks, intrinsics)
                found.append((_robust_cost(camera.residuals(data)), camera))
    found.sort(key=lambda pair: pair[0])
    return [camera for _, camera in found[:_STARTS_KEPT]]


@dataclass(frozen=True)
class _Solution:
    """A fit that leaves out the points that contradict the others."""

    camera: _Camera
    used: Bools
    free: tuple[str, ...]


def _freed(data: _Data, agreed: _Solution, given: Intrinsics) -> tuple[_Solution, tuple[Held, ...]]:
    """Free as much of the lens as the points fix, the most first: a lens held wrong makes good points look bad."""
    held: list[Held] = []
    for last in range(len(_STAGES), 0, -1):
        names, least, reach, largest = _STAGES[last - 1]
        reason = _why_not(data.take(agreed.used), given, least, reach)
        if reason is None:
            solution = _consistent(
                data, agreed, (*_POSE_NAMES, *(name for stage in _STAGES[:last] for name in stage[0]))
            )
            fit = _Fit.of(data.take(solution.used), solution.camera, solution.free)
            focal = solution.camera.intrinsics.focal_px
            std = max(fit.std(name) / (focal if name == "focal_px" else 1.0) for name in names)
            if std <= largest and _sound(solution, data):
                return solution, tuple(reversed(held))
            reason = f"the points leave it at ± {std:.2g}, and ± {largest:g} is wanted"
        held += [Held(name, _lens_value(given, name), reason) for name in reversed(names)]
    return _consistent(data, agreed, _POSE_NAMES), tuple(reversed(held))


def _why_not(data: _Data, given: Intrinsics, least: int, reach: float) -> str | None:
    if len(data) < least:
        return f"{len(data)} points, and {least} are needed"
    half_diagonal = np.hypot(given.width, given.height) / 2
    farthest = float(np.sort(np.linalg.norm(data.pixels - given.principal_point, axis=1))[-2:].min() / half_diagonal)
    if farthest < reach:
        return f"the points reach {farthest:.0%} of the way to the image's corners, and {reach:.0%} is needed"
    return None


def _sound(solution: _Solution, data: _Data) -> bool:
    """Whether the lens does not fold the image over within the points."""
    _, valid = solution.camera.exact().project(data.take(solution.used).places)
    return bool(valid.all())


def _lens_value(intrinsics: Intrinsics, name: str) -> float:
    values = (intrinsics.focal_px, *_lens_order(intrinsics.distortion))
    return dict(zip(_LENS_NAMES, values, strict=True))[name]


def _consistent(data: _Data, agreed: _Solution, free: tuple[str, ...]) -> _Solution:
    """Fit, and leave out points that the others contradict, one by one, the worst first."""
    used = agreed.used
    camera = _refined(data.take(used), _refined(data.take(used), agreed.camera, free, "soft_l1"), free)
    while (~used).sum() < int(_MOST_OUTLIERS * len(data)) and _spare(used.sum() - 1, free):
        judged = [
            (_contradiction(data, _Solution(camera, used, free), int(row)), int(row)) for row in np.flatnonzero(used)
        ]
        worst, row = max(judged)
        if worst <= 1:
            break
        used = used & (np.arange(len(data)) != row)
        camera = _refined(data.take(used), _refined(data.take(used), camera, free, "soft_l1"), free)
    return _Solution(camera, used, free)


def _contradiction(data: _Data, solution: _Solution, row: int) -> float:
    """How far a point is from where the others put it, as a multiple of what is still likely."""
    alone = np.arange(len(data)) == row
    one, rest = data.take(alone), data.take(solution.used & ~alone)
    camera = _refined(rest, solution.camera, solution.free, "soft_l1")
    # Squares in which other mis-clicked points do not drown this one.
    squares = np.minimum(camera.residuals(rest) ** 2, (4 * CLICK_PX) ** 2).sum()
    freedom = max(0, 2 * len(rest) - len(solution.free))
    sigma = np.sqrt((squares + _PRIOR_WEIGHT * CLICK_PX**2) / (freedom + _PRIOR_WEIGHT))
    fit = _Fit.of(rest, camera, solution.free)
    slope = _slopes(one, camera, solution.free)
    covariance = slope @ fit.covariance @ slope.T * (sigma / fit.sigma_px) ** 2
    likely = np.sqrt(np.linalg.eigvalsh(covariance)[-1] + sigma**2)
    return float(np.linalg.norm(camera.residuals(one)) / max(_OUTLIER_PX, _OUTLIER_STD * likely))


def _spare(count: int, names: tuple[str, ...]) -> bool:
    """Whether so many points still contradict one another where one is wrong."""
    return 2 * count >= len(names) + 2


def _refuse_above_horizon(points: Sequence[FloorPoint], model: CameraModel) -> None:
    for point in points:
        if not np.isfinite(model.to_plane(np.array([point.u, point.v]), point.z)).all():
            raise CalibrationError(
                f"point {point.name}: pixel ({point.u:g}, {point.v:g}) looks above the horizon by the camera that the "
                "other points give, so nothing on the floor shows there: click it again or remove it"
            )


def _report(points: Sequence[FloorPoint], data: _Data, solution: _Solution, held: tuple[Held, ...]) -> Calibration:
    camera, used, free = solution.camera, solution.used, solution.free
    fit = _Fit.of(data.take(used), camera, free)
    model = camera.model()
    pixels = np.linalg.norm(camera.residuals(data).reshape(-1, 2), axis=1)
    floor = _floor_cm(data, model)
    unseen = _unseen_cm(data, solution)
    residuals = tuple(
        PointResidual(point, float(pixels[row]), float(floor[row]), unseen[row], left_out=not used[row])
        for row, point in enumerate(points)
    )
    unseen_cm = [one.unseen_cm for one in residuals if one.unseen_cm is not None and not one.left_out]
    return Calibration(
        pose=model.pose,
        intrinsics=model.intrinsics,
        std=_stds(fit, camera),
        held=held,
        residuals=residuals,
        rms_px=_rms(pixels[used]),
        rms_cm=_rms(floor[used]),
        unseen_cm=_rms(np.array(unseen_cm)) if unseen_cm else None,
        floor_std_cm=_floor_std_cm(data.take(used), camera, fit),
        notes=_notes(data, solution),
    )


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _floor_cm(data: _Data, model: CameraModel) -> Floats:
    """(n,) how far from its place each point's pixel meets the plane at the point's height."""
    met = np.array([model.to_plane(uv, place[2]) for uv, place in zip(data.pixels, data.places, strict=True)])
    return np.asarray(np.linalg.norm(met - data.places[:, :2], axis=1) * 100)


def _unseen_cm(data: _Data, solution: _Solution) -> list[float | None]:
    """For each point its floor error by the camera that the other points give."""
    result: list[float | None] = []
    for row in range(len(data)):
        alone = np.arange(len(data)) == row
        rest = data.take(solution.used & ~alone)
        if not _spare(len(rest), solution.free):
            result.append(None)
            continue
        error = float(_floor_cm(data.take(alone), _refined(rest, solution.camera, solution.free).exact())[0])
        result.append(error if np.isfinite(error) else None)
    return result


def _stds(fit: _Fit, camera: _Camera) -> dict[str, float]:
    """By the names of the bay's file: the turn about the camera's own axes becomes pan, tilt and roll."""
    std = {name: fit.std(name) for name in fit.names if not name.startswith("turn_")}
    turns = [fit.names.index(name) for name in _POSE_NAMES[3:]]
    step = 1e-6
    here = np.array(angles_of(camera.rotation))
    slope = np.stack(
        [
            (np.array(angles_of(camera.moved([name], np.array([step])).rotation)) - here + 180) % 360 - 180
            for name in _POSE_NAMES[3:]
        ],
        axis=1,
    )
    angles = np.sqrt(np.diag(slope @ fit.covariance[np.ix_(turns, turns)] @ slope.T)) / step
    return std | {name: float(value) for name, value in zip(("pan", "tilt", "roll"), angles, strict=True)}


def _floor_std_cm(data: _Data, camera: _Camera, fit: _Fit) -> float:
    """Median over places between the points: by how much the camera's uncertainty moves them on the floor."""
    corner = shapely.MultiPoint(data.places[:, :2]).convex_hull
    low_x, low_y, high_x, high_y = corner.bounds
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(low_x, high_x, 9), np.linspace(low_y, high_y, 9)))
    inside = shapely.intersects_xy(corner, x, y)
    places = np.stack([x[inside], y[inside], np.zeros(int(inside.sum()))], axis=1)
    pixels, seen = camera.exact().project(places)
    pixels, places = pixels[seen], places[seen]
    slopes = []
    for name in fit.names:
        step = 1e-4 * _SCALES[name]
        moved = camera.moved([name], np.array([step])).exact().to_plane(pixels)
        slopes.append((moved - places[:, :2]) / step)
    slope = np.stack(slopes, axis=-1)
    variance = np.einsum("nij,jk,nik->n", slope, fit.covariance, slope)
    return float(np.median(np.sqrt(variance)) * 100)


def _notes(data: _Data, solution: _Solution) -> tuple[str, ...]:
    notes = []
    if not _spare(len(data) - 1, solution.free):
        notes.append(f"{len(data)} points are too few to single out a mis-clicked one")
    if (~solution.used).sum() == int(_MOST_OUTLIERS * len(data)) > 0:
        notes.append("a third of the points contradict the rest: look at all of them again")
    return tuple(notes)
