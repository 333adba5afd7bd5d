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

from fusion.fitting import Outlines
from fusion.hypotheses import Hypotheses
from fusion.occlusion import owners
from fusion.plan_fitting import BlockOutlines, PlanFit, criteria, fit_plan, noise_of
from fusion.prism import FreePlan, Plan, RightAngledPlan
from fusion.scene import Scene
from fusion.upright_box import DEPTH, HEIGHT, WIDTH, YAW, Floats, X, Y
from fusion.visibility import footprints
from fusion.visual_hull import carved_plan

_CONTRADICTED_PX = 2.0  # mean distance between the outlines of box and silhouettes from which the box is doubted
_LEAST_CAMERAS = 3  # two masks that are both cut short would carve a box
_CLEARLY = 10.0  # difference of the criterion that is strong evidence (Kass and Raftery, 1995)
# Errors of masks are neither quite normal nor quite independent, so over many points the criterion alone
# takes a trifle for proven: another plan must also leave clearly less noise than the box.
_LESS_NOISE = 0.85
_DETAILS_M = (0.2, 0.5, 1.0)
_MOST_VERTICES = 16
_SHIFT_PX = 6.0  # of a silhouette: what a pose that is off by a quarter of a degree amounts to
_NARROWEST_M = 0.4  # a part of a block that is narrower cannot be seen


@dataclass(frozen=True)
class Shapes:
    """Plans of blocks, one a row.

    Attributes:
        plans: (h,) polygons, metres.
        heights: (h,) metres.
        std: (h,) standard deviation of the centre along each axis, metres.
    """

    plans: np.ndarray
    heights: Floats
    std: Floats


def fitted_plans(found: Hypotheses, std: Floats, scene: Scene, outlines: Outlines) -> Shapes:
    """Plans and heights of the blocks.

    Args:
        found: fitted boxes.
        std: (h,) standard deviations of their centres, metres.
        scene: all silhouettes.
        outlines: of the scene, as evidence.
    """
    shapes, std, heights = footprints(found.boxes), std.copy(), found.boxes[:, HEIGHT].copy()
    member = found.members >= 0
    per_pixel = shapely.length(scene.polygons) / shapely.area(scene.polygons)
    apart = np.where(member, (1 - found.agreement) / per_pixel[np.maximum(found.members, 0)], 0.0)
    apart = apart.sum(axis=1) / np.maximum(found.sizes, 1)
    owner = owners(found, scene)
    for row in np.flatnonzero((found.sizes >= _LEAST_CAMERAS) & (apart > _CONTRADICTED_PX)):
        hull = carved_plan(found, scene, owner, int(row))
        if hull is None:
            continue
        members = found.members[row][member[row]]
        seen = BlockOutlines(outlines.pixels[members], outlines.own[members], outlines.views.take(members))
        fit = _best_plan(found.boxes[row], hull, seen)
        if fit is not None:
            shapes[row], heights[row] = fit.plan, fit.height
            std[row] = _centre_std(fit)
    return Shapes(shapes, heights, std)


def _best_plan(box: Floats, hull: Polygon, seen: BlockOutlines) -> PlanFit | None:
    """The plan that the silhouettes pay for; None for the box."""
    as_box = fit_plan(*_as_right_angled(box), float(box[HEIGHT]), seen, _SHIFT_PX)
    if as_box is None:
        return None
    fits = [as_box]
    for plan, start in _candidates(box, hull):
        fit = fit_plan(plan, start, float(box[HEIGHT]), seen, _SHIFT_PX)
        if fit is not None and _is_solid(fit.plan):
            fits.append(fit)
    criterion = criteria(fits, _SHIFT_PX)
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


def _centre_std(fit: PlanFit) -> float:
    """Standard deviation of the plan's centre (root of the mean variance along x and y), metres."""
    noise, alike = noise_of(fit)
    covariance = fit.covariance(noise * np.sqrt((1 + alike) / (1 - alike)), _SHIFT_PX)
    slopes = np.tensordot(_centre_slopes(fit.ring), fit.ring_slopes, axes=((1, 2), (0, 1)))
    size = slopes.shape[1]
    of_centre = slopes @ covariance[:size, :size] @ slopes.T
    return float(np.sqrt(np.trace(of_centre) / 2))


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
