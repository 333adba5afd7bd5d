"""The plan of every block: a box, or what the silhouettes prove instead.

Where several silhouettes contradict the fitted box, its footprint is carved
(`fusion.visual_hull`); polygons of falling detail about what that leaves, right-angled and free ones,
are fitted to the silhouettes (`fusion.plan_fitting`), and so are the box and a box without its corners; the
best once more with a corner less, and with those sides at right angles that nearly are.
Schwarz's criterion decides between them: a more detailed plan must pay for every further parameter, and
the box stays unless another plan is clearly better, two cameras bear it out, and it leaves no side open.
Plans that the criterion leaves possible add to the block's doubt.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely import Polygon

from fusion.fitting import Outlines, Shifts
from fusion.hypotheses import Hypotheses
from fusion.occlusion import owners
from fusion.plan_fitting import BlockOutlines, PlanFit, criteria, fit_plan, noise_of, usual_shifts
from fusion.prism import OWN, FreePlan, Plan, RightAngledPlan, SidedPlan
from fusion.scene import Scene
from fusion.uncertainty import Doubts, Measured
from fusion.upright_box import DEPTH, HEIGHT, WIDTH, YAW, Floats, X, Y
from fusion.visibility import footprints
from fusion.visual_hull import carved_plan

_CONTRADICTED_PX = 1.2  # that neighbouring points of the outlines err alike, from which the box is doubted
_LEAST_CAMERAS = 2  # that prove another plan: one mask that is cut short would carve a box
_CLOSED_M = 0.5  # standard deviation of the place, above which masks leave a side of the plan open
_UNLIKELY = 1e-3  # of a plan against the most likely one
_STEP = 1e-6  # of a numeric derivative; so small that it turns no smallest rectangle about
_CLEARLY = 10.0  # difference of the criterion that is strong evidence (Kass and Raftery, 1995)
# Errors of masks are neither quite normal nor quite independent, so over many points the criterion alone
# takes a trifle for proven: another plan must also leave clearly less noise than the box.
_LESS_NOISE = 0.5
_DETAILS_M = (0.2, 0.5, 1.0)
_MOST_VERTICES = 16
_BEVEL = 0.25  # of a side, that a box without its corners lacks at either end
_LEAST_RIGHT_ANGLED = 6  # vertices of a plan at right angles that is no box
_NEARLY_SQUARE = np.radians(8.0)  # off a right angle, from which a side is tried at one
_LEAST_FREE = 5  # vertices of a plan that is no box, with which one less is tried
_SIMPLER_ROUNDS = 4
_LEAST_SQUARE = 2  # sides at right angles or parallel, fewer than which say nothing of each other
_SHORTEST_M = 0.2  # a side that is shorter cannot be told from the errors of masks
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
    shifts = replace(measured.shifts, shift_px=max(measured.shifts.shift_px, _LEAST_SHIFT_PX))
    owner, doubted = owners(found, scene), measured.misfit > _CONTRADICTED_PX
    tried: dict[int, tuple[BlockOutlines, list[PlanFit], Floats, PlanFit | None]] = {}
    for row in np.flatnonzero(doubted).tolist():
        hull = carved_plan(found, scene, owner, row)
        if hull is None:
            continue
        members = found.members[row][found.members[row] >= 0]
        seen = BlockOutlines(outlines.pixels[members], outlines.own[members], outlines.views.take(members))
        fits = _fits(found.boxes[row], hull, seen, shifts)
        if not fits:
            continue
        criterion = criteria(fits, shifts)
        tried[row] = (seen, fits, criterion, _proven(fits, criterion))
    proven = [best for *_, best in tried.values() if best is not None]
    known = usual_shifts(proven, shifts, measured.shifts, int((~doubted).sum()))
    for row, (seen, first, criterion, best) in tried.items():
        likely = _weights(first, criterion) > 0
        fits = [_settled(fit, seen, known) if weighs else fit for fit, weighs in zip(first, likely, strict=True)]
        settled = fits[int(criterion.argmin())]
        is_closed = np.sqrt(_variances(settled, known)[:2].max()) < _CLOSED_M
        if best is not None and is_closed and found.sizes[row] >= _LEAST_CAMERAS:
            shapes[row], heights[row] = settled.plan, settled.height
        as_box = np.concatenate([doubts.position[row], doubts.sides[row], doubts.height[[row]]])
        std = _doubts(fits, criterion, known, (shapes[row], heights[row]), as_box)
        doubts.position[row], doubts.sides[row], doubts.height[row] = std[:2], std[2:4], std[4]
    return Shapes(shapes, heights, doubts.beside(_of_poses(found, scene)))


def _of_poses(found: Hypotheses, scene: Scene) -> Doubts:
    """What the cameras' poses leave open of each block though they agree: of those that see it, in the mean."""
    told = [frame.model.pose.doubt for frame in scene.frames]
    table = np.array([[one.x, one.y, one.sides, one.height] if one else [0.0] * 4 for one in told]).reshape(-1, 4)
    sees = (found.members >= 0).astype(float)
    std = np.sqrt(sees @ table**2 / np.maximum(sees.sum(axis=1, keepdims=True), 1))
    return Doubts(std[:, :2], std[:, [2, 2]], std[:, 3])


def _fits(box: Floats, hull: Polygon, seen: BlockOutlines, shifts: Shifts) -> list[PlanFit]:
    """The box, and other plans about the hull, fitted to the silhouettes; [] where these bear no box."""
    as_box = fit_plan(*_as_right_angled(box), float(box[HEIGHT]), seen, shifts)
    if as_box is None:
        return []
    others = (_fitted(plan, start, float(box[HEIGHT]), seen, shifts) for plan, start in _candidates(box, hull))
    fits = [as_box, *(fit for fit in others if fit is not None and _is_solid(fit.plan))]
    for _ in range(_SIMPLER_ROUNDS):
        best = _proven(fits, criteria(fits, shifts))
        simpler = [] if best is None else _simpler(best, seen, shifts)
        fits += simpler
        if not simpler or fits[int(criteria(fits, shifts).argmin())] is best:
            break
    return fits


def _simpler(best: PlanFit, seen: BlockOutlines, shifts: Shifts) -> list[PlanFit]:
    """The best of the fitted plans once more with fewer parameters: sides at right angles, or a vertex less."""
    if not isinstance(best.family, FreePlan):
        return []
    tried: list[tuple[Plan, Floats] | None] = [_sided(best.ring)]
    if len(best.ring) > _LEAST_FREE:
        ring = np.delete(best.ring, int(_bulges(best.ring).argmin()), axis=0)
        tried.append((FreePlan(len(ring)), ring.ravel()))
    fits = [fit_plan(*start, best.height, seen, shifts) for start in tried if start is not None]
    return [fit for fit in fits if fit is not None and _is_solid(fit.plan) and _shortest(fit.ring) >= _SHORTEST_M]


def _bulges(ring: Floats) -> Floats:
    """(n,) area that the ring gains or loses without each vertex, square metres."""
    before, after = np.roll(ring, 1, axis=0) - ring, np.roll(ring, -1, axis=0) - ring
    return np.asarray(np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) / 2)


def _sided(ring: Floats) -> tuple[SidedPlan, Floats] | None:
    """The ring with those of its sides at right angles to each other that nearly are; None where hardly any is."""
    side = np.roll(ring, -1, axis=0) - ring
    length = np.linalg.norm(side, axis=1)
    angle = np.arctan2(-side[:, 0], side[:, 1])  # of the normal
    quarters = np.round((angle - angle[:, None]) / (np.pi / 2))
    off = angle - angle[:, None] - quarters * np.pi / 2
    agree = np.where(np.abs(off) < _NEARLY_SQUARE, 1 + length / length.sum(), 0.0).sum(axis=1)  # most, then longest
    common = int(agree.argmax())
    yaw, quarters, off = angle[common], quarters[common], off[common]
    square = np.abs(off) < _NEARLY_SQUARE
    turns = np.where(square, quarters % 2, OWN).astype(np.int64)
    if square.sum() < _LEAST_SQUARE or ((turns == np.roll(turns, 1)) & square).any():
        return None
    yaw += float(np.average(off[square], weights=length[square]))
    angle = np.where(square, yaw + turns * np.pi / 2, angle)
    origin = ring.mean(axis=0)
    middle = (ring + np.roll(ring, -1, axis=0)) / 2 - origin
    distance = middle[:, 0] * np.cos(angle) + middle[:, 1] * np.sin(angle)
    return SidedPlan(origin, turns), np.concatenate([[yaw], distance, angle[~square]])


def _settled(fit: PlanFit, seen: BlockOutlines, known: Shifts) -> PlanFit:
    """The fit with shifts as large as they are known to be by now: what is said of its doubt holds of no other."""
    again = fit_plan(fit.family, fit.values, fit.height, seen, replace(known, noise_px=fit.noise_px))
    return fit if again is None else again


def _fitted(plan: Plan, start: Floats, height: float, seen: BlockOutlines, shifts: Shifts) -> PlanFit | None:
    """The plan fitted, and again without sides that are too short to be told; None where no more than a box is left."""
    fit = fit_plan(plan, start, height, seen, shifts)
    while fit is not None and (simpler := _without_shortest(plan, fit.ring)) is not None:
        plan, start = simpler
        is_box = isinstance(plan, RightAngledPlan) and len(start) - 1 < _LEAST_RIGHT_ANGLED
        fit = None if is_box or len(start) < 6 else fit_plan(plan, start, fit.height, seen, shifts)
    return fit


def _without_shortest(plan: Plan, ring: Floats) -> tuple[Plan, Floats] | None:
    """A plan without the shortest side of this ring, with parameters; None where that side is long enough."""
    if _shortest(ring) >= _SHORTEST_M:
        return None
    side = np.roll(ring, -1, axis=0) - ring
    length = np.linalg.norm(side, axis=1)
    fewer, along = np.delete(ring, int(length.argmin()), axis=0), side[int(length.argmax())]
    if isinstance(plan, FreePlan):
        return FreePlan(len(fewer)), fewer.ravel()
    origin = fewer.mean(axis=0)
    return RightAngledPlan(origin), _right_angled(fewer - origin, float(np.arctan2(along[1], along[0])))


def _shortest(ring: Floats) -> float:
    """Length of the shortest side, metres."""
    return float(np.linalg.norm(np.roll(ring, -1, axis=0) - ring, axis=1).min())


def _proven(fits: Sequence[PlanFit], criterion: Floats) -> PlanFit | None:
    """The plan that the silhouettes pay for; None for the box, which comes first."""
    best = fits[int(criterion.argmin())]
    less = noise_of(best)[0] < _LESS_NOISE * noise_of(fits[0])[0]
    return best if less and criterion.min() < criterion[0] - _CLEARLY else None


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
        if (RightAngledPlan, len(sides)) not in seen and _LEAST_RIGHT_ANGLED <= len(sides) - 1 <= _MOST_VERTICES:
            seen.add((RightAngledPlan, len(sides)))
            yield RightAngledPlan(origin), sides
    along = _BEVEL * (np.roll(corners, -1, axis=0) - corners)
    bevelled = np.stack([corners + along, np.roll(corners, -1, axis=0) - along], axis=1)
    yield FreePlan(2 * len(corners)), bevelled.ravel()


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


def _doubts(
    fits: Sequence[PlanFit], criterion: Floats, shifts: Shifts, said: tuple[Polygon, float], as_box: Floats
) -> Floats:
    """Standard deviations of what is said of a block, its plan and height, where it is not settled which plan it has.

    Each plan is as likely as its criterion says, and what it says differs from what is said by its own
    doubt and by what sets it apart (Bayesian model averaging: Hoeting et al., 1999).

    Args:
        fits: the box first.
        criterion: of each.
        shifts: usual errors of silhouettes.
        said: the block's plan, and its height, metres.
        as_box: (5,) what is returned, of the block were it known to be a box.

    Returns:
        (5,) of the centre along x and y, of the longer and the shorter side, and of the height, metres.
    """
    weights = _weights(fits, criterion)
    reference, square = np.append(_described([said[0]])[0], said[1]), np.zeros(5)
    for index in np.flatnonzero(weights).tolist():
        fit = fits[index]
        off = np.append(_described([fit.plan])[0], fit.height) - reference
        own = _variances(fit, shifts)
        square += weights[index] * (off**2 + (own if index else np.maximum(own, as_box**2)))
    return np.asarray(np.sqrt(square))


def _weights(fits: Sequence[PlanFit], criterion: Floats) -> Floats:
    """How likely each plan is; 0 where next to impossible."""
    noise = np.array([noise_of(fit)[0] for fit in fits])
    # What leaves hardly less noise than the box differs from it by the masks' errors alone.
    possible = (np.arange(len(fits)) == 0) | (noise < _LESS_NOISE * noise[0])
    worse = np.where(possible, criterion - criterion[possible].min(), np.inf)
    likely = np.exp(-worse / 2)
    return np.where(likely > _UNLIKELY, likely / likely.sum(), 0.0)


def _variances(fit: PlanFit, shifts: Shifts) -> Floats:
    """(5,) of what the fit says, were its plan known to be of this family; see `_doubts`."""
    covariance = fit.covariance(replace(shifts, noise_px=fit.noise_px))
    size = fit.ring_slopes.shape[-1]
    step = _STEP * np.moveaxis(fit.ring_slopes, -1, 0)
    said = _described(shapely.polygons(fit.ring + np.concatenate([step, -step])))
    slopes = (said[:size] - said[size:]) / (2 * _STEP)
    return np.append(np.einsum("pi,pq,qi->i", slopes, covariance[:size, :size], slopes), covariance[size, size])


def _described(plans: "Sequence[Polygon] | np.ndarray") -> Floats:
    """(n, 4): x and y of the centre, and longer and shorter side of the smallest enclosing rectangle, metres."""
    shapes = np.asarray(plans, dtype=object)
    corners = shapely.get_coordinates(shapely.oriented_envelope(shapes)).reshape(-1, 5, 2)[:, :3]
    sides = np.linalg.norm(np.diff(corners, axis=1), axis=2)
    return np.column_stack([shapely.get_coordinates(shapely.centroid(shapes)), -np.sort(-sides, axis=1)])
