"""Fit upright boxes to silhouettes: a batch of small robust least-squares problems at once.

Levenberg-Marquardt with a soft-L1 loss (as `scipy.optimize.least_squares` has it,
which solves one problem at a time and spends most of it in Python).

A silhouette is evidence in two ways. Where its outline is the object's own, the
box's outline must pass through it. Where it is cut by the frame's edge or lies along
something that may hide the object, the box must only reach at least as far.
"""

from dataclasses import dataclass

import numpy as np

from fusion.upright_box import (
    DEPTH,
    HEIGHT,
    PARAMETERS,
    WIDTH,
    Bools,
    Floats,
    Ints,
    Views,
    corners,
    outline_edges,
    outline_lines,
    project,
    signed_distances,
)

_STEP = np.array([1e-4, 1e-4, 1e-4, 1e-4, 1e-5, 1e-4])  # of the numeric derivative
_LOWEST = np.array([-np.inf, -np.inf, 0.3, 0.3, -np.inf, 0.05])
_HIGHEST = np.array([np.inf, np.inf, 40.0, 40.0, np.inf, 15.0])
_SIZE_COLUMNS = np.array([WIDTH, DEPTH, HEIGHT])
_MOST_ALIKE = 0.9
_ENOUGH_POINTS = 16  # of an outline's own, from which a shift follows
_LONGEST_STEP = np.array([3.0, 3.0, 3.0, 3.0, 0.4, 2.0])


@dataclass(frozen=True)
class Outlines:
    """Points along the outlines of many silhouettes, one silhouette a row.

    Attributes:
        pixels: (n, k, 2) ideal pixels.
        own: (n, k) the outline there is the object's own edge.
        views: of n rows: the camera that saw it.
    """

    pixels: Floats
    own: Bools
    views: Views

    def thinned(self, every: int) -> "Outlines":
        """Every n-th point only."""
        return Outlines(self.pixels[:, ::every], self.own[:, ::every], self.views)


@dataclass(frozen=True)
class Fit:
    """Boxes with how well they explain their silhouettes.

    Attributes:
        boxes: (b, 6).
        cost: (b,) robust, summed over all points, in units of `scale` squared.
        residuals: (b, v, k) pixels, signed; one-sided ones are 0 where satisfied.
    """

    boxes: Floats
    cost: Floats
    residuals: Floats


@dataclass(frozen=True)
class Sensitivity:
    """How fitted boxes answer to errors of their silhouettes.

    Attributes:
        information: (b, 6, 6) of the fit, in units of its weights, prior included.
        prior: (b, 6, 6) the prior's part of it.
        to_shift: (b, v, 6, 2) change of the gradient with a shift of a whole silhouette, per pixel.
        to_noise: (b, 6, 6) spread of the gradient under independent errors of 1 pixel.
        shifts: (b, v, 2) shift of each silhouette against the box's, pixels.
        noise: (b, v) standard deviation of its points once shifted, as if they erred independently, pixels.
        present: (b, v) there is a silhouette, and enough of its outline is its own to estimate a shift.
    """

    information: Floats
    prior: Floats
    to_shift: Floats
    to_noise: Floats
    shifts: Floats
    noise: Floats
    present: Bools


@dataclass(frozen=True)
class SizePrior:
    """What is known of a box before it is seen: mean and standard deviation of log width, log depth, height."""

    mean: Floats  # (b, 3)
    std: Floats  # (b, 3)


def fit_boxes(
    boxes: Floats,
    members: Ints,
    outlines: Outlines,
    prior: SizePrior,
    *,
    scale: float = 3.0,
    steps: int = 10,
) -> Fit:
    """Improve each box until it explains its member silhouettes.

    Args:
        boxes: (b, 6) starts.
        members: (b, v) rows of `outlines`, -1 for none.
        outlines: all silhouettes.
        prior: of b rows.
        scale: pixels; residuals well above it count linearly.
        steps: Levenberg-Marquardt steps.
    """
    problem = _Problem(members, outlines, prior, scale)
    boxes = np.clip(boxes, _LOWEST, _HIGHEST)
    damping = np.full(len(boxes), 1e-2)
    state = problem.linearise(boxes)
    diagonal = np.arange(PARAMETERS)
    for _ in range(steps):
        damped = state.information.copy()
        damped[:, diagonal, diagonal] *= 1 + damping[:, None]
        damped[:, diagonal, diagonal] += 1e-6
        step = -np.linalg.solve(damped, state.gradient[..., None])[..., 0]
        step = np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        tried = problem.linearise(np.clip(state.boxes + step, _LOWEST, _HIGHEST))
        better = tried.cost < state.cost
        damping = np.clip(np.where(better, damping / 4, damping * 6), 1e-6, 1e6)
        state = tried.where(better, state)
    return Fit(state.boxes, state.cost, state.residuals)


def sensitivity(boxes: Floats, members: Ints, outlines: Outlines, prior: SizePrior, *, scale: float) -> Sensitivity:
    """About fitted (b, 6) boxes; the arguments are those of `fit_boxes`."""
    return _Problem(members, outlines, prior, scale).sensitivity(boxes)


@dataclass(frozen=True)
class _State:
    boxes: Floats
    cost: Floats
    gradient: Floats
    information: Floats
    residuals: Floats

    def where(self, chosen: Bools, other: "_State") -> "_State":
        def pick(name: str) -> Floats:
            ours, theirs = getattr(self, name), getattr(other, name)
            return np.asarray(np.where(chosen.reshape(-1, *[1] * (ours.ndim - 1)), ours, theirs))

        return _State(*(pick(name) for name in ("boxes", "cost", "gradient", "information", "residuals")))


class _Problem:
    def __init__(self, members: Ints, outlines: Outlines, prior: SizePrior, scale: float) -> None:
        rows = np.maximum(members, 0)
        self.present = (members >= 0)[..., None]
        self.pixels = outlines.pixels[rows]
        self.own = outlines.own[rows]
        self.views = outlines.views.take(rows)
        self.prior = prior
        self.scale = scale

    def linearise(self, boxes: Floats) -> _State:
        """Cost, and the normal equations of the robust residuals about these boxes."""
        count, views = self.present.shape[:2]
        spread = np.broadcast_to(boxes[:, None, :], (count, views, PARAMETERS))
        edges = outline_edges(spread, self.views.position)
        distance, nearest = signed_distances(outline_lines(project(corners(spread), self.views)), edges, self.pixels)
        counts = self.present & (self.own | (distance > 0))
        residual = np.where(counts, distance, 0.0)
        slope = np.where(counts[..., None], self._slopes(spread, nearest, distance), 0.0)
        square = (residual / self.scale) ** 2
        weight = 1 / np.sqrt(1 + square) / self.scale**2
        cost = 2 * (np.sqrt(1 + square) - 1).sum(axis=(1, 2))
        flat = slope.reshape(count, -1, PARAMETERS)
        weighted = flat * weight.reshape(count, -1, 1)
        information = np.swapaxes(flat, 1, 2) @ weighted
        gradient = (np.swapaxes(weighted, 1, 2) @ residual.reshape(count, -1, 1))[..., 0]
        self._add_prior(boxes, cost, gradient, information)
        return _State(boxes, cost, gradient, information, residual)

    def sensitivity(self, boxes: Floats) -> Sensitivity:
        """How the boxes answer to errors of their silhouettes."""
        count, views = self.present.shape[:2]
        spread = np.broadcast_to(boxes[:, None, :], (count, views, PARAMETERS))
        edges = outline_edges(spread, self.views.position)
        lines = outline_lines(project(corners(spread), self.views))
        distance, nearest = signed_distances(lines, edges, self.pixels)
        counts = self.present & (self.own | (distance > 0))
        slope = np.where(counts[..., None], self._slopes(spread, nearest, distance), 0.0)
        weight = np.where(counts, 1 / np.sqrt(1 + (distance / self.scale) ** 2) / self.scale**2, 0.0)
        normal = np.take_along_axis(lines[0], nearest[..., None], axis=-2)
        prior = self.prior_information(boxes)
        # The shift that explains a silhouette's residuals best; the ridge keeps a straight stretch solvable.
        across = np.einsum("bvk,bvki,bvkj->bvij", weight, normal, normal) + 1e-6 * np.eye(2)
        pull = np.einsum("bvk,bvki,bvk->bvi", weight, normal, distance)
        shifts = np.linalg.solve(across, pull[..., None])[..., 0]
        left = distance - np.einsum("bvki,bvi->bvk", normal, shifts)
        left = np.where(counts, left, 0.0)
        # Neighbours that err alike are worth as much as fewer points that do not (first-order autocorrelation).
        alike = (left * np.roll(left, -1, axis=-1)).sum(axis=-1) / np.maximum((left**2).sum(axis=-1), 1e-12)
        alike = np.clip(alike, 0.0, _MOST_ALIKE)
        variance = (weight * left**2).sum(axis=-1) / np.maximum(weight.sum(axis=-1), 1e-12)
        enough = counts.sum(axis=-1) >= _ENOUGH_POINTS
        return Sensitivity(
            information=np.einsum("bvkp,bvk,bvkq->bpq", slope, weight, slope) + prior,
            prior=prior,
            to_shift=np.einsum("bvkp,bvk,bvki->bvpi", slope, weight, normal),
            to_noise=np.einsum("bvkp,bvk,bvkq->bpq", slope, weight**2, slope),
            shifts=shifts,
            noise=np.sqrt(variance * (1 + alike) / (1 - alike)),
            present=self.present[..., 0] & enough,
        )

    def _slopes(self, spread: Floats, nearest: Ints, distance: Floats) -> Floats:
        """(b, v, k, 6) change of each point's distance with each parameter, its nearest edge held."""
        moved = spread[None] + np.diag(_STEP)[:, None, None, :]
        views = Views(self.views.rotation[None], self.views.position[None], self.views.focal[None])
        normal, offset = outline_lines(project(corners(moved), views))
        index = np.broadcast_to(nearest, (PARAMETERS, *nearest.shape))
        offset = np.take_along_axis(offset, index, axis=-1)
        across = np.take_along_axis(normal[..., 0], index, axis=-1)
        down = np.take_along_axis(normal[..., 1], index, axis=-1)
        after = across * self.pixels[None, ..., 0] + down * self.pixels[None, ..., 1] - offset
        slope = (after - distance[None]) / _STEP[:, None, None, None]
        return np.moveaxis(slope, 0, -1)

    def _add_prior(self, boxes: Floats, cost: Floats, gradient: Floats, information: Floats) -> None:
        residual = (self._sizes(boxes) - self.prior.mean) / self.prior.std
        cost += (residual**2).sum(axis=1)
        gradient[:, _SIZE_COLUMNS] += residual * self._size_slopes(boxes)
        information += self.prior_information(boxes)

    def prior_information(self, boxes: Floats) -> Floats:
        """(b, 6, 6) what is known of the boxes without any silhouette."""
        information = np.zeros((len(boxes), PARAMETERS, PARAMETERS))
        information[:, _SIZE_COLUMNS, _SIZE_COLUMNS] = self._size_slopes(boxes) ** 2
        return information

    @staticmethod
    def _sizes(boxes: Floats) -> Floats:
        return np.stack([np.log(boxes[:, WIDTH]), np.log(boxes[:, DEPTH]), boxes[:, HEIGHT]], axis=1)

    def _size_slopes(self, boxes: Floats) -> Floats:
        """(b, 3) change of the prior's residuals with width, depth and height."""
        ones = np.ones(len(boxes))
        return np.asarray(np.stack([1 / boxes[:, WIDTH], 1 / boxes[:, DEPTH], ones], axis=1) / self.prior.std)
