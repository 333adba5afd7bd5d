"""Equipment in space: each piece once, on the floor or on the deck of one block, by what all cameras saw.

One camera does not tell how far along its ray a piece stands: what stands on the floor behind a block may
seem to stand on its deck. So every detection suggests one place on each surface that its ray meets. Each
suggestion collects the detections of other cameras that agree with it and is placed by all of them
(triangulated, with the surface as prior). What counts for a suggestion is who saw it, who must have seen it
and did not, and whether a piece can be there at all: on a deck, not beside it; on the floor, not within a
block. The best one is chosen first, and every detection is used once. Where another surface explains a
piece nearly as well, it stands on neither for certain.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely

from fusion.scene import Scene
from fusion.sight import Sight, on_rays
from fusion.upright_box import Bools, Floats, Ints, Views
from inference.types import EQUIPMENT_CLASSES, DetectedObject

FLOOR = -1
RISE_M = 0.5  # of the middle of a piece above the surface that it stands on; pieces are 0.3 to 2 m high
_RISE_STD_M = 0.3
_SPREAD, _LEAST_SPREAD_PX = 0.25, 4.0  # standard deviation of a box's middle, as a share of half its side
_GATE, _OTHER_CLASS = 16.0, 3.0  # squared deviations up to which a detection agrees; what another class costs of them
_FIT_ROUNDS = 3
_BESIDE_M, _BESIDE_STD_M = 0.6, 0.3  # how far beside its surface a piece may seem to be
_BESIDE_FLOOR_M = 1.0
_CLEAR_M, _HIDDEN_M = 0.3, -0.5  # by which plans are widened (narrowed) for who must see a piece (who cannot)
_FULL, _FALL, _LEAST_GAIN, _HIDDEN_GAIN = 1.2, 8.0, -0.3, -0.4
_UNSURE = 0.5  # what a detection of confidence 0 counts less than one of confidence 1
_MISS = 0.4  # what a camera takes away that must have seen the piece
_WORTH = 0.3  # from which a piece is believed
_MARGIN = 0.4  # by which it must be better explained than on another surface
_TWIN_IOU = 0.5  # two detections of one camera


@dataclass(frozen=True)
class Piece:
    """One piece of equipment.

    Attributes:
        class_name: by the cameras' weighted vote.
        place: (3,) its middle, metres.
        block: row of the block on whose deck it stands; `FLOOR`.
        rival: the surface that explains it nearly as well, likewise; None where there is none.
        doubted: at least as many cameras must have seen it and did not as saw it.
        cameras: rows of the frames that saw it.
    """

    class_name: str
    place: Floats
    block: int
    rival: int | None
    doubted: bool
    cameras: tuple[int, ...]


def find_pieces(sight: Sight) -> list[Piece]:
    """All pieces of a scene, best explained first."""
    found = _detections(sight.scene)
    if not len(found.camera):
        return []
    return _chosen(_supported(_suggestions(found, sight), found, sight), found)


@dataclass(frozen=True)
class _Detections:
    """Boxes of equipment, one a row.

    Attributes:
        camera: (n,) row of the frame.
        middle: (n, 2) ideal pixels.
        half: (n, 2) half its sides, pixels.
        kind: (n,) index of the class.
        weight: (n,) what it counts for, by its confidence.
        views: of the frames.
    """

    camera: Ints
    middle: Floats
    half: Floats
    kind: Ints
    weight: Floats
    views: Views

    @property
    def variance(self) -> Floats:
        """(n, 2) of the middle, square pixels."""
        return np.asarray((_SPREAD * self.half) ** 2 + _LEAST_SPREAD_PX**2)

    def reach(self, rows: Ints, place: Floats) -> float:
        """Half the longest side that these boxes have at a place, metres."""
        distance = np.linalg.norm(place - self.views.position[self.camera[rows]], axis=1)
        return float((self.half[rows].max(axis=1) / self.views.focal[self.camera[rows]] * distance).max())


@dataclass(frozen=True)
class _Suggestions:
    """Possible pieces, one a row.

    Attributes:
        surface: (m,) row of a block, or `FLOOR`.
        base: (m,) height of that surface, metres.
        place: (m, 3) middle of the piece, metres.
        kind: (m,) class of the detection that it comes from.
        members: (m, cameras) detection that it explains, -1 for none.
        gain: (m, cameras) what that is worth.
        missed: (m, cameras) the camera must have seen it and did not.
        price: (m,) of standing beside its surface, or at an odd height.
    """

    surface: Ints
    base: Floats
    place: Floats
    kind: Ints
    members: Ints
    gain: Floats
    missed: Bools
    price: Floats

    def take(self, rows: Bools) -> "_Suggestions":
        return _Suggestions(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def _detections(scene: Scene) -> _Detections:
    rows = [(row, one) for row, frame in enumerate(scene.frames) for one in _distinct(frame.observation.objects)]
    camera = np.array([row for row, _ in rows], dtype=np.int64)
    boxes = np.array([one.box for _, one in rows], dtype=float).reshape(-1, 2, 2)
    middle = np.zeros((len(rows), 2))
    for row, frame in enumerate(scene.frames):
        own = camera == row
        middle[own] = frame.model.undistort(boxes[own].mean(axis=1)) * frame.model.intrinsics.focal_px
    kind = np.array([EQUIPMENT_CLASSES.index(one.class_name) for _, one in rows], dtype=np.int64)
    confidence = np.array([one.confidence for _, one in rows], dtype=float)
    half = np.diff(boxes, axis=1)[:, 0] / 2
    return _Detections(camera, middle, half, kind, 1 - _UNSURE * (1 - confidence), scene.views)


def _distinct(objects: Sequence[DetectedObject]) -> list[DetectedObject]:
    """The equipment among one camera's objects, one of several detections of the same piece."""
    kept: list[DetectedObject] = []
    found = [one for one in objects if one.class_name in EQUIPMENT_CLASSES]
    for one in sorted(found, key=lambda one: (-one.confidence, one.class_name, *one.box.tolist())):
        outline = shapely.box(*one.box.tolist())
        others = [shapely.box(*other.box.tolist()) for other in kept]
        shared = shapely.area(shapely.intersection(outline, others)) if others else np.zeros(0)
        if not (shared > _TWIN_IOU * (outline.area + shapely.area(others) - shared)).any():
            kept.append(one)
    return kept


def _suggestions(found: _Detections, sight: Sight) -> _Suggestions:
    """One on every surface that a detection's ray meets in open view."""
    surfaces = np.array([FLOOR, *range(len(sight.plans))], dtype=np.int64)
    bases = np.concatenate([[0.0], sight.heights])
    places, meets = on_rays(found.middle, found.camera, bases + RISE_M, sight.scene)
    detection, column = np.nonzero(meets)
    surface, base = surfaces[column], bases[column]
    place = np.column_stack([places[detection, column], base + RISE_M])
    there = _beside(place, surface, sight) <= np.where(surface == FLOOR, _BESIDE_FLOOR_M, _BESIDE_M)
    detection, surface, base, place = detection[there], surface[there], base[there], place[there]
    pairs = np.zeros((len(place), len(sight.scene.frames)), dtype=bool)
    pairs[np.arange(len(place)), found.camera[detection]] = True
    seen = np.asarray(~sight.covered(place, pairs, _HIDDEN_M).any(axis=1))
    members = np.where(pairs, detection[:, None], -1)
    none = np.zeros(members.shape)
    every = _Suggestions(surface, base, place, found.kind[detection], members, none, pairs, np.zeros(len(place)))
    return every.take(seen)


def _beside(place: Floats, surface: Ints, sight: Sight) -> Floats:
    """(m,) metres by which places lie beside their surface; of the floor, within a block or out of the bay."""
    points = np.asarray(shapely.points(place[:, :2]))
    width, height = sight.scene.floor
    beside: Floats = np.array(shapely.distance(points, shapely.box(0, 0, width, height)))
    on_deck = surface != FLOOR
    if not len(sight.plans):
        return beside
    beside[on_deck] = shapely.distance(points[on_deck], sight.plans[surface[on_deck]])
    point, block = shapely.STRtree(sight.plans).query(points, predicate="within")
    on_floor = ~on_deck[point]
    point, block = point[on_floor], block[on_floor]
    depth = shapely.distance(points[point], shapely.boundary(sight.plans[block]))
    np.maximum.at(beside, point, depth)
    return beside


def _supported(tried: _Suggestions, found: _Detections, sight: Sight) -> _Suggestions:
    """Placed by all detections that agree, and judged."""
    for _ in range(2):
        tried = _placed(_collected(tried, found, sight), found)
    pixels, inside = sight.pixels(tried.place)
    member = tried.members >= 0
    apart = _apart(pixels, tried, found)
    covered = sight.covered(tried.place, member, _HIDDEN_M)
    gain = np.clip(_FULL - apart / _FALL, _LEAST_GAIN, 1.0) * found.weight[np.maximum(tried.members, 0)]
    gain = np.where(member, np.where(covered, _HIDDEN_GAIN, gain), 0.0)
    must = inside & ~member
    missed = must & ~sight.covered(tried.place, must, _CLEAR_M)
    rise = (tried.place[:, 2] - tried.base - RISE_M) / _RISE_STD_M
    beside = _beside(tried.place, tried.surface, sight) / _BESIDE_STD_M
    return replace(tried, gain=gain, missed=missed, price=(rise**2 + beside**2) / 4)


def _apart(pixels: Floats, tried: _Suggestions, found: _Detections) -> Floats:
    """(m, cameras) squared deviations of each member from where its camera should see it."""
    rows = np.maximum(tried.members, 0)
    off = ((pixels - found.middle[rows]) ** 2 / found.variance[rows]).sum(axis=-1)
    return np.asarray(off + np.where(found.kind[rows] == tried.kind[:, None], 0.0, _OTHER_CLASS))


def _collected(tried: _Suggestions, found: _Detections, sight: Sight) -> _Suggestions:
    """With the nearest detection of every camera that agrees."""
    pixels, _ = sight.pixels(tried.place)
    members = np.full(tried.members.shape, -1, dtype=np.int64)
    for column in range(len(found.views.focal)):
        own = np.flatnonzero(found.camera == column)
        if not len(own):
            continue
        apart = pixels[:, column][:, np.newaxis, :] - found.middle[own]
        off = (apart**2 / found.variance[own]).sum(axis=-1)
        off += np.where(found.kind[own] == tried.kind[:, None], 0.0, _OTHER_CLASS)
        best = off.argmin(axis=1)
        near = off[np.arange(len(off)), best] < _GATE
        members[near, column] = own[best[near]]
    # A suggestion keeps the detections that it has where none agrees better: at first, its own.
    return replace(tried, members=np.where(members < 0, tried.members, members))


def _placed(tried: _Suggestions, found: _Detections) -> _Suggestions:
    """Gauss-Newton from the middles of all member boxes, the height drawn to that of the surface."""
    rows, member, views = np.maximum(tried.members, 0), tried.members >= 0, found.views
    weight = np.where(member[..., None], 1 / found.variance[rows], 0.0)
    place = tried.place.copy()
    prior = np.diag([1e-6, 1e-6, 1 / _RISE_STD_M**2])
    for _ in range(_FIT_ROUNDS):
        camera = np.einsum("cij,mcj->mci", views.rotation, place[:, None] - views.position)
        depth = np.maximum(camera[..., 2:], 1.0)
        normal = camera[..., :2] / depth
        slope = (views.rotation[:, :2] - normal[..., None] * views.rotation[:, None, 2]) / depth[..., None]
        slope *= views.focal[:, None, None]
        left = np.where(member[..., None], found.middle[rows] - normal * views.focal[:, None], 0.0)
        information = np.einsum("mcik,mci,mcil->mkl", slope, weight, slope) + prior
        pull = np.einsum("mcik,mci,mci->mk", slope, weight, left)
        pull[:, 2] += (tried.base + RISE_M - place[:, 2]) / _RISE_STD_M**2
        place += np.clip(np.linalg.solve(information, pull[..., None])[..., 0], -3.0, 3.0)
    return replace(tried, place=place)


def _chosen(tried: _Suggestions, found: _Detections) -> list[Piece]:
    """The best suggestion, then the best of those left, until none is worth having."""
    free = np.append(np.ones(len(found.camera), dtype=bool), False)
    pieces: list[Piece] = []
    while True:
        live = free[tried.members]  # -1 takes the last one, which is not free
        worth = (tried.gain * live - _MISS * tried.missed).sum(axis=1) - tried.price
        worth = np.where(live.any(axis=1), worth, -np.inf)
        best = int(worth.argmax()) if len(worth) else -1
        if best < 0 or worth[best] < _WORTH:
            return pieces
        members = tried.members[best][live[best]]
        if not _is_known(pieces, tried, best, members, found):
            pieces.append(_piece(tried, best, members, worth, found))
        free[members] = False


def _piece(tried: _Suggestions, best: int, members: Ints, worth: Floats, found: _Detections) -> Piece:
    votes: defaultdict[int, float] = defaultdict(float)
    for member in members:
        votes[int(found.kind[member])] += float(found.weight[member])
    kind = max(sorted(votes), key=votes.__getitem__)
    shared = 2 * np.isin(tried.members, members).sum(axis=1) >= len(members)
    rivals = np.flatnonzero(shared & (tried.surface != tried.surface[best]) & (worth > worth[best] - _MARGIN))
    rival = int(tried.surface[rivals[worth[rivals].argmax()]]) if len(rivals) else None
    cameras = tuple(int(camera) for camera in np.sort(found.camera[members]))
    doubted = int(tried.missed[best].sum()) >= len(cameras)
    return Piece(EQUIPMENT_CLASSES[kind], tried.place[best], int(tried.surface[best]), rival, doubted, cameras)


def _is_known(pieces: Sequence[Piece], tried: _Suggestions, best: int, members: Ints, found: _Detections) -> bool:
    """Whether other cameras have seen this piece already: what hides a part of it moves its box's middle."""
    cameras, place = set(found.camera[members].tolist()), tried.place[best]
    reach = found.reach(members, place)
    return any(
        piece.block == tried.surface[best]
        and not cameras & set(piece.cameras)
        and np.linalg.norm(piece.place - place) < reach
        for piece in pieces
    )
