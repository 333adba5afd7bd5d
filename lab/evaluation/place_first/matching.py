"""Which block is which track: assignment problems, solved by `scipy.optimize.linear_sum_assignment`.

Blocks stand for hours and are lifted between two slots, so there is nothing to
extrapolate: a standing block overlaps itself, and one that was lifted is known by
its size, height and class.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from shapely import Polygon

from fusion.types import FusedBlock
from lab.evaluation.place_first.parameters import TrackerParameters
from lab.evaluation.place_first.types import Track, TrackStatus

Floats = NDArray[np.float64]

_FORBIDDEN = 1e6  # costs lie far below, so that no allowed pair is given up for a cheaper sum
_SMALL_HEIGHT_M = 0.5  # added to heights before their ratio: a decimetre is much for a panel, not for a block


def match_standing(
    tracks: Sequence[Track], blocks: Sequence[FusedBlock], ignored: Sequence[bool], parameters: TrackerParameters
) -> dict[int, int]:
    """Pair tracks with the blocks that stand where they stood.

    Args:
        tracks: those of the state that have not exited.
        blocks: the slot's blocks.
        ignored: for each block, whether its area is one that tracking ignores.
        parameters: gates and weights.

    Returns:
        Index of the block by index of the track.
    """
    if not tracks or not blocks:
        return {}
    overlap = overlaps([track.footprint for track in tracks], [block.footprint for block in blocks])
    needed = np.where(np.asarray(ignored, dtype=bool), parameters.ignored_overlap, parameters.min_overlap)
    cost = (
        (1 - overlap)
        + parameters.size_weight
        * _log_ratio((track.footprint.area for track in tracks), (block.footprint.area for block in blocks))
        + parameters.height_weight
        * _log_ratio(
            (track.height_m + _SMALL_HEIGHT_M for track in tracks),
            (block.height_m + _SMALL_HEIGHT_M for block in blocks),
        )
        + parameters.class_cost
        * _differ([track.class_name for track in tracks], [block.class_name for block in blocks])
        + parameters.stage_cost * _differ([track.stage for track in tracks], [block.stage for block in blocks])
        + parameters.tentative_cost * np.array([[not track.on_floor] for track in tracks], dtype=float)
    )
    doubtful = np.array([[track.status is TrackStatus.TENTATIVE or track.is_doubtful] for track in tracks])
    lost = np.array([[track.status is TrackStatus.UNOBSERVED or track.is_doubtful] for track in tracks])
    sides, heights = _differences(
        tracks, blocks, parameters.jump_side_ratio, parameters.jump_height_m, parameters.jump_height_share
    )
    alike = (sides <= 1).all(axis=-1) & (heights <= 1)
    dearest = np.where(doubtful & ~alike, parameters.max_doubtful_cost, parameters.max_standing_cost)
    # What stands in another height than before, where a block was lost from sight, is another block.
    allowed = (overlap >= needed) & (overlap > 0) & (cost <= dearest) & (~lost | (heights <= 1))
    return _assign(cost, allowed)


def match_jumps(
    missing: Sequence[Track], found: Sequence[Track], floor_diagonal_m: float, parameters: TrackerParameters
) -> dict[int, int]:
    """Pair tracks that are gone from their places with new tracks that look like them.

    Args:
        missing: confirmed tracks whose floor was seen without them.
        found: tentative tracks.
        floor_diagonal_m: the longest jump that the floor allows, metres.
        parameters: gates and weights.

    Returns:
        Index into `found` by index into `missing`.
    """
    if not missing or not found:
        return {}
    sides, heights = _differences(
        missing, found, parameters.jump_side_ratio, parameters.jump_height_m, parameters.jump_height_share
    )
    shape = (sides.sum(axis=-1) + heights) / 3
    looks = (
        shape
        + parameters.jump_class_cost * _differ([old.class_name for old in missing], [new.class_name for new in found])
        + parameters.jump_stage_cost * _differ([old.stage for old in missing], [new.stage for new in found])
    )
    distances = np.linalg.norm(_centres(missing)[:, None, :] - _centres(found)[None, :, :], axis=-1)
    cost = looks + parameters.jump_distance_cost * distances / floor_diagonal_m
    return _assign(cost, _apart(missing, found) & (sides <= 1).all(axis=-1) & (heights <= 1) & (looks <= 1))


def match_returns(absent: Sequence[Track], found: Sequence[Track], parameters: TrackerParameters) -> dict[int, int]:
    """Pair tracks that nobody has seen for a while with new ones of the same size, height and class.

    Where two tracks fit one, neither is paired.

    Args:
        absent: tracks that exited, or whose floor nobody sees.
        found: new tracks.
        parameters: the limits of what is the same.

    Returns:
        Index into `found` by index into `absent`.
    """
    if not absent or not found:
        return {}
    sides, heights = _differences(
        absent, found, parameters.return_side_ratio, parameters.return_height_m, parameters.return_height_share
    )
    same_class = _differ([old.class_name for old in absent], [new.class_name for new in found]) == 0
    fits = _apart(absent, found) & same_class & (sides <= 1).all(axis=-1) & (heights <= 1)
    alone = fits & (fits.sum(axis=0, keepdims=True) == 1) & (fits.sum(axis=1, keepdims=True) == 1)
    return {int(row): int(column) for row, column in np.argwhere(alone)}


def same_shape(first: Track, second: Track, parameters: TrackerParameters) -> bool:
    """Whether two tracks are of one size and height, within what a jump allows."""
    sides, heights = _differences(
        [first], [second], parameters.jump_side_ratio, parameters.jump_height_m, parameters.jump_height_share
    )
    return bool((sides <= 1).all() and (heights <= 1).all())


def cover(shape: Polygon, other: Polygon) -> float:
    """Share of `other`'s floor that `shape` covers."""
    return float(shape.intersection(other).area / max(other.area, 1e-9))


def overlaps(first: Sequence[Polygon], second: Sequence[Polygon]) -> Floats:
    """(len(first), len(second)): how much footprints overlap, 0 to 1.

    Intersection over union; or, where that is larger, four fifths of the share of the
    smaller footprint that the other covers: a block of which only a part was seen is
    still that block.
    """
    result = np.zeros((len(first), len(second)))
    if not first or not second:
        return result
    left, right = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    columns, rows = shapely.STRtree(left).query(right, predicate="intersects")
    shared = shapely.area(shapely.intersection(left[rows], right[columns]))
    left_area, right_area = shapely.area(left[rows]), shapely.area(right[columns])
    union = np.maximum(left_area + right_area - shared, 1e-9)
    smaller = np.maximum(np.minimum(left_area, right_area), 1e-9)
    result[rows, columns] = np.maximum(shared / union, 0.8 * shared / smaller)
    return result


def _assign(cost: Floats, allowed: NDArray[np.bool_]) -> dict[int, int]:
    rows, columns = linear_sum_assignment(np.where(allowed, cost, _FORBIDDEN))
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True) if allowed[row, column]}


def _log_ratio(first: Iterable[float], second: Iterable[float]) -> Floats:
    left, right = (np.log(np.maximum(np.fromiter(values, dtype=float), 1e-6)) for values in (first, second))
    return np.asarray(np.abs(left[:, None] - right[None, :]))


def _differ(first: Sequence[str | None], second: Sequence[str | None]) -> Floats:
    """1 where both are known and unequal."""
    left, right = np.asarray(first, dtype=object)[:, None], np.asarray(second, dtype=object)[None, :]
    known = (left != None) & (right != None)  # noqa: E711 - elementwise
    return np.asarray(known & (left != right), dtype=float)


def _differences(
    first: Sequence[Track],
    second: Sequence[Track] | Sequence[FusedBlock],
    side_ratio: float,
    height_m: float,
    height_share: float,
) -> tuple[Floats, Floats]:
    """How much sizes and heights differ, in shares of what is allowed.

    Returns:
        Of long and short side (len(first), len(second), 2), of heights (len(first), len(second)).
    """
    sides = np.abs(np.log(_sides(first)[:, None, :] / _sides(second)[None, :, :])) / math.log(side_ratio)
    left = np.array([track.height_m for track in first])[:, None]
    right = np.array([other.height_m for other in second])[None, :]
    allowed = height_m + height_share * np.maximum(left, right)
    return sides, np.abs(left - right) / np.maximum(allowed, 1e-9)


def _apart(before: Sequence[Track], after: Sequence[Track]) -> NDArray[np.bool_]:
    """Whether the one was last seen before the other began: what was seen in one slot at two places is two blocks.

    What was seen last at a place in another shape may have been something else.
    """
    return np.array(
        [
            [
                new.standing_since > old.last_seen
                or (old.reshaped is not None and new.standing_since >= old.reshaped.since)
                for new in after
            ]
            for old in before
        ]
    )


def _sides(tracks: Sequence[Track] | Sequence[FusedBlock]) -> Floats:
    """(N, 2) metres: long and short side of each footprint's smallest enclosing rectangle."""
    rectangles = shapely.oriented_envelope(np.asarray([track.footprint for track in tracks], dtype=object))
    corners = np.stack([shapely.get_coordinates(rectangle)[:3] for rectangle in rectangles])
    lengths = np.linalg.norm(np.diff(corners, axis=1), axis=-1)
    return np.asarray(np.sort(np.maximum(lengths, 1e-3), axis=-1)[:, ::-1])


def _centres(tracks: Sequence[Track]) -> Floats:
    points = shapely.centroid(np.asarray([track.footprint for track in tracks], dtype=object))
    return np.asarray(shapely.get_coordinates(points))
