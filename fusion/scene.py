"""A batch as geometry: every camera's frame and every silhouette in ideal pixels, ready to be explained.

Lens distortion is taken out here, once per object (see `fusion.upright_box` for
"ideal pixels"), and it is noted which stretches of an outline are the object's
own edge and which are only where the view of it ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import LinearRing, Polygon
from shapely.geometry.base import BaseGeometry

from bay_observation.errors import FusionError
from bays import BayConfig
from bays.camera_model import CameraModel
from fusion.fitting import Outlines
from fusion.upright_box import Bools, Floats, Ints, Views
from inference.types import (
    EQUIPMENT_CLASSES,
    OCCLUDER_CLASSES,
    TRACKED_CLASSES,
    CameraObservation,
    DetectedObject,
    Observation,
)

POINTS = 48  # along each outline
AMBIGUOUS_PX = 12.0  # nearer than this to the frame's edge or another object, an outline may not be its own
_SIMPLIFY_PX = 1.5
_MOST_VERTICES = 96
_BORDER_STEP_PX = 40.0  # the frame's edge is straight as seen, curved once distortion is out
_SMALLEST_PX2 = 60.0
_SAME_OBJECT_IOU = 0.8  # two detections of one camera


@dataclass(frozen=True)
class Frame:
    """One working camera: its model, its frame in ideal pixels, its row of `Scene.views`."""

    name: str
    model: CameraModel
    observation: CameraObservation
    outline: Polygon
    crane: BaseGeometry  # what cranes cover, ideal pixels
    equipment: BaseGeometry  # within the boxes of equipment: part of a block's mask or a notch in it, by chance


@dataclass(frozen=True)
class Scene:
    """All frames and silhouettes of a batch, silhouettes one a row, in an order of their own.

    Attributes:
        frames: the working cameras, by name.
        views: one row per frame.
        objects: the detection behind each silhouette.
        twins: further detections of the same object by the same camera.
        camera: (n,) row of the frame that saw it.
        polygons: (n,) shapely polygons, ideal pixels.
        pixels: (n, k, 2) points along the outlines, ideal pixels.
        at_edge: (n, k) at the frame's edge, at a crane, or within the box of a piece of equipment.
        beside: (m, 3) silhouette, point, and another silhouette of that frame that the point touches.
        free: per frame, the frame without cranes, equipment and all its silhouettes.
        floor: width and height of the bay's floor, metres; its corner is the origin.
    """

    frames: tuple[Frame, ...]
    views: Views
    objects: tuple[DetectedObject, ...]
    twins: tuple[tuple[DetectedObject, ...], ...]
    camera: Ints
    polygons: np.ndarray
    pixels: Floats
    at_edge: Bools
    beside: Ints
    free: np.ndarray
    floor: tuple[float, float]

    def outlines(self, in_front: Bools | None = None, hidden: Bools | None = None) -> Outlines:
        """The outlines as evidence.

        Args:
            in_front: (m,) for each row of `beside`, whether the other object may hide
                the silhouette there; None where nothing is known: it may.
            hidden: (n, k) further points where something may hide the silhouette.
        """
        own = ~self.at_edge if hidden is None else ~(self.at_edge | hidden)
        touching = self.beside if in_front is None else self.beside[in_front]
        own[touching[:, 0], touching[:, 1]] = False
        return Outlines(self.pixels, own, self.views.take(self.camera))


def build_scene(observation: Observation, bay: BayConfig) -> Scene:
    """Take the distortion out of every silhouette of the batch, seen by the cameras as they hung in its slot.

    Raises:
        FusionError: the observation does not fit the bay.
    """
    frames = _frames(observation, bay)
    objects: list[DetectedObject] = []
    twins: list[tuple[DetectedObject, ...]] = []
    camera: list[int] = []
    outlines: list[tuple[Polygon, Floats]] = []
    for row, frame in enumerate(frames):
        for found, outline, others in _silhouettes(frame):
            objects.append(found)
            outlines.append(outline)
            twins.append(others)
            camera.append(row)
    floor = (bay.layout.width, bay.layout.height)
    return _with_evidence(frames, objects, twins, np.array(camera, dtype=np.int64), outlines, floor=floor)


def floor_polygons(polygons: np.ndarray, views: Views, z: float) -> np.ndarray:
    """Ideal-pixel polygons thrown onto the plane at height `z`: (n,) convex hulls, metres."""
    coordinates, owner = shapely.get_coordinates(shapely.convex_hull(polygons), return_index=True)
    of_each = views.take(owner)
    direction = np.concatenate([coordinates / of_each.focal[:, None], np.ones((len(owner), 1))], axis=1)
    direction = np.einsum("nj,nji->ni", direction, of_each.rotation)
    # A ray at or above the horizon meets no floor: it is taken as far out as the flattest that does.
    reach = (of_each.position[:, 2] - z) / np.maximum(-direction[:, 2], 0.05)
    ground = of_each.position[:, :2] + reach[:, None] * direction[:, :2]
    points = np.split(ground, np.flatnonzero(np.diff(owner)) + 1)
    return np.asarray(shapely.convex_hull(np.array([shapely.MultiPoint(ring) for ring in points], dtype=object)))


def _frames(observation: Observation, bay: BayConfig) -> tuple[Frame, ...]:
    if observation.bay_id != bay.bay_id:
        raise FusionError(
            f"batch {observation.batch_id} is of bay {observation.bay_id}, not of {bay.bay_id}: "
            "fuse it with its own bay's configuration"
        )
    known = {camera.name: camera for camera in bay.of_batch(observation.batch_id).cameras}
    frames: dict[str, Frame] = {}
    for seen in observation.cameras:
        camera = known.get(seen.camera_name)
        if camera is None:
            raise FusionError(
                f"batch {observation.batch_id}: bay {bay.bay_id} has no camera {seen.camera_name}; "
                "add it to the bay's YAML file or look where the observation comes from"
            )
        if seen.camera_name in frames:
            raise FusionError(f"batch {observation.batch_id}: camera {seen.camera_name} is in it twice")
        if not camera.fusion:
            continue
        if camera.pose is None or camera.intrinsics is None:
            raise FusionError(
                f"camera {camera.name} of bay {bay.bay_id} has no pose or no intrinsics: "
                "give them in its YAML file, or set fusion: false on it"
            )
        model = CameraModel.of(camera)
        if tuple(seen.image_size) != model.size:
            raise FusionError(
                f"batch {observation.batch_id}: camera {seen.camera_name} sent {_size(seen.image_size)}, "
                f"its intrinsics are for {_size(model.size)}: set the camera's resolution or calibrate it again"
            )
        frames[camera.name] = _frame(seen, model)
    return tuple(frames[name] for name in sorted(frames))


def _size(size: Sequence[int]) -> str:
    return f"{size[0]} x {size[1]} pixels"


def _frame(seen: CameraObservation, model: CameraModel) -> Frame:
    width, height = model.size
    border = shapely.segmentize(shapely.box(0, 0, width, height), _BORDER_STEP_PX)
    cranes = [
        found
        for found in seen.objects
        if found.class_name in OCCLUDER_CLASSES or (found.class_name in TRACKED_CLASSES and found.polygon is None)
    ]
    equipment = [found for found in seen.objects if found.class_name in EQUIPMENT_CLASSES]
    return Frame(
        seen.camera_name,
        model,
        seen,
        Polygon(_to_ideal(np.asarray(border.exterior.coords)[:-1], model)),
        _covered_by(cranes, model),
        _covered_by(equipment, model),
    )


def _covered_by(objects: Sequence[DetectedObject], model: CameraModel) -> BaseGeometry:
    in_order = sorted(objects, key=lambda found: (found.class_name, *found.box.tolist()))
    outlines = [_ideal_polygon(found, model) for found in in_order]
    return shapely.union_all([outline[0] for outline in outlines if outline is not None])


def _silhouettes(
    frame: Frame,
) -> list[tuple[DetectedObject, tuple[Polygon, Floats], tuple[DetectedObject, ...]]]:
    """The frame's tracked objects in an order that does not depend on how they came, doubles merged."""
    found = []
    for thing in frame.observation.objects:
        if thing.class_name in TRACKED_CLASSES and thing.polygon is not None:
            outline = _ideal_polygon(thing, frame.model)
            if outline is not None:
                found.append((thing, outline))
    found.sort(key=lambda pair: (-pair[0].confidence, pair[0].class_name, *pair[0].box.tolist()))
    kept: list[tuple[DetectedObject, tuple[Polygon, Floats], list[DetectedObject]]] = []
    for thing, outline in found:
        for _, (other, _), doubles in kept:
            shared = outline[0].intersection(other).area
            if shared > _SAME_OBJECT_IOU * (outline[0].area + other.area - shared):
                doubles.append(thing)
                break
        else:
            kept.append((thing, outline, []))
    return [(thing, outline, tuple(doubles)) for thing, outline, doubles in kept]


def _ideal_polygon(found: DetectedObject, model: CameraModel) -> tuple[Polygon, Floats] | None:
    """The object's outline without distortion, simplified, and the points along it; None for next to nothing."""
    if found.polygon is not None:
        ring = found.polygon.astype(float)
    else:
        left, top, right, bottom = found.box.astype(float)
        ring = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    ring = _to_ideal(_divided_at_border(np.clip(ring, 0, model.size), model), model)
    ring = ring[np.isfinite(ring).all(axis=1)]
    if len(ring) < 3:
        return None
    ring = _smoothed(ring)
    polygon = Polygon(shapely.simplify(LinearRing(ring), _SIMPLIFY_PX))
    if not polygon.is_valid:
        polygon = _largest_part(shapely.make_valid(polygon))
        ring = shapely.get_coordinates(polygon.exterior)[:-1]
    return (polygon, _along(ring, POINTS)) if polygon.area >= _SMALLEST_PX2 else None


def _smoothed(ring: Floats) -> Floats:
    """A ring of at most `_MOST_VERTICES`: of a denser one the means over equally long stretches.

    A ragged outline of a thousand vertices would be slow to intersect, and crosses itself.
    """
    if len(ring) <= _MOST_VERTICES:
        return ring
    return np.asarray(_along(ring, _MOST_VERTICES * 8).reshape(_MOST_VERTICES, 8, 2).mean(axis=1))


def _divided_at_border(ring: Floats, model: CameraModel) -> Floats:
    """Vertices added along the sides that follow the frame's edge."""
    width, height = model.size
    near = np.stack(
        [
            ring[:, 0] < AMBIGUOUS_PX,
            ring[:, 1] < AMBIGUOUS_PX,
            ring[:, 0] > width - AMBIGUOUS_PX,
            ring[:, 1] > height - AMBIGUOUS_PX,
        ],
        axis=1,
    )
    side = np.roll(ring, -1, axis=0) - ring
    along_border = np.asarray((near & np.roll(near, -1, axis=0)).any(axis=1))
    steps = np.where(along_border, np.ceil(np.linalg.norm(side, axis=1) / _BORDER_STEP_PX), 1).astype(int)
    steps = np.maximum(steps, 1)
    start = np.repeat(np.arange(len(ring)), steps)
    part = (np.arange(len(start)) - np.repeat(np.cumsum(steps) - steps, steps)) / steps[start]
    return np.asarray(ring[start] + part[:, None] * side[start])


def _to_ideal(pixels: Floats, model: CameraModel) -> Floats:
    return model.undistort(pixels) * model.intrinsics.focal_px


def _largest_part(shape: BaseGeometry) -> Polygon:
    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if isinstance(part, Polygon)]
    return max(parts, key=lambda part: part.area, default=Polygon())


def _with_evidence(
    frames: tuple[Frame, ...],
    objects: list[DetectedObject],
    twins: list[tuple[DetectedObject, ...]],
    camera: Ints,
    outlines: list[tuple[Polygon, Floats]],
    *,
    floor: tuple[float, float],
) -> Scene:
    shapes = np.array([polygon for polygon, _ in outlines], dtype=object)
    pixels = np.array([points for _, points in outlines]).reshape(-1, POINTS, 2)
    at_edge = np.zeros(pixels.shape[:2], dtype=bool)
    beside: list[Ints] = [np.zeros((0, 3), dtype=np.int64)]
    free = np.empty(len(frames), dtype=object)
    for row, frame in enumerate(frames):
        own = np.flatnonzero(camera == row)
        points = shapely.points(pixels[own].reshape(-1, 2))
        blind = shapely.union_all([frame.outline.exterior, frame.crane])
        shapely.prepare(blind)
        ends = shapely.dwithin(points, blind, AMBIGUOUS_PX)
        shapely.prepare(frame.equipment)
        ends |= shapely.intersects(points, frame.equipment)
        at_edge[own] = ends.reshape(len(own), POINTS)
        open_frame = frame.outline.difference(shapely.union_all([frame.crane, frame.equipment]))
        free[row] = open_frame.difference(shapely.union_all(shapes[own]))
        if not len(own):
            continue
        point, other = shapely.STRtree(shapes[own]).query(points, predicate="dwithin", distance=AMBIGUOUS_PX)
        foreign = point // POINTS != other
        point, other = point[foreign], other[foreign]
        beside.append(np.stack([own[point // POINTS], point % POINTS, own[other]], axis=1))
    views = Views(
        np.array([frame.model.rotation for frame in frames]).reshape(-1, 3, 3),
        np.array([frame.model.position for frame in frames]).reshape(-1, 3),
        np.array([frame.model.intrinsics.focal_px for frame in frames], dtype=float),
    )
    return Scene(
        frames=frames,
        views=views,
        objects=tuple(objects),
        twins=tuple(twins),
        camera=camera,
        polygons=shapes,
        pixels=pixels,
        at_edge=at_edge,
        beside=np.concatenate(beside),
        free=free,
        floor=floor,
    )


def _along(ring: Floats, count: int) -> Floats:
    """(count, 2) points at equal steps along a closed ring of (n, 2) vertices, the last not repeated."""
    closed = np.concatenate([ring, ring[:1]])
    reach = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))])
    steps = (np.arange(count) + 0.5) / count * reach[-1]
    return np.stack([np.interp(steps, reach, closed[:, 0]), np.interp(steps, reach, closed[:, 1])], axis=1)
