"""What a camera sees, as geometry: faces, who hides whom, and the id of every pixel.

The yard is made of upright boxes and of flat rectangles on the floor. A frame is
painted from back to front (painter's algorithm). The order is exact for disjoint
convex boxes: of two boxes that a plane separates, the one on the camera's side of
the plane is in front (the rule of binary space partitions, Fuchs, Kedem, Naylor
1980, applied to pairs), and a topological sort makes one order of all pairs.

Pixels: u and v as in `bays.camera_model`, so that pixel (column i, row j) covers
i <= u < i + 1 and j <= v < j + 1.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bays.camera_model import CameraModel
from lab.simulation.objects import CRANE_CLASS, Crane, Equipment, Jig, Person, SimulatedBlock, YardState, rectangle

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]
Thing = SimulatedBlock | Jig | Equipment | Person | Crane

SIDES, TOP, BOTTOM = (0, 1, 2, 3), 4, 5
_FACES = 6
_EDGE_STEPS = 12  # straight pieces of an edge that the lens bends
_SHIFT = 4  # fractional bits of the coordinates handed to OpenCV
_NEAR_M = 0.1
_TOUCH_M = 1e-6
_FARTHEST_PIXEL = 30_000.0


@dataclass(frozen=True)
class Solid:
    """An upright box, or a flat rectangle on the floor where `z0` equals `z1`.

    `ring` is the (4, 2) footprint in metres, counter-clockwise; `part` names the
    parts of one thing apart.
    """

    ring: Floats
    z0: float
    z1: float
    thing: Thing
    part: str = "body"


@dataclass(frozen=True)
class SceneObject:
    """A thing with the range of its solids in `Scene.solids`; people have no class."""

    object_id: str
    class_name: str | None
    thing: Thing
    first: int
    last: int

    @property
    def face_range(self) -> tuple[int, int]:
        """First and last face id, both included."""
        return 1 + _FACES * self.first, _FACES * (self.last + 1)


@dataclass(frozen=True)
class Scene:
    """All things of one state, independent of any camera."""

    solids: tuple[Solid, ...]
    objects: tuple[SceneObject, ...]

    def object(self, object_id: str) -> SceneObject:
        """The object of that id.

        Raises:
            KeyError: there is none.
        """
        for candidate in self.objects:
            if candidate.object_id == object_id:
                return candidate
        raise KeyError(f"no object {object_id} in the scene")


@dataclass(frozen=True)
class Drawing:
    """One camera's view of a scene.

    Attributes:
        ids: (H, W) int32, the face that each pixel shows; 0 is the hall itself.
        faces: ids of the faces that look at the camera and reach the frame, back to front.
        outlines: of each of those faces, (N, 2) pixels; may lie partly outside the frame.
    """

    ids: Ids
    faces: tuple[int, ...]
    outlines: dict[int, Floats]


def face_id(solid: int, side: int) -> int:
    """Id of a face: `side` is one of `SIDES` (edge `side` to `side + 1`), `TOP` or `BOTTOM`."""
    return 1 + _FACES * solid + side


def solid_and_side(face: int) -> tuple[int, int]:
    """The inverse of `face_id`."""
    return divmod(face - 1, _FACES)


def build_scene(state: YardState) -> Scene:
    """The boxes of everything in the yard, flat things first."""
    solids: list[Solid] = []
    objects: list[SceneObject] = []

    def add(object_id: str, class_name: str | None, thing: Thing, parts: Sequence[Solid]) -> None:
        objects.append(SceneObject(object_id, class_name, thing, len(solids), len(solids) + len(parts) - 1))
        solids.extend(parts)

    for jig in state.jigs:
        add(jig.jig_id, jig.class_name, jig, [Solid(jig.ring, 0.0, 0.0, jig)])
    for block in state.blocks:
        add(block.block_id, block.class_name, block, [Solid(block.ring, 0.0, block.height_m, block)])
    for item in state.equipment:
        body = Solid(item.ring, item.base_m, item.base_m + item.height_m, item)
        add(item.equipment_id, item.class_name, item, [body])
    for number, person in enumerate(state.people):
        add(f"person-{number}", None, person, _person_parts(person))
    for crane in state.cranes:
        add(crane.crane_id, CRANE_CLASS, crane, _crane_parts(crane))
    return Scene(tuple(solids), tuple(objects))


def face_corners(solid: Solid, side: int) -> Floats:
    """(4, 3) corners of a face, metres: along its texture's top edge from left to right, then back below.

    Sides are seen from outside with the top edge first; `TOP` has the width along
    its texture's columns, seen from above.
    """
    ring, low, high = solid.ring, solid.z0, solid.z1
    if side in SIDES:
        # Seen from outside a counter-clockwise edge runs from left to right.
        left, right = ring[side], ring[(side + 1) % 4]
        return np.array([[*left, high], [*right, high], [*right, low], [*left, low]])
    order = (3, 2, 1, 0) if side == TOP else (0, 1, 2, 3)
    return np.column_stack([ring[list(order)], np.full(4, high if side == TOP else low)])


def draw(scene: Scene, model: CameraModel) -> Drawing:
    """Paint the ids of all faces that look at the camera, back to front."""
    width, height = model.size
    ids = np.zeros((height, width), dtype=np.int32)
    outlines = project_faces(scene, model, window(model))
    painted: list[int] = []
    for solid in paint_order(scene, model, outlines):
        for side in range(_FACES):
            face = face_id(solid, side)
            if face in outlines:
                fill(ids, outlines[face], face)
                painted.append(face)
    return Drawing(ids, tuple(painted), outlines)


def fill(image: NDArray[np.generic], outline: Floats, value: int, offset: tuple[int, int] = (0, 0)) -> None:
    """Fill a polygon given in pixels; `offset` is the (column, row) of the image's first pixel."""
    # OpenCV counts from the middle of the first pixel, this project from its corner.
    points = np.clip(outline - np.array(offset) - 0.5, -_FARTHEST_PIXEL, _FARTHEST_PIXEL)
    cv2.fillPoly(image, [np.round(points * (1 << _SHIFT)).astype(np.int32)], value, lineType=cv2.LINE_8, shift=_SHIFT)


def window(model: CameraModel, factor: float = 1.15) -> tuple[float, float, float, float]:
    """Bounds (left, top, right, bottom) of the frame in normalised coordinates, widened by `factor`."""
    width, height = model.size
    u, v = np.linspace(0, width, 9), np.linspace(0, height, 9)
    border = [(x, y) for x in u for y in (0, height)] + [(x, y) for x in (0, width) for y in v]
    normal = model.undistort(np.array(border))
    low, high = normal.min(axis=0), normal.max(axis=0)
    middle, half = (low + high) / 2, (high - low) / 2 * factor
    left, top = middle - half
    right, bottom = middle + half
    return float(left), float(top), float(right), float(bottom)


def project_faces(
    scene: Scene, model: CameraModel, bounds: tuple[float, float, float, float], solids: Sequence[int] | None = None
) -> dict[int, Floats]:
    """Outlines (N, 2) in pixels of the faces that look at the camera and reach into `bounds`, by face id.

    `solids` restricts them to those of some solids.
    """
    chosen = range(len(scene.solids)) if solids is None else solids
    seen = [
        (index, side)
        for index, sides in zip(chosen, _sides_seen([scene.solids[i] for i in chosen], model.position), strict=True)
        for side in np.flatnonzero(sides)
    ]
    if not seen:
        return {}
    quads = np.array([face_corners(scene.solids[index], int(side)) for index, side in seen])
    outlines = project_quads(quads, model, bounds)
    return {
        face_id(index, int(side)): outline
        for (index, side), outline in zip(seen, outlines, strict=True)
        if outline is not None
    }


def project_quads(
    quads: Floats, model: CameraModel, bounds: tuple[float, float, float, float], steps: int = _EDGE_STEPS
) -> list[Floats | None]:
    """Outlines (N, 2) in pixels of (M, 4, 3) flat quadrangles, cut to `bounds`; None for what lies outside.

    Every edge is projected as `steps` pieces, so that it bends as the lens bends it.
    """
    camera = (quads - model.position) @ model.rotation.T
    planes = _planes(bounds)
    margins = camera @ planes[:, :3].T - planes[:, 3]
    whole = np.all(margins >= 0, axis=(1, 2))
    beyond = np.any((margins < 0).all(axis=1), axis=1)
    pieces: list[Floats | None] = [
        None if out else polygon if inside else _clip(polygon, planes)
        for polygon, inside, out in zip(camera, whole, beyond, strict=True)
    ]
    kept = [piece for piece in pieces if piece is not None]
    if not kept:
        return [None] * len(pieces)
    starts = np.concatenate(kept)
    ends = np.concatenate([part for piece in kept for part in (piece[1:], piece[:1])])
    share = (np.arange(steps) / steps)[:, None]
    dense = (starts[:, None, :] + (ends - starts)[:, None, :] * share).reshape(-1, 3)
    pixels, valid = model.project(dense @ model.rotation + model.position)
    found: list[Floats | None] = []
    position = 0
    for piece in pieces:
        if piece is None:
            found.append(None)
            continue
        part = slice(position, position + len(piece) * steps)
        position = part.stop
        outline = pixels[part][valid[part]]
        found.append(outline if len(outline) >= 3 else None)
    return found


def paint_order(scene: Scene, model: CameraModel, outlines: dict[int, Floats]) -> list[int]:
    """Indices of the solids that have an outline, back to front, things flat on the floor first."""
    boxes = _image_boxes(outlines)
    shown = sorted(boxes)
    flat = [index for index in shown if scene.solids[index].z1 <= scene.solids[index].z0]
    upright = [index for index in shown if scene.solids[index].z1 > scene.solids[index].z0]
    if not upright:
        return flat
    solids = [scene.solids[index] for index in upright]
    in_front = _in_front(solids, model.position)
    image = np.array([boxes[index] for index in upright])
    meet = (
        (image[:, None, 0] <= image[None, :, 2])
        & (image[None, :, 0] <= image[:, None, 2])
        & (image[:, None, 1] <= image[None, :, 3])
        & (image[None, :, 1] <= image[:, None, 3])
    )
    middles = np.array([[*solid.ring.mean(axis=0), (solid.z0 + solid.z1) / 2] for solid in solids])
    distance = np.linalg.norm(middles - model.position, axis=1)
    return flat + [upright[index] for index in _topological(in_front & meet, distance)]


def _in_front(solids: Sequence[Solid], eye: Floats) -> NDArray[np.bool_]:
    """(N, N): whether solid j must be painted after solid i, being in front of it."""
    rings = np.array([solid.ring for solid in solids])  # (N, 4, 2)
    low, high = np.array([solid.z0 for solid in solids]), np.array([solid.z1 for solid in solids])
    edges = rings[:, (1, 2, 3, 0)] - rings
    normals = np.stack([edges[..., 1], -edges[..., 0]], axis=-1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    offsets = np.einsum("nkc,nkc->nk", normals, rings)
    reach = np.einsum("nkc,mpc->nkmp", normals, rings).min(axis=-1)  # (N, 4, N)
    apart = reach >= offsets[..., None] - _TOUCH_M  # solid m lies outside of edge k of solid n
    eye_outside = np.einsum("nkc,c->nk", normals, eye[:2]) - offsets
    # The eye beyond the edge, too: m is on the eye's side, in front of n. The eye before it: n is in front.
    front_m = (apart & (eye_outside > 0)[..., None]).any(axis=1)
    front_n = (apart & (eye_outside <= 0)[..., None]).any(axis=1)
    above = low[None, :] >= high[:, None] - _TOUCH_M  # m above n
    front_m |= above & (eye[2] > high)[:, None]
    front_n |= above & (eye[2] <= high)[:, None]
    later = front_m | front_n.T
    # Two planes that give opposite orders: the two cannot hide each other.
    return np.asarray(later & ~later.T)


def _topological(before: NDArray[np.bool_], distance: Floats) -> list[int]:
    """Order in which i comes ahead of j wherever before[i, j]; among equals the farther first."""
    waiting = before.sum(axis=0)
    ready = [(-float(distance[index]), int(index)) for index in np.flatnonzero(waiting == 0)]
    heapq.heapify(ready)
    left = set(range(len(distance)))
    order: list[int] = []
    while left:
        if not ready:
            # Three boxes can hide each other in a ring; no order is right then, the farthest first is the least wrong.
            farthest = max(left, key=lambda index: distance[index])
            ready = [(-float(distance[farthest]), farthest)]
        _, index = heapq.heappop(ready)
        if index not in left:
            continue
        left.remove(index)
        order.append(index)
        for later in map(int, np.flatnonzero(before[index])):
            waiting[later] -= 1
            if waiting[later] == 0 and later in left:
                heapq.heappush(ready, (-float(distance[later]), later))
    return order


def _sides_seen(solids: Sequence[Solid], eye: Floats) -> NDArray[np.bool_]:
    """(N, 6): which faces of each solid look at the eye."""
    seen = np.zeros((len(solids), _FACES), dtype=bool)
    if not solids:
        return seen
    rings = np.array([solid.ring for solid in solids])
    low, high = np.array([solid.z0 for solid in solids]), np.array([solid.z1 for solid in solids])
    edges = rings[:, (1, 2, 3, 0)] - rings
    to_eye = eye[:2] - rings
    outside = edges[..., 1] * to_eye[..., 0] - edges[..., 0] * to_eye[..., 1] > 0
    seen[:, :TOP] = outside & (high > low)[:, None]
    seen[:, TOP] = eye[2] > high
    seen[:, BOTTOM] = (eye[2] < low) & (high > low)
    return seen


def _planes(bounds: tuple[float, float, float, float]) -> Floats:
    """(5, 4) planes of the pyramid of view in camera coordinates: inside where n . p >= offset."""
    left, top, right, bottom = bounds
    return np.array(
        [
            [0.0, 0.0, 1.0, _NEAR_M],
            [1.0, 0.0, -left, 0.0],
            [-1.0, 0.0, right, 0.0],
            [0.0, 1.0, -top, 0.0],
            [0.0, -1.0, bottom, 0.0],
        ]
    )


def _clip(polygon: Floats, planes: Floats) -> Floats | None:
    """Cut a polygon in camera coordinates to the pyramid of view (Sutherland and Hodgman 1974)."""
    for plane in planes:
        height = polygon @ plane[:3] - plane[3]
        if (height >= 0).all():
            continue
        points: list[Floats] = []
        for index in range(len(polygon)):
            following = (index + 1) % len(polygon)
            at_start, at_end = height[index], height[following]
            if at_start >= 0:
                points.append(polygon[index])
            if (at_start >= 0) != (at_end >= 0):
                share = at_start / (at_start - at_end)
                points.append(polygon[index] + (polygon[following] - polygon[index]) * share)
        if len(points) < 3:
            return None
        polygon = np.array(points)
    return polygon


def _image_boxes(outlines: dict[int, Floats]) -> dict[int, Floats]:
    """(left, top, right, bottom) of each solid's faces in pixels, a pixel wider on every side."""
    boxes: dict[int, Floats] = {}
    for face, outline in outlines.items():
        solid, _ = solid_and_side(face)
        low, high = outline.min(axis=0) - 1, outline.max(axis=0) + 1
        if solid in boxes:
            low, high = np.minimum(low, boxes[solid][:2]), np.maximum(high, boxes[solid][2:])
        boxes[solid] = np.concatenate([low, high])
    return boxes


def _person_parts(person: Person) -> list[Solid]:
    legs, head = 0.48 * person.height_m, 0.88 * person.height_m
    crown = rectangle(person.center, person.yaw_deg, 0.30, 0.30)
    trousers = rectangle(person.center, person.yaw_deg, 0.42, 0.32)
    return [
        Solid(trousers, 0.0, legs, person, "legs"),
        Solid(person.ring, legs, head, person, "vest"),
        Solid(crown, head, person.height_m, person, "helmet"),
    ]


def _crane_parts(crane: Crane) -> list[Solid]:
    middle, length = sum(crane.span) / 2, crane.span[1] - crane.span[0]
    base = crane.base_m
    girders = [
        Solid(rectangle((crane.x + side * 1.5, middle), 0.0, 0.7, length), base, base + 1.5, crane, "girder")
        for side in (-1, 1)
    ]
    trolley = rectangle((crane.x, crane.hook_y), 0.0, 3.8, 2.4)
    hook = rectangle((crane.x, crane.hook_y), 0.0, 0.9, 0.6)
    ropes = [
        Solid(
            rectangle((crane.x, crane.hook_y + side * 0.2), 0.0, 0.08, 0.08),
            crane.hook_m + 0.9,
            base + 1.5,
            crane,
            "rope",
        )
        for side in (-1, 1)
    ]
    return [
        *girders,
        Solid(trolley, base + 1.5, base + 2.5, crane, "trolley"),
        Solid(hook, crane.hook_m, crane.hook_m + 0.9, crane, "hook"),
        *ropes,
    ]
