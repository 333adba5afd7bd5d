"""A yard by independent geometry: boxes projected into a bay's cameras, nearer ones hiding farther ones.

Shares no code with `bays.camera_model` or `fusion`: the projection is written out
here again, from the pose convention's words and from OpenCV's distortion formula,
so that a slip on either side shows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from bays import BayConfig, Camera, load_bay
from inference.types import CameraObservation, DetectedObject, Observation

SLOT = "20250702-010000"
STAGES = ("assembly", "welding", "grinding", "finishing")
SIZES = {  # metres: width, depth, height
    "panel": ((6, 12), (4, 9), (0.3, 1.2)),
    "block": ((6, 13), (4, 9), (2.0, 5.0)),
    "HP_block": ((7, 13), (5, 10), (4.0, 7.5)),
}


@dataclass(frozen=True)
class Box:
    """What really stands there."""

    class_name: str
    x: float
    y: float
    width: float
    depth: float
    yaw: float
    height: float
    stage: str = "assembly"

    @property
    def footprint(self) -> Polygon:
        return Polygon(self.corners()[:4, :2])

    def corners(self) -> NDArray[np.float64]:
        across = np.array([np.cos(self.yaw), np.sin(self.yaw)])
        along = np.array([-np.sin(self.yaw), np.cos(self.yaw)])
        ring = [
            np.array([self.x, self.y]) + sx * self.width / 2 * across + sy * self.depth / 2 * along
            for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        return np.array([[*corner, z] for z in (0.0, self.height) for corner in ring])


@dataclass(frozen=True)
class Degraded:
    """How the silhouettes are spoilt."""

    noise_px: float = 2.0
    missed: float = 0.03
    false: float = 0.0
    pose_error_deg: float = 0.0
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class Yard:
    """Boxes on a bay's floor, and what the cameras would say of them."""

    bay: BayConfig
    boxes: tuple[Box, ...]
    cranes: tuple[Box, ...] = ()
    equipment: tuple[tuple[str, float, float, float], ...] = ()  # class, x, y, z of the ground point
    seed: int = 0
    degraded: Degraded = field(default_factory=Degraded)

    def observe(self) -> Observation:
        rng = np.random.default_rng([self.seed, 7])
        cameras = []
        for camera in self.bay.fusion_cameras:
            if camera.name in self.degraded.off:
                continue
            true = shaken(camera, self.degraded.pose_error_deg, rng)
            cameras.append(self._frame(true, rng))
        failures = dict.fromkeys(self.degraded.off, "off")
        return Observation(f"{self.bay.bay_id}_{SLOT}", self.bay.bay_id, tuple(cameras), failures)

    def _frame(self, camera: Camera, rng: np.random.Generator) -> CameraObservation:
        size = (camera.intrinsics.width, camera.intrinsics.height)
        frame = shapely.box(0, 0, *size)
        visible = visible_silhouettes(camera, (*self.boxes, *self.cranes))
        objects = []
        for box, (whole, seen) in zip((*self.boxes, *self.cranes), visible, strict=True):
            if seen.area < max(400.0, 0.12 * whole.area) or rng.random() < self.degraded.missed:
                continue
            outline = noisy(seen, self.degraded.noise_px, rng, frame)
            if box.class_name == "crane":
                objects.append(detected("crane", outline, 0.9))
            else:
                objects.append(detected(box.class_name, outline, rng.uniform(0.7, 0.98), box.stage))
        false = rng.binomial(len(objects), self.degraded.false)
        objects += [detected("block", random_blob(size, rng), rng.uniform(0.3, 0.7), "welding") for _ in range(false)]
        for name, x, y, z in self.equipment:
            pixel = project(camera, np.array([[x, y, z]]))[0]
            if shapely.contains_xy(frame, *pixel):
                objects.append(DetectedObject(name, 0.8, [pixel[0] - 9, pixel[1] - 24, pixel[0] + 9, pixel[1]]))
        captured = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
        return CameraObservation(camera.name, captured, size, tuple(objects))


def project(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) metres to (N, 2) pixels; NaN behind the camera."""
    pan, tilt = np.radians(camera.pose.pan), np.radians(camera.pose.tilt)
    # World to camera: turn the heading onto +y, then pitch the view down by tilt.
    offset = points - [camera.pose.x, camera.pose.y, camera.pose.z]
    right = offset[:, 0] * np.cos(pan) - offset[:, 1] * np.sin(pan)
    ahead = offset[:, 0] * np.sin(pan) + offset[:, 1] * np.cos(pan)
    depth = ahead * np.cos(tilt) - offset[:, 2] * np.sin(tilt)
    down = -ahead * np.sin(tilt) - offset[:, 2] * np.cos(tilt)
    depth = np.where(depth > 0.1, depth, np.nan)
    x, y = right / depth, down / depth
    k1, k2, p1, p2, k3 = camera.intrinsics.distortion
    r2 = x**2 + y**2
    r2 = np.where(r2 < 2.0, r2, np.nan)
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    distorted_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    distorted_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    focal, (cx, cy) = camera.intrinsics.focal_px, camera.intrinsics.principal_point
    return np.stack([cx + focal * distorted_x, cy + focal * distorted_y], axis=1)


def silhouette(camera: Camera, box: Box) -> Polygon:
    """The whole outline in pixels, frame edges ignored: hull of the finely divided box edges."""
    corners = box.corners()
    edges = [(a, b) for a in range(8) for b in range(a) if (_ring_code(a) ^ _ring_code(b)).bit_count() == 1]
    steps = np.linspace(0, 1, 25)[:, None]
    points = np.concatenate([corners[a] + steps * (corners[b] - corners[a]) for a, b in edges])
    pixels = project(camera, points)
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if len(pixels) < 12:
        return Polygon()
    hull = shapely.convex_hull(shapely.MultiPoint(pixels))
    return hull if isinstance(hull, Polygon) else Polygon()


def visible_silhouettes(camera: Camera, boxes: tuple[Box, ...]) -> list[tuple[Polygon, Polygon]]:
    """For every box its whole outline, and the largest piece of it that is in frame and not hidden."""
    frame = shapely.box(0, 0, camera.intrinsics.width, camera.intrinsics.height)
    outlines = [silhouette(camera, box) for box in boxes]
    eye = np.array([camera.pose.x, camera.pose.y])
    result = []
    for index, box in enumerate(boxes):
        seen = outlines[index].intersection(frame)
        for other, nearer in enumerate(boxes):
            if other != index and not seen.is_empty and _stands_in_front(nearer, box, eye):
                seen = seen.difference(outlines[other])
        result.append((outlines[index], _largest(seen)))
    return result


def _stands_in_front(nearer: Box, farther: Box, eye: NDArray[np.float64]) -> bool:
    """Whether a line between the footprints has the eye and `nearer` on one side."""
    for owner in (nearer, farther):
        for angle in (owner.yaw, owner.yaw + np.pi / 2):
            axis = np.array([np.cos(angle), np.sin(angle)])
            near, far = nearer.corners()[:4, :2] @ axis, farther.corners()[:4, :2] @ axis
            if near.max() <= far.min() and eye @ axis < far.min():
                return True
            if near.min() >= far.max() and eye @ axis > far.max():
                return True
    return False


def _ring_code(corner: int) -> int:
    return (0, 1, 3, 2)[corner % 4] + 4 * (corner // 4)


def _largest(shape: shapely.Geometry) -> Polygon:
    if isinstance(shape, Polygon):
        return shape
    parts = [part for part in getattr(shape, "geoms", ()) if isinstance(part, Polygon)]
    return max(parts, key=lambda part: part.area, default=Polygon())


def noisy(polygon: Polygon, sigma: float, rng: np.random.Generator, frame: Polygon) -> NDArray[np.float64]:
    """The outline, a vertex every ~12 px, each off by sigma pixels; kept within the frame."""
    ring = np.asarray(shapely.segmentize(polygon, 12.0).exterior.coords)[:-1]
    ring = ring + rng.normal(0, sigma, ring.shape)
    return np.clip(ring, 0, frame.bounds[2:])


def random_blob(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    centre, radii = rng.uniform((200, 150), (size[0] - 200, size[1] - 150)), rng.uniform(30, 140, 2)
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    return centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def detected(
    class_name: str, outline: NDArray[np.float64], confidence: float, stage: str | None = None
) -> DetectedObject:
    box = [*outline.min(axis=0), *outline.max(axis=0)]
    return DetectedObject(class_name, confidence, box, outline, stage, 0.9 if stage else 0.0)


def shaken(camera: Camera, degrees: float, rng: np.random.Generator) -> Camera:
    """The camera as it really hangs, where the bay's file is off by this much."""
    if not degrees:
        return camera
    angle = rng.uniform(0, 2 * np.pi)
    pose = camera.pose.model_copy(
        update={
            "pan": camera.pose.pan + degrees * np.sin(angle) / np.cos(np.radians(camera.pose.tilt)),
            "tilt": camera.pose.tilt + degrees * np.cos(angle),
        }
    )
    return camera.model_copy(update={"pose": pose})


def random_boxes(bay: BayConfig, count: int, seed: int, gap: float = 1.0) -> tuple[Box, ...]:
    rng = np.random.default_rng([seed, 3])
    boxes: list[Box] = []
    for _ in range(200_000):
        if len(boxes) == count:
            return tuple(boxes)
        name = str(rng.choice(["panel", "block", "HP_block"], p=[0.35, 0.45, 0.2]))
        width, depth, height = (rng.uniform(*limits) for limits in SIZES[name])
        yaw = rng.normal(0, 0.15) if rng.random() < 0.7 else rng.uniform(0, np.pi)
        yaw += np.pi / 2 * (rng.random() < 0.3)
        x, y = rng.uniform(6, bay.layout.width - 6), rng.uniform(4, bay.layout.height - 4)
        box = Box(name, x, y, width, depth, yaw, height, str(rng.choice(STAGES)))
        hall = shapely.box(1, 1, bay.layout.width - 1, bay.layout.height - 1)
        if hall.contains(box.footprint) and all(box.footprint.distance(o.footprint) >= gap for o in boxes):
            boxes.append(box)
    raise AssertionError(f"no room for {count} boxes")


def with_focal(bay: BayConfig, focal: float, distortion: bool = True) -> BayConfig:
    cameras = tuple(
        camera.model_copy(
            update={
                "intrinsics": camera.intrinsics.model_copy(
                    update={"focal_px": focal} | ({} if distortion else {"distortion": (0.0,) * 5})
                )
            }
        )
        for camera in bay.cameras
    )
    return bay.model_copy(update={"cameras": cameras})


@dataclass(frozen=True)
class Scores:
    precision: float
    recall: float
    iou: float
    centre_error: float
    height_error: float


def score(found: list[Polygon], heights: list[float], boxes: tuple[Box, ...], ignored: tuple[Box, ...] = ()) -> Scores:
    """Matched at IoU 0.5, best first; what lies on an `ignored` box is neither right nor wrong."""
    overlaps = sorted(
        ((_iou(a, box.footprint), i, j) for i, a in enumerate(found) for j, box in enumerate(boxes)), reverse=True
    )
    pairs: dict[int, int] = {}
    for overlap, i, j in overlaps:
        if overlap >= 0.5 and i not in pairs and j not in pairs.values():
            pairs[i] = j
    excused = [
        i
        for i, a in enumerate(found)
        if i not in pairs and any(a.intersection(box.footprint).area > 0.3 * a.area for box in ignored)
    ]
    matched = [(found[i], heights[i], boxes[j]) for i, j in pairs.items()]
    return Scores(
        precision=len(pairs) / max(1, len(found) - len(excused)),
        recall=len(pairs) / max(1, len(boxes)),
        iou=float(np.mean([_iou(a, box.footprint) for a, _, box in matched])) if matched else 0.0,
        centre_error=float(
            np.median([a.centroid.distance(box.footprint.centroid) for a, _, box in matched]) if matched else np.inf
        ),
        height_error=float(np.median([abs(h - box.height) for _, h, box in matched]) if matched else np.inf),
    )


def _iou(a: Polygon, b: Polygon) -> float:
    inter = a.intersection(b).area
    return float(inter / (a.area + b.area - inter))


@pytest.fixture(scope="session")
def geometry() -> SimpleNamespace:
    """This module's functions and types, for the tests: `geometry.Box`, `geometry.score`, ..."""
    return SimpleNamespace(
        Box=Box,
        detected=detected,
        iou=_iou,
        project=project,
        random_boxes=random_boxes,
        score=score,
        silhouette=silhouette,
        visible_silhouettes=visible_silhouettes,
        with_focal=with_focal,
    )


@pytest.fixture(scope="session")
def demo_bay() -> BayConfig:
    return load_bay("demo_bay")


@pytest.fixture(scope="session")
def make_yard(demo_bay: BayConfig) -> Callable[..., Yard]:
    """`make_yard(boxes=..., count=24, seed=0, **Degraded)`."""

    def make(
        boxes: tuple[Box, ...] | None = None,
        count: int = 24,
        seed: int = 0,
        bay: BayConfig | None = None,
        cranes: tuple[Box, ...] = (),
        equipment: tuple[tuple[str, float, float, float], ...] = (),
        **degraded: object,
    ) -> Yard:
        bay = bay or demo_bay
        boxes = random_boxes(bay, count, seed) if boxes is None else boxes
        return Yard(bay, tuple(boxes), tuple(cranes), tuple(equipment), seed, replace(Degraded(), **degraded))

    return make
