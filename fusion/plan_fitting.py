"""Fit upright prisms to a block's silhouettes, and say which plan the evidence pays for.

Levenberg-Marquardt over the plan's parameters, the height, and a shift of every silhouette: a pose
that is off moves a whole silhouette, and must not bend the plan. Residuals count as in
`fusion.fitting`: both ways where an outline is the object's own, one way where something may hide it.

The criterion is Schwarz's (BIC, 1978): misfit in units of the noise plus the number of parameters
times the logarithm of the number of independent points. Noise, and how far neighbouring points err
alike, are those of the best-fitting of the plans that are compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from shapely import Polygon

from fusion.fitting import TURNS, Shifts, moved_by, turned_across
from fusion.prism import Plan, Sides, beside
from fusion.upright_box import Bools, Floats, Views

_SCALE_PX = 2.5  # residuals well above it count linearly
_STEPS = 8
_CONVERGED = 5e-3  # of the cost, relative
_LOWEST_M, _HIGHEST_M = 0.05, 15.0
_LONGEST_STEP_M = 1.5
_LEAST_NOISE_PX = 0.7
_SIZE_ROUNDS = 12  # of the usual size of shifts
_LEAST_SHIFT_PX = 0.05
_OPEN_M = 5.0  # standard deviation of a side about which silhouettes say nothing: as blocks differ in their sides
_MOST_ALIKE = 0.9


@dataclass(frozen=True)
class BlockOutlines:
    """One block's silhouettes, one a row.

    Attributes:
        pixels: (v, k, 2) points along the outlines, ideal pixels.
        own: (v, k) the outline there is the object's own edge.
        views: of v rows.
    """

    pixels: Floats
    own: Bools
    views: Views


@dataclass(frozen=True)
class PlanFit:
    """A prism fitted to a block's silhouettes.

    Attributes:
        ring: (n, 2) of the plan, metres.
        height: metres.
        parameters: how many describe plan and height.
        family: of the plan.
        values: (p,) of the plan.
        residuals: (v, k) pixels, shifts of the silhouettes taken out; 0 where a point says nothing.
        counts: (v, k) the point says something.
        shifts: (v, 3) pixels.
        ring_slopes: (n, 2, p) change of the ring with each parameter of the plan.
        information: (p + 1 + 3 v, p + 1 + 3 v) of plan, height and shifts for a noise of one pixel, no prior; of the
            object's own edges, as a plan that ends where its view does may as well reach on.
    """

    ring: Floats
    height: float
    parameters: int
    family: Plan
    values: Floats
    residuals: Floats
    counts: Bools
    shifts: Floats
    ring_slopes: Floats
    information: Floats

    @property
    def plan(self) -> Polygon:
        """The footprint, metres."""
        return Polygon(self.ring)

    @property
    def noise_px(self) -> float:
        """Standard deviation of the points, as if they erred independently and all counted in full."""
        noise, alike = noise_of(self)
        return float(noise * _robust_loss(self) * np.sqrt((1 + alike) / (1 - alike)))

    def covariance(self, errors: Shifts) -> Floats:
        """(p + 1, p + 1) of plan and height, for these errors of the silhouettes."""
        size = len(self.information) - self.shifts.size
        prior = np.concatenate([np.full(size, _OPEN_M**-2), np.tile(errors.std**-2, len(self.shifts))])
        return np.asarray(np.linalg.inv(self.information / errors.noise_px**2 + np.diag(prior))[:size, :size])


def fit_plan(plan: Plan, parameters: Floats, height: float, outlines: BlockOutlines, shifts: Shifts) -> PlanFit | None:
    """Improve a prism until it explains its silhouettes.

    Args:
        plan: family of plans.
        parameters: (p,) of it, to start from.
        height: to start from, metres.
        outlines: to be explained.
        shifts: usual errors of whole silhouettes, and of their points.

    Returns:
        None where the ring crosses itself at the start.
    """
    values = np.concatenate([parameters, [height], np.zeros(TURNS * len(outlines.pixels))])
    state = _linearised(plan, values, outlines, shifts)
    if state is None:
        return None
    damping = 1e-3
    stiffness = np.tile((shifts.noise_px / shifts.std) ** 2, len(outlines.pixels))
    prior = np.concatenate([np.full(len(parameters) + 1, 1e-3), stiffness])
    for _ in range(_STEPS):
        damped = state.information + np.diag(damping * np.diag(state.information) + prior)
        step = -np.linalg.solve(damped, state.gradient)
        reach = max(float(np.abs(step[: len(parameters) + 1]).max()), _CONVERGED)
        tried = _linearised(plan, values + step * min(1.0, _LONGEST_STEP_M / reach), outlines, shifts)
        if tried is None or tried.cost >= state.cost:
            damping *= 10
            continue
        gained = state.cost - tried.cost
        state, values, damping = tried, tried.values, damping / 10
        if gained < _CONVERGED * state.cost:
            break
    return PlanFit(
        ring=state.ring,
        height=float(values[len(parameters)]),
        parameters=len(parameters) + 1,
        family=plan,
        values=values[: len(parameters)],
        residuals=state.residuals,
        counts=state.counts,
        shifts=values[len(parameters) + 1 :].reshape(-1, TURNS),
        ring_slopes=plan.slopes(values[: len(parameters)]),
        information=state.of_own_edges(outlines.own),
    )


def criteria(fits: Sequence[PlanFit], shifts: Shifts) -> Floats:
    """(m,) Schwarz's criterion of each fit to the same silhouettes; the least is best."""
    best = min(fits, key=lambda fit: _misfit(fit, _SCALE_PX))
    noise, alike = noise_of(best)
    independent = (1 - alike) / (1 + alike)
    points = max(2.0, float(best.counts.sum()) * independent)
    return np.array(
        [
            _misfit(fit, noise) * independent
            + float(((fit.shifts / shifts.std) ** 2).sum())
            + fit.parameters * np.log(points)
            for fit in fits
        ]
    )


def usual_shifts(fits: Sequence[PlanFit], allowed: Shifts, of_boxes: Shifts, boxes: int) -> Shifts:
    """The usual shifts of silhouettes, of blocks that are boxes and of others together.

    Shifts about a box say nothing where the block is none. Those about its plan do, once what the plan can take
    up is left out: their most likely size (by expectation and maximisation: Dempster, Laird and Rubin, 1977).

    Args:
        fits: the plans of blocks that are no boxes.
        allowed: shifts that these fits allowed for.
        of_boxes: as estimated about boxes.
        boxes: how many blocks are.
    """
    evidence, size = [_shift_evidence(fit, allowed) for fit in fits], of_boxes.shift_px
    for _ in range(_SIZE_ROUNDS if fits else 0):
        squares = boxes * of_boxes.shift_px**2
        for information, pull in evidence:
            prior = np.tile(replace(of_boxes, shift_px=size).std ** -2, len(pull) // TURNS)
            covariance = np.linalg.inv(information + np.diag(prior))
            expected = (covariance @ pull) ** 2 + np.diag(covariance)
            squares += float(expected.reshape(-1, TURNS)[:, :2].mean())
        size = max(float(np.sqrt(squares / (boxes + len(fits)))), _LEAST_SHIFT_PX)
    return replace(of_boxes, shift_px=size)


def _shift_evidence(fit: PlanFit, allowed: Shifts) -> tuple[Floats, Floats]:
    """(3 v, 3 v) what silhouettes say of their shifts that no such plan can take up, and (3 v,) the pull on none."""
    size, square = len(fit.information) - fit.shifts.size, fit.noise_px**2
    information = fit.information / square
    of_plan = information[:size, :size] + np.eye(size) * _OPEN_M**-2
    left = information[size:, size:] - information[size:, :size] @ np.linalg.solve(of_plan, information[:size, size:])
    stiffness = np.tile((allowed.noise_px / allowed.std) ** 2, len(fit.shifts)) / square
    return left, left @ fit.shifts.ravel() + stiffness * fit.shifts.ravel()


def noise_of(fit: PlanFit) -> tuple[float, float]:
    """Standard deviation of the points about the fit, pixels, and the correlation of neighbours."""
    left = np.where(fit.counts, fit.residuals, 0.0)
    weight = np.where(fit.counts, 1 / np.sqrt(1 + (left / _SCALE_PX) ** 2), 0.0)
    free = max(1.0, float(weight.sum()) - fit.parameters)
    noise = max(_LEAST_NOISE_PX, float(np.sqrt((weight * left**2).sum() / free)))
    alike = float((left * np.roll(left, -1, axis=1)).sum() / max(float((left**2).sum()), 1e-12))
    return noise, float(np.clip(alike, 0.0, _MOST_ALIKE))


def _robust_loss(fit: PlanFit) -> float:
    """How much wider a fit with these weights scatters than the noise about it alone says (Huber, 1967); 1 or more."""
    square = np.append((fit.residuals[fit.counts] / _SCALE_PX) ** 2, 0.0)
    weight = 1 / np.sqrt(1 + square)
    scatter = (weight**2 * square).mean() * (weight.mean() / (weight**3).mean()) ** 2
    return float(np.sqrt(max(1.0, scatter / max((weight * square).mean(), 1e-12))))


def _misfit(fit: PlanFit, noise: float) -> float:
    """Soft-L1 sum of squared residuals in units of the noise; from twice the noise on they count linearly."""
    square = (fit.residuals[fit.counts] / (2 * noise)) ** 2
    return float((8 * (np.sqrt(1 + square) - 1)).sum())


@dataclass(frozen=True)
class _State:
    values: Floats
    ring: Floats
    cost: float
    gradient: Floats
    information: Floats
    residuals: Floats
    counts: Bools
    slopes: Floats
    weighted: Floats

    def of_own_edges(self, own: Bools) -> Floats:
        """The information of those points alone."""
        return np.asarray(self.weighted[own.ravel()].T @ self.slopes[own.ravel()])


def _linearised(plan: Plan, values: Floats, outlines: BlockOutlines, usual: Shifts) -> _State | None:
    """Cost and normal equations; None where these values make no prism."""
    views, points = outlines.own.shape
    size = len(values) - 1 - TURNS * views
    ring, height = plan.ring(values[:size]), float(values[size])
    if not _LOWEST_M <= height <= _HIGHEST_M or not Polygon(ring).is_valid:
        return None
    shifts = values[size + 1 :].reshape(views, TURNS)
    sides = beside(ring, height, moved_by(shifts, outlines.pixels, outlines.views.focal), outlines.views)
    across = turned_across(sides.normal, outlines.pixels, outlines.views.focal)
    counts = outlines.own | (sides.distance > 0)
    residual = np.where(counts, sides.distance, 0.0)
    slopes = _slopes(sides, across, plan.slopes(values[:size]), counts)
    square = (residual / _SCALE_PX) ** 2
    weight = (1 / np.sqrt(1 + square)).reshape(views * points)
    weighted = slopes * weight[:, None]
    gradient = weighted.T @ residual.ravel()
    information = weighted.T @ slopes
    prior = np.tile((usual.noise_px / usual.std) ** 2, views)
    gradient[size + 1 :] += prior * shifts.ravel()
    cost = float((2 * _SCALE_PX**2 * (np.sqrt(1 + square) - 1)).sum() + (prior * shifts.ravel() ** 2).sum())
    return _State(values, ring, cost, gradient, information, residual, counts, slopes, weighted)


def _slopes(sides: Sides, across: Floats, of_ring: Floats, counts: Bools) -> Floats:
    """(v k, p + 1 + 3 v) change of the residuals with plan, height and shifts."""
    views, points = counts.shape
    of_plan = np.tensordot(sides.to_ring, of_ring, axes=((2, 3), (0, 1)))
    of_shifts = np.zeros((views, points, views, TURNS))
    of_shifts[np.arange(views), :, np.arange(views)] = across
    slopes = np.concatenate([of_plan, sides.to_height[..., None], of_shifts.reshape(views, points, -1)], axis=-1)
    return np.asarray(np.where(counts[..., None], slopes, 0.0).reshape(views * points, -1))
