"""Random calibrations with wrong points: is a wrong pose ever taken, and is a good one?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bay_observation.errors import CalibrationError
from bays import Camera, Intrinsics, Pose
from bays.camera_model import CameraModel
from fusion.calibration import FloorPoint, calibrate, doubts
from fusion.renaming import Place, misnamed

SIZES = ((1280, 720), (1920, 1080), (2560, 1440))
_FLOOR = (60.0, 40.0)
_CLICK_PX = 1.0  # standard deviation of a careful click, in an image 1920 pixels wide
_WRONG_PX = (60.0, 300.0)
_MOST_WRONG = 0.33
_LEAST, _MOST = 6, 30
_STEPS_M = (3.0, 10.0)  # between the marks of a grid
_ROUGH = {"x": 0.5, "y": 0.5, "z": 0.5, "pan": 5.0, "tilt": 5.0}  # a file's pose may be off by so much
_LEAST_MARKS = 8


@dataclass(frozen=True)
class Case:
    """Points of one camera, some of them wrong, and the truth."""

    camera: CameraModel
    points: tuple[FloorPoint, ...]
    wrong: int


@dataclass(frozen=True)
class Outcome:
    """What calibrating made of a case.

    Attributes:
        case: which.
        written: whether the pose would be written with exit status 0.
        angle_deg: how far it is turned from the truth; NaN where there is none.
        deviations: its largest error as a multiple of its stated standard deviation.
        reason: why it would not be written.
    """

    case: Case
    written: bool
    angle_deg: float = np.nan
    deviations: float = np.nan
    reason: str = ""

    @property
    def wrong(self) -> bool:
        """Off by more than three of its stated deviations, or by half a degree."""
        return self.deviations > 3 or self.angle_deg > 0.5


def cases(count: int, seed: int) -> Iterator[Case]:
    """Cameras over a floor of 60 x 40 m, points spread over their images."""
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        yield _case(rng, SIZES[number % len(SIZES)])


@dataclass(frozen=True)
class GridCase:
    """A camera over a regular grid of marks, which are named right or each as its neighbour, and a rough pose of it."""

    camera: CameraModel
    rough: Pose
    marks: dict[str, Place]
    points: tuple[FloorPoint, ...]
    shifted: bool


def grid_cases(count: int, seed: int) -> Iterator[GridCase]:
    """So many cameras, each with marks that are named right, and named one step of the grid too far."""
    for number in range(count):
        rng = np.random.default_rng([seed, number, 1])
        yield from _grid_cases(rng, SIZES[number % len(SIZES)])


def grid_outcome(case: GridCase) -> Outcome:
    """Calibrate from the rough pose of the bay's file; `written` where neither points nor names raise a doubt."""
    pose = case.camera.pose
    given = Case(case.camera, case.points, 0)
    known = Camera(name="C_1", host="10.0.0.1", pose=case.rough, intrinsics=case.camera.intrinsics)
    try:
        result = calibrate(case.points, case.camera.intrinsics, case.rough)
    except CalibrationError as error:
        return Outcome(given, written=False, reason=str(error))
    reasons = doubts(result) + misnamed(result, known, case.marks)
    return Outcome(
        given, not reasons, result.turned_deg(pose), _deviations(result.pose, pose, result.std), "; ".join(reasons)
    )


def outcome(case: Case) -> Outcome:
    """Calibrate from no pose at all, with the camera's own lens given."""
    true = case.camera
    try:
        result = calibrate(case.points, true.intrinsics)
    except CalibrationError as error:
        return Outcome(case, written=False, reason=str(error))
    found = CameraModel(result.pose, result.intrinsics)
    turn = found.rotation @ true.rotation.T
    angle = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    reasons = doubts(result)
    return Outcome(case, not reasons, angle, _deviations(result.pose, true.pose, result.std), "; ".join(reasons))


def _deviations(found: Pose, true: Pose, std: dict[str, float]) -> float:
    values: list[float] = []
    for name in ("x", "y", "z", "pan", "tilt", "roll"):
        off = getattr(found, name) - getattr(true, name)
        if name in ("pan", "roll"):
            off = (off + 180) % 360 - 180
        values.append(abs(float(off)) / std[name])
    return max(values)


def _case(rng: np.random.Generator, size: tuple[int, int]) -> Case:
    width, height = size
    while True:
        camera = _camera(rng, width, height)
        spread = [(i, j) for i in range(4) for j in range(3)]
        rng.shuffle(spread)
        wanted = int(rng.integers(_LEAST, _MOST + 1))
        points: list[FloorPoint] = []
        for attempt in range(40 * wanted):
            i, j = spread[attempt % len(spread)]
            pixel = np.array([(i + rng.random()) * width / 4, (j + rng.random()) * height / 3])
            z = float(rng.choice((0.0, 0.0, 0.0, 1.5)))
            x, y = (float(value) for value in camera.to_plane(pixel, z))
            if not (np.isfinite([x, y]).all() and -5 <= x <= _FLOOR[0] + 5 and -5 <= y <= _FLOOR[1] + 5):
                continue
            u, v = pixel + rng.normal(0, _CLICK_PX * width / 1920, 2)
            if 0 <= u <= width and 0 <= v <= height:
                points.append(FloorPoint(f"P{len(points)}", float(u), float(v), round(x, 3), round(y, 3), z))
            if len(points) == wanted:
                return _spoilt(rng, camera, points)


def _camera(rng: np.random.Generator, width: int, height: int) -> CameraModel:
    x, y = rng.uniform((10, -2), (50, 2))
    pose = Pose(
        x=float(x),
        y=float(y),
        z=float(rng.uniform(9, 25)),
        pan=float(rng.uniform(-25, 25) % 360),
        tilt=float(rng.uniform(35, 60)),
        roll=float(rng.normal(0, 1)),
    )
    k1 = float(rng.uniform(-0.13, 0))
    lens = Intrinsics(
        width=width,
        height=height,
        focal_px=float(rng.uniform(0.6, 1.0) * width),
        distortion=(k1, -k1 / 4, float(rng.normal(0, 3e-4)), float(rng.normal(0, 3e-4)), 0.0),
    )
    return CameraModel(pose, lens)


def _grid_cases(rng: np.random.Generator, size: tuple[int, int]) -> tuple[GridCase, GridCase]:
    width, height = size
    while True:
        camera = _camera(rng, width, height)
        step = rng.uniform(*_STEPS_M, 2).round(1)
        counts = (np.array(_FLOOR) / step).astype(int)
        cells = [(i, j) for i in range(counts[0]) for j in range(counts[1])]
        marks: dict[str, Place] = {f"M{i}_{j}": (float(i * step[0]), float(j * step[1]), 0.0) for i, j in cells}
        along = ((1, 0), (0, 1), (-1, 0), (0, -1))[int(rng.integers(4))]
        pixels, seen = camera.project(list(marks.values()))
        shown = []
        for (i, j), pixel, valid in zip(cells, pixels, seen & camera.inside(pixels, 10), strict=True):
            other = f"M{i + along[0]}_{j + along[1]}"
            if valid and other in marks:
                u, v = pixel + rng.normal(0, _CLICK_PX * width / 1920, 2)
                shown.append((FloorPoint(f"M{i}_{j}", float(u), float(v), *marks[f"M{i}_{j}"]), other))
        if len(shown) >= _LEAST_MARKS:
            chosen = [shown[row] for row in rng.permutation(len(shown))[:_MOST]]
            off = {name: getattr(camera.pose, name) + float(rng.uniform(-most, most)) for name, most in _ROUGH.items()}
            rough = camera.pose.model_copy(update=off | {"pan": off["pan"] % 360, "roll": 0.0})
            right = tuple(point for point, _ in chosen)
            wrong = tuple(replace(point, name=other, x=marks[other][0], y=marks[other][1]) for point, other in chosen)
            return (
                GridCase(camera, rough, marks, right, shifted=False),
                GridCase(camera, rough, marks, wrong, shifted=True),
            )


def _spoilt(rng: np.random.Generator, camera: CameraModel, points: list[FloorPoint]) -> Case:
    """Up to a third of the points are clicked somewhere else, 60 to 300 pixels off."""
    width, height = camera.size
    wrong = int(rng.integers(0, int(_MOST_WRONG * len(points)) + 1)) if rng.random() < 0.75 else 0
    for row in rng.choice(len(points), wrong, replace=False):
        point = points[row]
        while True:
            angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(*_WRONG_PX)
            u, v = point.u + far * np.cos(angle), point.v + far * np.sin(angle)
            if 0 <= u <= width and 0 <= v <= height:
                break
        points[row] = FloorPoint(point.name, float(u), float(v), point.x, point.y, point.z)
    return Case(camera, tuple(points), wrong)
