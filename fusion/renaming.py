"""Marks that were taken for others: marks of a regular grid, each named one too far, explain a camera's points as well.

Where a shift, or a turn about the vertical, brings every used mark onto another surveyed one, the camera moved with
them sees the same picture. No point tells the two apart; the rough pose of the bay's file does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from bays import Camera, Pose
from bays.camera_model import angles_of, rotation
from fusion.calibration import Calibration, FloorPoint
from fusion.resection import Floats, Ints

_SAME_M = 0.05  # a mark is measured to some centimetres
_SEARCHED_M = 3 * _SAME_M  # the same by two marks alone, before all of them are fitted
# A file's rough pose is off by up to 0.5 m along each axis and by 5° of pan and of tilt: by 0.87 m and 7.1° together.
_ROUGH_M, _ROUGH_DEG = 1.0, 10.0
_FARTHEST = 2.0  # of these, at which the file still speaks for another answer
_CLEARLY = 0.5  # of these, by which the other answer is nearer to the file
_TOLD = 4  # marks that a message names

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Renamed:
    """Another answer that explains the used points as well.

    Attributes:
        pose: of the camera then.
        names: of each used point the mark that it is then.
    """

    pose: Pose
    names: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        told = ", ".join(f"{named} is {right}" for named, right in self.names[:_TOLD])
        return f"{told} …" if len(self.names) > _TOLD else told


def misnamed(result: Calibration, camera: Camera, marks: Mapping[str, Place]) -> list[str]:
    """Whether the marks were taken for others, in words; empty where the bay's file does not say so.

    They were where this pose is off the file's by more than a rough pose is, and other names bring it clearly nearer.

    Args:
        result: of the camera.
        camera: as the bay's file has it.
        marks: places of the surveyed marks by name.
    """
    if camera.pose is None or _off(result, camera.pose) <= 1:
        return []
    found = [(_off(replace(result, pose=other.pose), camera.pose), other) for other in renamings(result, marks)]
    off, nearest = min(found, key=lambda one: one[0], default=(np.inf, None))
    if nearest is None or off > min(_FARTHEST, _off(result, camera.pose) - _CLEARLY):
        return []
    then = replace(result, pose=nearest.pose)
    return [
        f"it hangs {_how_far(result, camera.pose)} from where the bay's file has it, and"
        f" {_how_far(then, camera.pose)} where each point is named for another mark, which explains them as well: were"
        f" the marks taken for others? {nearest}"
    ]


def far_off(result: Calibration, camera: Camera) -> list[str]:
    """That it hangs metres from where the file has it, in words, to be looked at; empty where it does not."""
    if camera.pose is None or _off(result, camera.pose) <= _FARTHEST:
        return []
    return [
        f"it hangs {_how_far(result, camera.pose)} from where the bay's file has it: right where it was moved or the"
        " file's pose is a guess; else the points are another camera's, or the marks were taken for others"
    ]


def renamings(result: Calibration, marks: Mapping[str, Place]) -> Iterator[Renamed]:
    """Every shift, and turn about the vertical, that brings all used points onto marks.

    The points of these marks are not told apart from the used ones; the pose as it is comes among them.
    """
    used = [one.point for one in result.residuals if not one.left_out]
    if len(used) < 2 or len(marks) < len(used):
        return
    names = list(marks)
    places = np.array([marks[name] for name in names], dtype=float)
    points = np.array([(point.x, point.y, point.z) for point in used])
    seen: set[tuple[int, ...]] = set()
    for rows in _matches(points, places):
        if tuple(rows) in seen:
            continue
        seen.add(tuple(rows))
        turn, shift, off = _fitted(points, places[rows])
        if off <= _SAME_M:
            yield Renamed(_moved(result.pose, turn, shift), _names(used, [names[row] for row in rows]))


def _names(used: list[FloorPoint], right: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((point.name, name) for point, name in zip(used, right, strict=True) if point.name != name)


def _matches(points: Floats, places: Floats) -> Iterator[Ints]:
    """Of each candidate the rows (n,) of the marks onto which it brings the points: by two of these, far apart."""
    first = 0
    apart = np.linalg.norm(points[:, :2] - points[first, :2], axis=1)
    second = int(apart.argmax())
    tree = KDTree(places)
    along = complex(*(points[second] - points[first])[:2])
    if abs(along) <= _SEARCHED_M:
        return
    level = np.abs(places[:, 2] - points[second, 2]) <= _SAME_M
    for start in places[np.abs(places[:, 2] - points[first, 2]) <= _SAME_M]:
        away = places - start
        ends = level & (np.abs(np.hypot(away[:, 0], away[:, 1]) - abs(along)) <= 2 * _SAME_M)
        turns = (away[ends, 0] + 1j * away[ends, 1]) / along
        turns = (turns / np.abs(turns))[:, None]
        moved = turns * ((points[:, 0] - points[first, 0]) + 1j * (points[:, 1] - points[first, 1]))[None]
        heights = np.broadcast_to(points[:, 2], moved.shape)
        then = np.stack([moved.real + start[0], moved.imag + start[1], heights], axis=-1)
        off, rows = (np.asarray(one) for one in tree.query(then))
        for each, near in zip(rows, off, strict=True):
            if near.max() <= _SEARCHED_M and len(set(each.tolist())) == len(each):
                yield each


def _fitted(points: Floats, onto: Floats) -> tuple[complex, Place, float]:
    """The turn (of length 1) and the shift of the floor that bring points onto places, and the largest rest, metres."""
    middle, there = points.mean(axis=0), onto.mean(axis=0)
    a, b = ((one[:, 0] + 1j * one[:, 1]) for one in (points - middle, onto - there))
    turn = complex(np.vdot(a, b))
    turn /= abs(turn)
    level = complex(*there[:2]) - turn * complex(*middle[:2])
    off = float(np.hypot(np.abs(turn * a - b), points[:, 2] - onto[:, 2]).max())
    return turn, (level.real, level.imag, 0.0), off


def _moved(pose: Pose, turn: complex, shift: Place) -> Pose:
    at = turn * complex(pose.x, pose.y) + complex(shift[0], shift[1])
    about = np.array([[turn.real, -turn.imag, 0.0], [turn.imag, turn.real, 0.0], [0.0, 0.0, 1.0]])
    pan, tilt, roll = angles_of(rotation(pose) @ about.T)
    return pose.model_copy(update={"x": at.real, "y": at.imag, "pan": pan % 360, "tilt": tilt, "roll": roll})


def _off(result: Calibration, before: Pose) -> float:
    """How far from the file's pose, 1 where a rough one may be off by so much."""
    return max(result.moved_m(before) / _ROUGH_M, result.turned_deg(before) / _ROUGH_DEG)


def _how_far(result: Calibration, before: Pose) -> str:
    return f"{result.moved_m(before):.1f} m and {result.turned_deg(before):.0f}°"
