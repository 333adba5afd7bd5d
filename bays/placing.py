"""Where cameras would see most of a bay's floor: a search over positions along its walls and directions of view.

What a set of cameras sees is worth more with each camera, and less with each that sees the same (submodular), so that
taking the best next one is never far from the best set (Nemhauser, Wolsey and Fisher, 1978). Each is then tried again
in the others' presence until none moves.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import count, islice, product

import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import ConfigError
from bays.camera_model import CameraModel
from bays.checking import COARSE_M, off_floor_m, seen_from
from bays.models import BayConfig, Camera, Intrinsics, Pose

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Wall = tuple[tuple[float, float], tuple[float, float]]

CELL_M = 2.0
"""Side of the squares of floor that are counted."""

# What a square is worth by the number of cameras that see it: two give a height, a third helps behind tall blocks.
_WORTH = np.array([0.0, 1.0, 1.7, 1.9, 2.0])
_UNTRACKED = 0.1  # of a tracked square's worth
_APART_M = 3.0  # between two positions on a wall
_PANS = (-40.0, -20.0, 0.0, 20.0, 40.0)  # from straight across the bay
_TILTS = (30.0, 38.0, 46.0, 54.0, 62.0)
_SAME_PLACE_M, _SAME_WAY_DEG = 2.0, 60.0
_ROUNDS = 4
_USUAL_HEIGHT_M = 20.0
_USUAL_LENS = Intrinsics(focal_px=1450)
_MOST_CAMERAS = 64
_MOST_OFF_M = 1.0  # of a wall outside of the floor: cameras hang on its outer side too


@dataclass(frozen=True)
class Placed:
    """A camera that was placed: where, and how much floor (square metres) it sees that fewer than two others see."""

    pose: Pose
    intrinsics: Intrinsics
    gained_m2: float


@dataclass(frozen=True)
class _Candidates:
    poses: tuple[Pose, ...]
    seen: Bools  # (candidates, squares)


def place_cameras(
    bay: BayConfig,
    number: int,
    *,
    instead: bool = False,
    like: Camera | None = None,
    height_m: float | None = None,
    walls: Sequence[Wall] = (),
) -> tuple[Placed, ...]:
    """Where `number` cameras see most.

    Args:
        bay: whose floor and areas; its cameras stay, unless `instead`.
        number: of cameras to place.
        instead: place them in place of the bay's cameras, not beside them.
        like: a camera whose focal length and image size they have; the bay's first with a lens when None.
        height_m: of all of them; that of the bay's cameras, in the median, when None.
        walls: where they may hang, from (x, y) to (x, y) in metres; both long sides when empty.

    Returns:
        As many; fewer beside the bay's own cameras, where one would see nothing that fewer than two others see.

    Raises:
        ConfigError: a number that is out of range, or a wall that leaves the hall.
    """
    if not 1 <= number <= _MOST_CAMERAS:
        raise ConfigError(f"{number} cameras cannot be placed: give 1 to {_MOST_CAMERAS}")
    lens = _lens(bay, like)
    height = _height(bay) if height_m is None else height_m
    if not 2 <= height <= 100:
        raise ConfigError(f"--height {height:g}: give 2 to 100 metres")
    for wall in walls:
        _refuse_outside(bay, wall)
    places, worth = _squares(bay)
    candidates = _candidates(bay, lens, height, walls or _long_sides(bay), places)
    kept = [] if instead else [c for c in bay.cameras if c.fusion and c.pose and c.intrinsics]
    before = sum((_sees(CameraModel.of(camera), places).astype(int) for camera in kept), np.zeros(len(places), int))
    chosen = _chosen(candidates, [camera.pose for camera in kept if camera.pose], before, worth, number)
    placed = [_placed(candidates, lens, chosen, index, before) for index in range(number)]
    # One at a time: what two of them see alike is gained by the one that is left.
    while not instead and placed and min(one.gained_m2 for one in placed) == 0:
        del chosen[min(range(len(placed)), key=lambda index: placed[index].gained_m2)]
        placed = [_placed(candidates, lens, chosen, index, before) for index in range(len(chosen))]
    return tuple(placed)


def _refuse_outside(bay: BayConfig, wall: Wall) -> None:
    for x, y in wall:
        if not (math.isfinite(x) and math.isfinite(y)) or off_floor_m(bay, x, y) > _MOST_OFF_M:
            written = ",".join(f"{value:g}" for end in wall for value in end)
            raise ConfigError(
                f"--wall {written}: ({x:g}, {y:g}) lies outside of the hall, which is 0 to {bay.layout.width:g} m along"
                f" x and 0 to {bay.layout.height:g} m along y"
            )


def with_placed(bay: BayConfig, placed: Sequence[Placed], *, instead: bool) -> BayConfig:
    """The bay with these cameras, beside its own or instead of them, under free names and addresses.

    Raises:
        ConfigError: its subnet has no address left.
    """
    old = () if instead else bay.cameras
    names = _free_names({camera.name for camera in bay.cameras})
    hosts = list(islice(_free_hosts(bay, old), len(placed)))
    if len(hosts) < len(placed):
        raise ConfigError(f"{bay.network.camera_subnet} has no {len(placed)} addresses left")
    new = [
        Camera(name=name, host=host, pose=one.pose, intrinsics=one.intrinsics)
        for one, name, host in zip(placed, names, hosts, strict=False)
    ]
    return bay.model_copy(update={"cameras": (*old, *new)})


def _free_names(taken: set[str]) -> Iterator[str]:
    return (name for number in count(1) if (name := f"NEW_{number}") not in taken)


def _free_hosts(bay: BayConfig, cameras: Sequence[Camera]) -> Iterator[IPv4Address]:
    taken = {camera.host for camera in cameras} | {bay.network.observer_ip}
    return (host for host in bay.network.camera_subnet.hosts() if host not in taken)


def _chosen(
    candidates: _Candidates, old: Sequence[Pose], before: NDArray[np.int64], worth: Floats, number: int
) -> list[int]:
    """The best next one, `number` times; then each again beside all others, until none moves."""
    chosen: list[int] = []
    views = before.copy()
    for _ in range(number):
        chosen.append(_best(candidates, _no_second_view(candidates, old, chosen), views, worth))
        views += candidates.seen[chosen[-1]]
    for _ in range(_ROUNDS):
        moved = False
        for index, before_ in enumerate(chosen):
            views -= candidates.seen[before_]
            others = [*chosen[:index], *chosen[index + 1 :]]
            new = _best(candidates, _no_second_view(candidates, old, others), views, worth)
            if _value(views + candidates.seen[new], worth) > _value(views + candidates.seen[before_], worth) + 1e-9:
                chosen[index], moved = new, True
            views += candidates.seen[chosen[index]]
        if not moved:
            break
    return chosen


def _no_second_view(candidates: _Candidates, old: Sequence[Pose], chosen: Sequence[int]) -> Bools:
    """(candidates,) those at the place of another camera that look its way: they see nothing from another side."""
    poses = np.array([(pose.x, pose.y, pose.pan) for pose in candidates.poses])
    result = np.zeros(len(poses), dtype=bool)
    for pose in (*old, *(candidates.poses[index] for index in chosen)):
        there = np.hypot(poses[:, 0] - pose.x, poses[:, 1] - pose.y) < _SAME_PLACE_M
        result |= there & (np.abs((poses[:, 2] - pose.pan + 180) % 360 - 180) < _SAME_WAY_DEG)
    return result


def _best(candidates: _Candidates, barred: Bools, views: NDArray[np.int64], worth: Floats) -> int:
    step = (_worth_of(views + 1) - _worth_of(views)) * worth
    return int(np.where(barred & ~barred.all(), -1.0, candidates.seen @ step).argmax())


def _value(views: NDArray[np.int64], worth: Floats) -> float:
    return float((_worth_of(views) * worth).sum())


def _worth_of(views: NDArray[np.int64]) -> Floats:
    return np.asarray(_WORTH[np.minimum(views, len(_WORTH) - 1)])


def _placed(
    candidates: _Candidates, lens: Intrinsics, chosen: list[int], index: int, before: NDArray[np.int64]
) -> Placed:
    others = before + sum((candidates.seen[one].astype(int) for n, one in enumerate(chosen) if n != index), 0 * before)
    gained = float((candidates.seen[chosen[index]] & (others < 2)).sum() * CELL_M**2)
    return Placed(candidates.poses[chosen[index]], lens, gained)


def _squares(bay: BayConfig) -> tuple[Floats, Floats]:
    """(squares, 3) their centres, and (squares,) what each is worth: tracked floor counts."""
    x, y = np.meshgrid(
        np.arange(CELL_M / 2, bay.layout.width, CELL_M), np.arange(CELL_M / 2, bay.layout.height, CELL_M)
    )
    places = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1)
    tracked = np.zeros(len(places), dtype=bool)
    for area in bay.layout.areas.values():
        if area.tracked:
            across = (places[:, 0] >= area.x[0]) & (places[:, 0] <= area.x[1])
            tracked |= across & (places[:, 1] >= area.y[0]) & (places[:, 1] <= area.y[1])
    if not tracked.any():
        tracked[:] = True
    return places, np.where(tracked, 1.0, _UNTRACKED)


def _candidates(bay: BayConfig, lens: Intrinsics, height: float, walls: Sequence[Wall], places: Floats) -> _Candidates:
    middle = np.array([bay.layout.width, bay.layout.height]) / 2
    poses = [
        Pose(x=round(x, 2), y=round(y, 2), z=height, pan=(across + pan) % 360, tilt=tilt)
        for wall in walls
        for (x, y), across in _positions(wall, middle)
        for pan, tilt in product(_PANS, _TILTS)
    ]
    return _Candidates(tuple(poses), np.array([_sees(CameraModel(pose, lens), places) for pose in poses]))


def _positions(wall: Wall, middle: Floats) -> Iterator[tuple[tuple[float, float], float]]:
    """Places on a wall, and the pan that looks straight away from it into the hall."""
    start, end = np.array(wall[0], dtype=float), np.array(wall[1], dtype=float)
    along = end - start
    length = float(np.linalg.norm(along))
    if length == 0:
        raise ConfigError(f"a wall from {wall[0]} to {wall[1]} has no length")
    inwards = np.array([-along[1], along[0]]) / length
    if inwards @ (middle - start) < 0:
        inwards = -inwards
    pan = float(np.degrees(np.arctan2(inwards[0], inwards[1]))) % 360
    for share in np.linspace(0, 1, max(2, round(length / _APART_M) + 1)):
        x, y = start + along * share
        yield (float(x), float(y)), pan


def _sees(model: CameraModel, places: Floats) -> Bools:
    seen, metres = seen_from(model, places)
    return np.asarray(seen & (np.nan_to_num(metres, nan=np.inf) <= COARSE_M))


def _lens(bay: BayConfig, like: Camera | None) -> Intrinsics:
    if like is not None:
        if like.intrinsics is None:
            raise ConfigError(f"camera {like.name} has no intrinsics: name another with --like")
        return _nominal(like.intrinsics)
    return next((_nominal(camera.intrinsics) for camera in bay.cameras if camera.intrinsics is not None), _USUAL_LENS)


def _nominal(lens: Intrinsics) -> Intrinsics:
    """The lens as the data sheet has it: what was measured of one camera's own lens is not another's."""
    known = lens.prior.focal_px if lens.prior is not None else None
    return Intrinsics(width=lens.width, height=lens.height, focal_px=known or lens.focal_px)


def _height(bay: BayConfig) -> float:
    heights = [camera.pose.z for camera in bay.cameras if camera.pose is not None]
    return round(float(np.median(heights)), 2) if heights else _USUAL_HEIGHT_M


def _long_sides(bay: BayConfig) -> tuple[Wall, ...]:
    width, height = bay.layout.width, bay.layout.height
    if width >= height:
        return ((0, 0), (width, 0)), ((0, height), (width, height))
    return ((0, 0), (0, height)), ((width, 0), (width, height))
