"""Yards of blocks as independent geometry sees them: silhouettes without frames, for fusion alone.

Shares no code with `bays.camera_model`, `fusion` or `simulation`: the projection is
written out here again, from the pose convention's words and from OpenCV's distortion
formula, so that a slip on either side shows.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from bay_observation.errors import SimulationError
from bays import BayConfig, Camera
from bays.models import Intrinsics, Pose
from inference.types import CameraObservation, DetectedObject, Observation

Floats = NDArray[np.float64]

STAGES = ("sub_assembly", "unit_assembly", "grand_assembly", "pre_outfitting")
SIZES = {  # metres: width, depth, height
    "panel": ((6, 12), (4, 9), (0.3, 1.2)),
    "block": ((6, 13), (4, 9), (2.0, 5.0)),
    "HP_block": ((7, 13), (5, 10), (4.0, 7.5)),
}
PLANS = ("box", "L", "T", "U", "octagon", "trapezoid", "shell")
_SHARES = {"panel": 0.35, "block": 0.45, "HP_block": 0.2}
_SLOT = "20250702-010000"
_EDGE_STEPS = np.linspace(0, 1, 25)[:, None]  # a lens bends an edge
_LEAST_PX2, _LEAST_SHARE = 400.0, 0.12  # visible area and share below which a detector sees nothing
_TRIES = 200_000
_STRIP_PARTS = 8
_SMOOTH_OVER_PX = 60.0  # along the outline: one standard deviation of the kernel that makes noise smooth
_VERTEX_EVERY_PX = 12.0
_PIECES = {  # metres: width, depth, height
    "grinder": ((0.7, 1.5), (0.5, 1.0), (0.5, 1.0)),
    "welder": ((0.8, 1.7), (0.6, 1.2), (0.8, 1.6)),
    "step_board": ((1.2, 2.8), (0.6, 1.3), (0.8, 2.0)),
    "pipe": ((2.0, 5.0), (0.4, 1.0), (0.3, 0.7)),
}
_ON_DECK = {0: 0.35, 1: 0.30, 2: 0.22, 3: 0.13}  # pieces at a block, and how often
_ON_FLOOR, _BESIDE_BLOCKS, _NEXT_M = 36, 0.6, (0.1, 1.5)  # pieces, share of them next to a block, and how near
_BOX_NOISE_PX = 2.0
_LEAST_PIECE_PX2, _LEAST_PIECE_SHARE = 80.0, 0.4  # visible area and share below which a detector sees none
_CROWD_SIDES, _CROWD_HEIGHTS = (2.0, 3.0), (3.0, 6.0)  # metres
_CROWD_GAPS = (0.5, 0.7)  # to the nearest neighbour, as shares of a side
_CROWD_GROUP = 4


@dataclass(frozen=True)
class YardBlock:
    """What really stands there: an upright prism.

    Attributes:
        x, y: centre of the enclosing rectangle, metres.
        width, depth: its sides, metres.
        yaw: from the x axis to its width, radians.
        plan: `box` fills the rectangle; `L` lacks the corner of greatest width and depth,
            `octagon` all four; `T` lacks two corners of one side, `U` the middle of it; of a
            `trapezoid` that side is shorter; a `shell` is a strip bent along its width.
        cut: what is lacking, as shares of width and depth.
        work: equipment on it, counted by class.
    """

    class_name: str
    x: float
    y: float
    width: float
    depth: float
    yaw: float
    height: float
    stage: str = STAGES[0]
    plan: str = "box"
    cut: tuple[float, float] = (0.4, 0.4)
    block_id: str = ""
    work: Mapping[str, int] = field(default_factory=dict, compare=False)
    area: str | None = None

    @property
    def height_m(self) -> float:
        """Top above the floor, metres."""
        return self.height

    @cached_property
    def footprint(self) -> Polygon:
        """Outline on the floor, metres."""
        return _largest(shapely.union_all([Polygon(ring) for ring in self.parts()]))

    def corners(self) -> Floats:
        """(8, 3) of the enclosing box, metres: base ring, then top ring."""
        ring = self._on_floor(np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]))
        return np.array([[*corner, z] for z in (0.0, self.height) for corner in ring])

    def parts(self) -> list[Floats]:
        """Convex rings (k, 2), metres, that make up the footprint."""
        a, b = 0.5 - self.cut[0], 0.5 - self.cut[1]
        if self.plan == "L":
            rings = [
                [[-0.5, -0.5], [0.5, -0.5], [0.5, b], [-0.5, b]],
                [[-0.5, -0.5], [a, -0.5], [a, 0.5], [-0.5, 0.5]],
            ]
        elif self.plan == "T":
            half = a / 2 + 0.25
            rings = [
                [[-0.5, -0.5], [0.5, -0.5], [0.5, b], [-0.5, b]],
                [[-half, -0.5], [half, -0.5], [half, 0.5], [-half, 0.5]],
            ]
        elif self.plan == "U":
            half = self.cut[0] / 2
            rings = [
                [[-0.5, -0.5], [0.5, -0.5], [0.5, b], [-0.5, b]],
                [[-0.5, -0.5], [-half, -0.5], [-half, 0.5], [-0.5, 0.5]],
                [[half, -0.5], [0.5, -0.5], [0.5, 0.5], [half, 0.5]],
            ]
        elif self.plan == "trapezoid":
            rings = [[[-0.5, -0.5], [0.5, -0.5], [0.5 - 0.7 * self.cut[0], 0.5], [0.3 * self.cut[0] - 0.5, 0.5]]]
        elif self.plan == "shell":
            rings = self._strip()
        elif self.plan == "octagon":
            rings = [[[-a, -0.5], [a, -0.5], [0.5, -b], [0.5, b], [a, 0.5], [-a, 0.5], [-0.5, b], [-0.5, -b]]]
        else:
            rings = [[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]]
        return [self._on_floor(np.array(ring)) for ring in rings]

    def _strip(self) -> list[list[list[float]]]:
        """Quadrangles side by side, between two parabolas."""
        bend = 0.6 * self.cut[1]
        x = np.linspace(-0.5, 0.5, _STRIP_PARTS + 1)
        low, high = bend * (1 - 4 * x**2) - 0.5, 0.5 - bend * 4 * x**2
        return [
            [[x[i], low[i]], [x[i + 1], low[i + 1]], [x[i + 1], high[i + 1]], [x[i], high[i]]]
            for i in range(_STRIP_PARTS)
        ]

    def _on_floor(self, ring: Floats) -> Floats:
        across = np.array([np.cos(self.yaw), np.sin(self.yaw)]) * self.width
        along = np.array([-np.sin(self.yaw), np.cos(self.yaw)]) * self.depth
        return np.asarray(np.array([self.x, self.y]) + ring[:, :1] * across + ring[:, 1:] * along)


@dataclass(frozen=True)
class YardPiece:
    """A piece of equipment: an upright box on the floor or on a block's deck; metres, radians.

    Attributes:
        base: height of what it stands on.
        on: id of the block on whose deck it stands; None for the floor.
    """

    class_name: str
    x: float
    y: float
    width: float
    depth: float
    yaw: float
    base: float
    height: float
    on: str | None = None

    @property
    def outline(self) -> YardBlock:
        """A block on the same ground."""
        return YardBlock(self.class_name, self.x, self.y, self.width, self.depth, self.yaw, self.height)


@dataclass(frozen=True)
class Degraded:
    """How the silhouettes are spoilt.

    Attributes:
        noise_px: standard deviation of every vertex (one every 12 px along the outline).
        smooth_px: the same of an error that changes slowly along the outline, as of a mask that leans.
        missed: share of the silhouettes that are not detected.
        false: detections of nothing, as a share of the true ones.
        pose_error_deg: every camera really looks that far off the bay's file, in a direction of its own.
        off: names of cameras that gave no frame.
        piece_missed, piece_misread: shares of the boxes of equipment that are not detected, or as another class.
        piece_false: boxes of equipment a frame where there is none, in the mean.
    """

    noise_px: float = 2.0
    smooth_px: float = 0.0
    missed: float = 0.03
    false: float = 0.0
    pose_error_deg: float = 0.0
    off: tuple[str, ...] = ()
    piece_missed: float = 0.1
    piece_misread: float = 0.03
    piece_false: float = 0.3


@dataclass(frozen=True)
class SilhouetteYard:
    """Blocks and equipment on a bay's floor, and what the models would say of them."""

    bay: BayConfig
    blocks: tuple[YardBlock, ...]
    cranes: tuple[YardBlock, ...] = ()
    equipment: tuple[YardPiece, ...] = ()
    seed: int = 0
    degraded: Degraded = field(default_factory=Degraded)

    def observe(self) -> Observation:
        """The batch: same yard, same observation."""
        rng = np.random.default_rng([self.seed, 7])
        working = [camera for camera in self.bay.fusion_cameras if camera.name not in self.degraded.off]
        cameras = [self._frame(shaken(camera, self.degraded.pose_error_deg, rng), rng) for camera in working]
        failures = dict.fromkeys(self.degraded.off, "off")
        return Observation(f"{self.bay.bay_id}_{_SLOT}", self.bay.bay_id, tuple(cameras), failures)

    def _frame(self, camera: Camera, rng: np.random.Generator) -> CameraObservation:
        _, lens = placed(camera)
        frame = shapely.box(0, 0, lens.width, lens.height)
        standing = (*self.blocks, *self.cranes)
        objects = []
        for block, (whole, seen) in zip(standing, visible_silhouettes(camera, standing), strict=True):
            if seen.area < max(_LEAST_PX2, _LEAST_SHARE * whole.area) or rng.random() < self.degraded.missed:
                continue
            outline = noisy(seen, self.degraded, rng, frame)
            if block.class_name == "crane":
                objects.append(detected("crane", outline, 0.9))
            else:
                objects.append(detected(block.class_name, outline, rng.uniform(0.7, 0.98), block.stage))
        false = rng.binomial(len(objects), self.degraded.false)
        objects += [detected("block", _blob(lens, rng), rng.uniform(0.3, 0.7), STAGES[1]) for _ in range(false)]
        if self.equipment:
            objects += self._equipment(camera, rng, frame)
        captured = datetime(2025, 7, 2, 1, 0, tzinfo=UTC)
        return CameraObservation(camera.name, captured, (lens.width, lens.height), tuple(objects))

    def _equipment(self, camera: Camera, rng: np.random.Generator, frame: Polygon) -> list[DetectedObject]:
        found, spoilt = [], self.degraded
        for piece, (whole, seen) in zip(self.equipment, visible_pieces(self, camera), strict=True):
            least = max(_LEAST_PIECE_PX2, _LEAST_PIECE_SHARE * whole.area)
            if seen.area < least or rng.random() < spoilt.piece_missed:
                continue
            name = str(rng.choice(list(_PIECES))) if rng.random() < spoilt.piece_misread else piece.class_name
            found.append(_boxed(name, np.array(seen.bounds), rng, frame))
        for _ in range(rng.poisson(spoilt.piece_false)):
            centre = rng.uniform((100, 100), np.array(frame.bounds[2:]) - 100)
            half = rng.uniform(12, 50, 2)
            box = np.concatenate([centre - half, centre + half])
            found.append(_boxed(str(rng.choice(list(_PIECES))), box, rng, frame, most=0.6))
        return found


def random_yard(
    bay: BayConfig,
    seed: int,
    *,
    count: int = 24,
    degraded: Degraded | None = None,
    plans: Sequence[str] = ("box",),
    scale: float = 1.0,
) -> SilhouetteYard:
    """A yard of `count` blocks a metre or more apart, every detail drawn from `seed`.

    Args:
        bay: whose floor, areas and cameras.
        seed: not negative.
        count: number of blocks.
        degraded: how the silhouettes are spoilt.
        plans: of `PLANS`, one of them for each block by chance.
        scale: factor on widths and depths.

    Raises:
        SimulationError: that many blocks do not fit on the floor.
    """
    blocks = random_blocks(bay, count, seed, plans=plans, scale=scale)
    return SilhouetteYard(bay, blocks, seed=seed, degraded=degraded or Degraded())


def random_blocks(
    bay: BayConfig, count: int, seed: int, *, gap: float = 1.0, plans: Sequence[str] = ("box",), scale: float = 1.0
) -> tuple[YardBlock, ...]:
    """`count` blocks at least `gap` metres apart (see `random_yard`)."""
    rng = np.random.default_rng([seed, 3])
    hall = shapely.box(1, 1, bay.layout.width - 1, bay.layout.height - 1)
    blocks: list[YardBlock] = []
    for _ in range(_TRIES):
        if len(blocks) == count:
            return tuple(blocks)
        name = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
        width, depth, height = (rng.uniform(*limits) for limits in SIZES[name])
        yaw = rng.normal(0, 0.15) if rng.random() < 0.7 else rng.uniform(0, np.pi)
        yaw += np.pi / 2 * (rng.random() < 0.3)
        x, y = rng.uniform(6, bay.layout.width - 6), rng.uniform(4, bay.layout.height - 4)
        stage = str(rng.choice(STAGES))
        plan = plans[0] if len(plans) == 1 else str(rng.choice(plans))
        cut = (0.3, 0.3) if plan == "octagon" else (float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.35, 0.6)))
        block = YardBlock(name, x, y, width * scale, depth * scale, yaw, height, stage, plan, cut)
        outline = Polygon(block.corners()[:4, :2])
        if hall.contains(outline) and all(
            outline.distance(Polygon(other.corners()[:4, :2])) >= gap for other in blocks
        ):
            blocks.append(replace(block, block_id=f"b{len(blocks):03d}", area=_area(block.footprint, bay)))
    raise SimulationError(f"{count} blocks do not fit on {bay.layout.width:g} x {bay.layout.height:g} m of floor")


def crowded_blocks(bay: BayConfig, count: int, seed: int) -> tuple[YardBlock, ...]:
    """`count` upright boxes in groups, a neighbour of each at 0.5 to 0.7 of a side (see `random_yard`)."""
    rng = np.random.default_rng([seed, 5])
    hall = shapely.box(1, 1, bay.layout.width - 1, bay.layout.height - 1)
    blocks: list[YardBlock] = []
    for _ in range(_TRIES):
        if len(blocks) == count:
            return tuple(blocks)
        width, depth = rng.uniform(*_CROWD_SIDES, 2)
        height, yaw = rng.uniform(*_CROWD_HEIGHTS), rng.uniform(0, np.pi)
        gap = rng.uniform(*_CROWD_GAPS) * max(width, depth)
        x, y = rng.uniform(3, bay.layout.width - 3), rng.uniform(3, bay.layout.height - 3)
        neighbour = blocks[rng.integers(len(blocks))] if len(blocks) % _CROWD_GROUP else None
        if neighbour is not None:
            angle = rng.uniform(0, 2 * np.pi)
            reach = gap + (width + neighbour.width) / 2
            x, y = neighbour.x + reach * np.cos(angle), neighbour.y + reach * np.sin(angle)
        block = YardBlock("block", x, y, width, depth, yaw, height, str(rng.choice(STAGES)))
        distance = min((block.footprint.distance(other.footprint) for other in blocks), default=np.inf)
        nearest = _CROWD_GAPS[0] * max(width, depth)
        farthest = _CROWD_GAPS[1] * max(width, depth) if neighbour is not None else np.inf
        if hall.contains(block.footprint) and nearest <= distance <= farthest:
            blocks.append(replace(block, block_id=f"b{len(blocks):03d}", area=_area(block.footprint, bay)))
    raise SimulationError(f"{count} blocks do not fit on {bay.layout.width:g} x {bay.layout.height:g} m of floor")


def equipped(yard: SilhouetteYard) -> SilhouetteYard:
    """The yard with equipment on decks, up to their edges, and on the floor, much of it right beside blocks."""
    rng = np.random.default_rng([yard.seed, 13])
    pieces: list[YardPiece] = []
    blocks = []
    for block in yard.blocks:
        count = int(rng.choice(list(_ON_DECK), p=list(_ON_DECK.values())))
        on_deck = [piece for _ in range(count) if (piece := _piece_on(block, rng)) is not None]
        own = _apart(on_deck, ())
        blocks.append(replace(block, work=dict(Counter(piece.class_name for piece in own))))
        pieces += own
    loose = [_piece_on_floor(yard, rng) for _ in range(_ON_FLOOR)]
    return replace(yard, blocks=tuple(blocks), equipment=(*pieces, *_apart(loose, yard.blocks)))


def visible_pieces(yard: SilhouetteYard, camera: Camera) -> list[tuple[BaseGeometry, Polygon]]:
    """For every piece of equipment its whole outline, and the largest part of it that no block hides."""
    pose, lens = placed(camera)
    frame, eye = shapely.box(0, 0, lens.width, lens.height), np.array([pose.x, pose.y])
    standing = [(block, silhouette(camera, block)) for block in (*yard.blocks, *yard.cranes)]
    result: list[tuple[BaseGeometry, Polygon]] = []
    for piece in yard.equipment:
        whole = _hull(camera, piece.outline.parts()[0], piece.base + piece.height, piece.base)
        seen: BaseGeometry = whole.intersection(frame)
        for block, outline in standing:
            if (
                (piece.on is None or block.block_id != piece.on)
                and seen.intersects(outline)
                and _stands_in_front(block, piece.outline, eye)
            ):
                seen = seen.difference(outline)
        result.append((whole, _largest(seen)))
    return result


def with_focal(bay: BayConfig, focal: float, *, distortion: bool = True) -> BayConfig:
    """The bay with other lenses: focal length in pixels, and without distortion where asked."""
    kept = bay if distortion else without_distortion(bay)
    return _with_lenses(kept, lambda lens: lens.with_focal(focal))


def without_distortion(bay: BayConfig) -> BayConfig:
    """The bay with lenses that do not bend, or that nobody has measured."""
    return _with_lenses(bay, lambda lens: lens.model_copy(update={"distortion": (0.0,) * 5}))


def _with_lenses(bay: BayConfig, change: Callable[[Intrinsics], Intrinsics]) -> BayConfig:
    cameras = (camera.model_copy(update={"intrinsics": change(placed(camera)[1])}) for camera in bay.cameras)
    return bay.model_copy(update={"cameras": tuple(cameras)})


def best_view(bay: BayConfig, block: YardBlock) -> float:
    """The largest share of the block's footprint that lies in one camera's frame."""
    low, high = np.array(block.footprint.bounds).reshape(2, 2)
    x, y = (axis.ravel() for axis in np.meshgrid(*(np.linspace(low[i], high[i], 40) for i in (0, 1))))
    inside = shapely.contains_xy(block.footprint, x, y)
    grid = np.stack([x, y, np.zeros_like(x)], axis=1)[inside]
    shares = []
    for camera in bay.fusion_cameras:
        lens = placed(camera)[1]
        u, v = project(camera, grid).T
        shares.append(float(np.mean((u >= 0) & (u <= lens.width) & (v >= 0) & (v <= lens.height))))
    return max(shares, default=0.0)


def placed(camera: Camera) -> tuple[Pose, Intrinsics]:
    """Pose and intrinsics of a camera.

    Raises:
        SimulationError: it has none.
    """
    if camera.pose is None or camera.intrinsics is None:
        raise SimulationError(f"camera {camera.name} has no pose or no intrinsics: give them in the bay's YAML file")
    return camera.pose, camera.intrinsics


def project(camera: Camera, points: Floats) -> Floats:
    """(N, 3) metres to (N, 2) pixels; NaN behind the camera or far outside of its view."""
    pose, lens = placed(camera)
    pan, tilt = np.radians(pose.pan), np.radians(pose.tilt)
    # World to camera: turn the heading onto +y, then pitch the view down by tilt.
    offset = points - [pose.x, pose.y, pose.z]
    right = offset[:, 0] * np.cos(pan) - offset[:, 1] * np.sin(pan)
    ahead = offset[:, 0] * np.sin(pan) + offset[:, 1] * np.cos(pan)
    depth = ahead * np.cos(tilt) - offset[:, 2] * np.sin(tilt)
    down = -ahead * np.sin(tilt) - offset[:, 2] * np.cos(tilt)
    depth = np.where(depth > 0.1, depth, np.nan)
    # Rolled clockwise, the camera sees the world turned the other way.
    roll = np.radians(pose.roll)
    right, down = right * np.cos(roll) + down * np.sin(roll), down * np.cos(roll) - right * np.sin(roll)
    x, y = right / depth, down / depth
    k1, k2, p1, p2, k3 = lens.distortion
    r2 = x**2 + y**2
    r2 = np.where(r2 < 2.0, r2, np.nan)
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    distorted_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2)
    distorted_y = y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y
    (cx, cy), (fx, fy) = lens.principal_point, lens.focal
    return np.stack([cx + fx * distorted_x, cy + fy * distorted_y], axis=1)


def silhouette(camera: Camera, block: YardBlock) -> BaseGeometry:
    """The whole outline in pixels, frame edges ignored: hulls of the parts' finely divided edges."""
    return shapely.union_all([_hull(camera, ring, block.height) for ring in block.parts()])


def visible_silhouettes(camera: Camera, blocks: Sequence[YardBlock]) -> list[tuple[BaseGeometry, Polygon]]:
    """For every block its whole outline, and the largest piece of it that is in frame and not hidden."""
    pose, lens = placed(camera)
    frame = shapely.box(0, 0, lens.width, lens.height)
    outlines = [silhouette(camera, block) for block in blocks]
    eye = np.array([pose.x, pose.y])
    result = []
    for index, block in enumerate(blocks):
        seen = outlines[index].intersection(frame)
        for other, nearer in enumerate(blocks):
            if (
                other != index
                and not seen.is_empty
                and seen.intersects(outlines[other])
                and _stands_in_front(nearer, block, eye)
            ):
                seen = seen.difference(outlines[other])
        result.append((outlines[index], _largest(seen)))
    return result


def noisy(polygon: Polygon, degraded: Degraded, rng: np.random.Generator, frame: Polygon) -> Floats:
    """The outline, a vertex every ~12 px, each off by its noise; kept within the frame."""
    ring = np.asarray(shapely.segmentize(polygon, _VERTEX_EVERY_PX).exterior.coords)[:-1]
    error = rng.normal(0, degraded.noise_px, ring.shape)
    if degraded.smooth_px:
        white = rng.normal(0, 1, ring.shape)
        smooth = gaussian_filter1d(white, _SMOOTH_OVER_PX / _VERTEX_EVERY_PX, axis=0, mode="wrap")
        error += degraded.smooth_px * smooth / smooth.std()
    return np.asarray(np.clip(ring + error, 0, frame.bounds[2:]))


def detected(class_name: str, outline: Floats, confidence: float, stage: str | None = None) -> DetectedObject:
    """A detection with this outline (N, 2), pixels."""
    box = np.concatenate([outline.min(axis=0), outline.max(axis=0)]).astype(np.float32)
    return DetectedObject(class_name, confidence, box, outline.astype(np.float32), stage, 0.9 if stage else 0.0)


def shaken(camera: Camera, degrees: float, rng: np.random.Generator) -> Camera:
    """The camera as it really hangs, where the bay's file is off by this much."""
    if not degrees:
        return camera
    pose, angle = placed(camera)[0], rng.uniform(0, 2 * np.pi)
    pan = pose.pan + degrees * np.sin(angle) / np.cos(np.radians(pose.tilt))
    moved = pose.model_copy(update={"pan": pan, "tilt": pose.tilt + degrees * np.cos(angle)})
    return camera.model_copy(update={"pose": moved})


def _hull(camera: Camera, ring: Floats, height: float, base: float = 0.0) -> Polygon:
    low = np.column_stack([ring, np.full(len(ring), base)])
    high = np.column_stack([ring, np.full(len(ring), height)])
    starts = np.concatenate([low, high, low])
    ends = np.concatenate([np.roll(low, -1, axis=0), np.roll(high, -1, axis=0), high])
    points = (starts[:, None] + _EDGE_STEPS * (ends - starts)[:, None]).reshape(-1, 3)
    pixels = project(camera, points)
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    hull = shapely.convex_hull(shapely.MultiPoint(pixels))
    return hull if isinstance(hull, Polygon) else Polygon()


def _stands_in_front(nearer: YardBlock, farther: YardBlock, eye: Floats) -> bool:
    """Whether a line between the enclosing rectangles has the eye and `nearer` on one side."""
    for owner in (nearer, farther):
        for angle in (owner.yaw, owner.yaw + np.pi / 2):
            axis = np.array([np.cos(angle), np.sin(angle)])
            near, far = nearer.corners()[:4, :2] @ axis, farther.corners()[:4, :2] @ axis
            if near.max() <= far.min() and eye @ axis < far.min():
                return True
            if near.min() >= far.max() and eye @ axis > far.max():
                return True
    return False


def _piece_on(block: YardBlock, rng: np.random.Generator) -> YardPiece | None:
    """A piece somewhere on the block's deck; None where it finds no room."""
    name, (width, depth, height) = _new_piece(rng)
    along = np.array([np.cos(block.yaw), np.sin(block.yaw)])
    across = np.array([-along[1], along[0]])
    for _ in range(20):
        reach = rng.uniform(-0.5, 0.5, 2) * [block.width, block.depth]
        x, y = np.array([block.x, block.y]) + reach[0] * along + reach[1] * across
        piece = YardPiece(name, x, y, width, depth, rng.uniform(0, np.pi), block.height, height, block.block_id)
        if block.footprint.contains(piece.outline.footprint):
            return piece
    return None


def _piece_on_floor(yard: SilhouetteYard, rng: np.random.Generator) -> YardPiece:
    name, (width, depth, height) = _new_piece(rng)
    x, y = rng.uniform((1.5, 1.5), (yard.bay.layout.width - 1.5, yard.bay.layout.height - 1.5))
    if yard.blocks and rng.random() < _BESIDE_BLOCKS:
        rim = yard.blocks[rng.integers(len(yard.blocks))].footprint.exterior
        reach = rng.uniform(*_NEXT_M) + max(width, depth) / 2
        outer = Polygon(rim).buffer(reach).exterior
        spot = outer.interpolate(rng.random(), normalized=True)
        x, y = spot.x, spot.y
    return YardPiece(name, float(x), float(y), width, depth, rng.uniform(0, np.pi), 0.0, height)


def _new_piece(rng: np.random.Generator) -> tuple[str, list[float]]:
    name = str(rng.choice(list(_PIECES)))
    return name, [float(rng.uniform(*limits)) for limits in _PIECES[name]]


def _apart(pieces: Sequence[YardPiece], blocks: Sequence[YardBlock]) -> list[YardPiece]:
    """Those that touch neither a block nor one before them."""
    taken = [block.footprint for block in blocks]
    kept = []
    for piece in pieces:
        outline = piece.outline.footprint
        if not any(outline.intersects(place) for place in taken):
            taken.append(outline.buffer(0.05))
            kept.append(piece)
    return kept


def _boxed(name: str, bounds: Floats, rng: np.random.Generator, frame: Polygon, most: float = 0.95) -> DetectedObject:
    """A detection with these bounds, pixels, each side a little off."""
    box = np.clip(bounds + rng.normal(0, _BOX_NOISE_PX, 4), 0, np.tile(frame.bounds[2:], 2))
    return DetectedObject(name, float(rng.uniform(0.3, most)), box.astype(np.float32))


def _area(footprint: Polygon, bay: BayConfig) -> str | None:
    """The area that holds most of the footprint, of nested ones the smallest that holds half of it."""
    shares = []
    for name, area in bay.layout.areas.items():
        floor = shapely.box(area.x[0], area.y[0], area.x[1], area.y[1])
        shares.append((floor.intersection(footprint).area / footprint.area, floor.area, name))
    half = [(size, name) for share, size, name in shares if share >= 0.5]
    if half:
        return min(half)[1]
    most = max(shares, default=(0.0, 0.0, ""))
    return most[2] if most[0] > 0 else None


def _largest(shape: BaseGeometry) -> Polygon:
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, Polygon)]
    return max(parts, key=lambda part: float(part.area), default=Polygon())


def _blob(lens: Intrinsics, rng: np.random.Generator) -> Floats:
    """An outline around nothing."""
    centre, radii = rng.uniform((200, 150), (lens.width - 200, lens.height - 150)), rng.uniform(30, 140, 2)
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    return np.asarray(centre + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1))
