"""The plan of every block: a box, or what the silhouettes prove instead.

Where several silhouettes contradict the fitted box, its footprint is carved
(`fusion.visual_hull`); polygons of falling detail about what that leaves, right-angled and free ones,
are fitted to the silhouettes (`fusion.plan_fitting`), and so is the box. Schwarz's criterion
decides between them: a more detailed plan must pay for every further parameter, and
the box stays unless another plan is clearly better.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Polygon

from fusion.fitting import Outlines, Shifts
from fusion.occlusion import owners
from fusion.plan_fitting import BlockOutlines, PlanFit, criteria, fit_plan, noise_of
from fusion.prism import FreePlan, Plan, RightAngledPlan
from fusion.scene import Scene
from fusion.uncertainty import Doubts, Measured
from fusion.upright_box import DEPTH, HEIGHT, WIDTH, YAW, Floats, X, Y
from fusion.visibility import footprints
from fusion.visual_hull import carved_plan

_CONTRADICTED_PX = 1.2  # that neighbouring points of the outlines err alike, from which the box is doubted
_LEAST_CAMERAS = 3  # two masks that are both cut short would carve a box
_CLEARLY = 10.0  # difference of the criterion that is strong evidence (Kass and Raftery, 1995)
# Errors of masks are neither quite normal nor quite independent, so over many points the criterion alone
# takes a trifle for proven: another plan must also leave clearly less noise than the box.
_LESS_NOISE = 0.85
_DETAILS_M = (0.2, 0.5, 1.0)
_MOST_VERTICES = 16
_LEAST_SHIFT_PX = 0.5  # masks are never quite in place
_NARROWEST_M = 0.4  # a part of a block that is narrower cannot be seen


@dataclass(frozen=True)
class Shapes:
    """Plans of blocks, one a row.

    Attributes:
        plans: (h,) polygons, metres.
        heights: (h,) metres.
        doubts: of them.
    """

    plans: np.ndarray
    heights: Floats
    doubts: Doubts


def fitted_plans(measured: Measured, scene: Scene, outlines: Outlines) -> Shapes:
    """Plans and heights of the blocks.

    Args:
        measured: the blocks as boxes.
        scene: all silhouettes.
        outlines: of the scene, as evidence.
    """
    found, doubts = measured.found, measured.doubts
    shapes, heights = footprints(found.boxes), found.boxes[:, HEIGHT].copy()
    doubts = Doubts(doubts.position.copy(), doubts.sides.copy(), doubts.height.copy())
    shifts = Shifts(max(measured.shifts.shift_px, _LEAST_SHIFT_PX), measured.shifts.noise_px)
    owner = owners(found, scene)
    for row in np.flatnonzero((found.sizes >= _LEAST_CAMERAS) & (measured.misfit > _CONTRADICTED_PX)):
        hull = carved_plan(found, scene, owner, int(row))
        if hull is None:
            continue
        members = found.members[row][found.members[row] >= 0]
        seen = BlockOutlines(outlines.pixels[members], outlines.own[members], outlines.views.take(members))
        fit = _best_plan(found.boxes[row], hull, seen, shifts)
        if fit is not None:
            shapes[row], heights[row] = fit.plan, fit.height
            doubts.position[row], doubts.sides[row], doubts.height[row] = _doubts(fit, shifts.shift_px)
    return Shapes(shapes, heights, doubts)


def _best_plan(box: Floats, hull: Polygon, seen: BlockOutlines, shifts: Shifts) -> PlanFit | None:
    """The plan that the silhouettes pay for; None for the box."""
    as_box = fit_plan(*_as_right_angled(box), float(box[HEIGHT]), seen, shifts)
    if as_box is None:
        return None
    fits = [as_box]
    for plan, start in _candidates(box, hull):
        fit = fit_plan(plan, start, float(box[HEIGHT]), seen, shifts)
        if fit is not None and _is_solid(fit.plan):
            fits.append(fit)
    criterion = criteria(fits, shifts.shift_px)
    best = fits[int(criterion.argmin())]
    is_proven = criterion.min() < criterion[0] - _CLEARLY and noise_of(best)[0] < _LESS_NOISE * noise_of(as_box)[0]
    return best if is_proven else None


def _candidates(box: Floats, hull: Polygon) -> Iterator[tuple[Plan, Floats]]:
    """Families of plans with the parameters to start from."""
    corners = shapely.get_coordinates(footprints(box[None])[0].exterior)[:-1]
    yield FreePlan(4), corners.ravel()
    seen: set[tuple[type, int]] = set()
    for detail in _DETAILS_M:
        simple = shapely.simplify(hull, detail)
        ring = shapely.get_coordinates(simple.exterior)[:-1] if isinstance(simple, Polygon) else corners
        ring = _without_seam(ring, detail)
        if (FreePlan, len(ring)) not in seen and 3 <= len(ring) <= _MOST_VERTICES:
            seen.add((FreePlan, len(ring)))
            yield FreePlan(len(ring)), ring.ravel()
        origin = ring.mean(axis=0)
        sides = _right_angled(ring - origin, float(box[YAW]))
        if (RightAngledPlan, len(sides)) not in seen and 6 <= len(sides) - 1 <= _MOST_VERTICES:
            seen.add((RightAngledPlan, len(sides)))
            yield RightAngledPlan(origin), sides


def _without_seam(ring: Floats, detail: float) -> Floats:
    """The ring without its first vertex where that lies on a side: simplification never removes it."""
    if len(ring) <= 3:
        return ring
    side = ring[1] - ring[-1]
    off = abs(side[0] * (ring[0] - ring[-1])[1] - side[1] * (ring[0] - ring[-1])[0]) / max(np.linalg.norm(side), 1e-9)
    return ring[1:] if off < detail else ring


def _as_right_angled(box: Floats) -> tuple[RightAngledPlan, Floats]:
    half_width, half_depth = box[WIDTH] / 2, box[DEPTH] / 2
    return RightAngledPlan(box[[X, Y]]), np.array([box[YAW], half_width, half_depth, -half_width, -half_depth])


def _right_angled(ring: Floats, yaw: float) -> Floats:
    """Direction and distances of sides at right angles along (n, 2) a ring about the origin; see `RightAngledPlan`."""
    side = np.roll(ring, -1, axis=0) - ring
    length = np.linalg.norm(side, axis=1)
    normal = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    is_odd = np.abs(side @ normal[0]) > np.abs(side @ normal[1])  # a side along an axis has the other as its normal
    if is_odd.all() or not is_odd.any():
        return np.array([yaw])
    first = int(np.flatnonzero(~is_odd & np.roll(is_odd, 1))[0])
    order = np.roll(np.arange(len(ring)), -first)
    middle = (ring + np.roll(ring, -1, axis=0)) / 2
    group = np.cumsum(is_odd[order] != np.roll(is_odd[order], 1)) - 1
    weight = np.bincount(group, length[order])
    along = np.where(is_odd[order], middle[order] @ normal[1], middle[order] @ normal[0])
    return np.concatenate([[yaw], np.bincount(group, length[order] * along) / weight])


def _is_solid(plan: Polygon) -> bool:
    """Whether the plan stays in one piece when it is made narrower all round."""
    inner = plan.buffer(-_NARROWEST_M / 2, join_style="mitre")
    return isinstance(inner, Polygon) and not inner.is_empty


def _doubts(fit: PlanFit, shift: float) -> tuple[Floats, Floats, float]:
    """Standard deviations of the centre (2,), of the longer and shorter side (2,), and of the height, metres."""
    noise, alike = noise_of(fit)
    covariance = fit.covariance(noise * np.sqrt((1 + alike) / (1 - alike)), shift)
    size = fit.ring_slopes.shape[-1]
    of_plan = covariance[:size, :size]
    centre = np.tensordot(_centre_slopes(fit.ring), fit.ring_slopes, axes=((1, 2), (0, 1)))
    sides = np.array([_extent_slopes(fit, axis) for axis in _long_and_short(fit.plan)])
    position, extents = (np.sqrt(np.einsum("ip,pq,iq->i", s, of_plan, s)) for s in (centre, sides))
    return position, extents, float(np.sqrt(covariance[size, size]))


def _long_and_short(plan: Polygon) -> Floats:
    """(2, 2) unit directions of the longer and of the shorter side of the smallest enclosing rectangle."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(plan))[:3]
    sides = np.diff(corners, axis=0)
    sides = sides[np.argsort(-np.linalg.norm(sides, axis=1))]
    return np.asarray(sides / np.linalg.norm(sides, axis=1, keepdims=True))


def _extent_slopes(fit: PlanFit, axis: Floats) -> Floats:
    """(p,) change of the plan's extent along an axis with its parameters."""
    along = fit.ring @ axis
    return np.asarray(axis @ (fit.ring_slopes[along.argmax()] - fit.ring_slopes[along.argmin()]))


def _centre_slopes(ring: Floats) -> Floats:
    """(2, n, 2) change of the centroid with every vertex."""
    step = 1e-4
    slopes = np.zeros((2, len(ring), 2))
    for vertex, axis in np.ndindex(ring.shape):
        moved = np.stack([ring, ring])
        moved[0, vertex, axis] -= step
        moved[1, vertex, axis] += step
        before, after = (shapely.get_coordinates(Polygon(one).centroid)[0] for one in moved)
        slopes[:, vertex, axis] = (after - before) / (2 * step)
    return slopes
