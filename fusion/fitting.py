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
    on_seen_edges,
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
TURNS = 3  # parameters of a shift, see `turned_across`
_SHIFT_ROUNDS = 2
_HELD_PX = 1.0  # nearer to the end of its view, a box ends there
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
        information: (b, 6, 6) of the silhouettes alone, for points that err by 1 pixel.
        prior: (b, 6, 6) what is known of the boxes without them.
        to_shift: (b, v, 6, 3) the part of the information that boxes share with shifts of whole silhouettes.
        of_shift: (b, v, 3, 3) information on the shifts.
        gradient: (b, 6) by the boxes, of the silhouettes alone.
        prior_gradient: (b, 6) of the prior.
        pull: (b, v, 3) gradient by the shifts.
        shifts: (b, v, 2) shift of each silhouette that brings it onto the box, pixels.
        noise: (b, v) standard deviation of each silhouette's points once shifted, as if they erred
            independently, pixels.
        misfit: (b,) what neighbouring points have in common of their errors once shifted (root mean square), pixels.
        present: (b, v) there is a silhouette, and enough of its outline is its own to estimate a shift.
        held: (b,) a box ends where its view does: but for that, it would be smaller.
    """

    information: Floats
    prior: Floats
    to_shift: Floats
    of_shift: Floats
    gradient: Floats
    prior_gradient: Floats
    pull: Floats
    shifts: Floats
    noise: Floats
    misfit: Floats
    present: Bools
    held: Bools


@dataclass(frozen=True)
class Compared:
    """Outline points beside the nearest edges of boxes' silhouettes.

    Attributes:
        distance: (b, v, k) pixels, negative inside the silhouette.
        slope: (b, v, k, 6) change of it with each parameter of the box.
        normal: (b, v, k, 2) unit normals of the edges, pointing to where distances grow.
        counts: (b, v, k) the point says something.
        prior: (b, 6, 6) what is known of the boxes without any silhouette.
        prior_gradient: (b, 6) of it.
    """

    distance: Floats
    slope: Floats
    normal: Floats
    counts: Bools
    prior: Floats
    prior_gradient: Floats


@dataclass(frozen=True)
class Shifts:
    """Errors of whole silhouettes that a fit allows for.

    Attributes:
        shift_px: standard deviation of a silhouette's shift to the right and down (see `turned_across`).
        noise_px: of its points beside that.
        roll: standard deviation of its turn in the image, as a share of `shift_px`.
    """

    shift_px: float
    noise_px: float
    roll: float = 1.0

    @property
    def std(self) -> Floats:
        """(3,) of the parameters of a shift, pixels."""
        return self.shift_px * np.array([1.0, 1.0, self.roll])


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
    shifts: Shifts | None = None,
) -> Fit:
    """Improve each box until it explains its member silhouettes.

    Args:
        boxes: (b, 6) starts.
        members: (b, v) rows of `outlines`, -1 for none.
        outlines: all silhouettes.
        prior: of b rows.
        scale: pixels; residuals well above it count linearly.
        steps: Levenberg-Marquardt steps.
        shifts: every silhouette may be shifted as a whole by so much; None for not at all. Such a shift,
            of a pose that is off, then does not bend sizes and heights.
    """
    problem = _Problem(members, outlines, prior, scale, shifts)
    boxes = np.clip(boxes, _LOWEST, _HIGHEST)
    damping = np.full(len(boxes), 1e-2)
    state = problem.linearise(boxes, np.zeros((*members.shape, TURNS)))
    diagonal = np.arange(PARAMETERS)
    for _ in range(steps):
        damped = state.information.copy()
        damped[:, diagonal, diagonal] *= 1 + damping[:, None]
        damped[:, diagonal, diagonal] += 1e-6
        step = -np.linalg.solve(damped, state.gradient[..., None])[..., 0]
        step = np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        tried = problem.linearise(np.clip(state.boxes + step, _LOWEST, _HIGHEST), state.shifted(step))
        better = tried.cost < state.cost
        damping = np.clip(np.where(better, damping / 4, damping * 6), 1e-6, 1e6)
        state = tried.where(better, state)
    return Fit(state.boxes, state.cost, state.residuals)


def sensitivity(boxes: Floats, members: Ints, outlines: Outlines, prior: SizePrior, *, scale: float) -> Sensitivity:
    """About fitted (b, 6) boxes; the arguments are those of `fit_boxes`."""
    return _Problem(members, outlines, prior, scale).sensitivity(boxes)


def compared(boxes: Floats, members: Ints, outlines: Outlines, prior: SizePrior) -> Compared:
    """Boxes and their silhouettes as they are; the arguments are those of `fit_boxes`."""
    return _Problem(members, outlines, prior, 1.0).compared(boxes)


def turned_across(normal: Floats, pixels: Floats, focal: Floats) -> Floats:
    """(..., k, 3) change of the distances along (..., k, 2) unit normals with a shift of the whole silhouette.

    A shift is what a small turn of the camera does, about its down, right and forward axes. At the image's
    centre the first two move points by as much as they say, to the right and down; towards the edge, by
    the tangent's slope, more: a block there looks larger as well as shifted. The third turns the
    image; it counts in pixels at one focal length from the centre.

    Args:
        normal: of the nearest edges.
        pixels: (..., k, 2) ideal pixels.
        focal: (...,) focal lengths, pixels.
    """
    along = (pixels * normal).sum(axis=-1, keepdims=True)
    aside = (normal[..., 1] * pixels[..., 0] - normal[..., 0] * pixels[..., 1])[..., None]
    size = focal[..., None, None]
    return np.concatenate([normal + pixels * along / size**2, aside / size], axis=-1)


def moved_by(shifts: Floats, pixels: Floats, focal: Floats) -> Floats:
    """(..., k, 2) where (..., 3) shifts of whole silhouettes bring these points; see `turned_across`."""
    size, along = focal[..., None, None], shifts[..., None, :2]
    turned = np.stack([-pixels[..., 1], pixels[..., 0]], axis=-1)
    apart = pixels * (pixels * along).sum(axis=-1, keepdims=True) / size**2
    return np.asarray(pixels + along + apart + turned * shifts[..., None, 2:] / size)


@dataclass(frozen=True)
class _State:
    boxes: Floats
    cost: Floats
    gradient: Floats
    information: Floats
    residuals: Floats
    shifts: Floats
    shift_step: Floats  # (b, v, 3) of the shifts, the box held
    shift_slope: Floats  # (b, v, 3, 6) change of that step with a step of the box

    def shifted(self, step: Floats) -> Floats:
        """(b, v, 3) the shifts after (b, 6) a step of the boxes."""
        return np.asarray(self.shifts + self.shift_step + np.einsum("bvip,bp->bvi", self.shift_slope, step))

    def where(self, chosen: Bools, other: "_State") -> "_State":
        def pick(name: str) -> Floats:
            ours, theirs = getattr(self, name), getattr(other, name)
            return np.asarray(np.where(chosen.reshape(-1, *[1] * (ours.ndim - 1)), ours, theirs))

        return _State(*(pick(name) for name in self.__dataclass_fields__))


class _Problem:
    def __init__(
        self, members: Ints, outlines: Outlines, prior: SizePrior, scale: float, shifts: Shifts | None = None
    ) -> None:
        rows = np.maximum(members, 0)
        self.present = (members >= 0)[..., None]
        self.pixels = outlines.pixels[rows]
        self.own = outlines.own[rows]
        self.views = outlines.views.take(rows)
        self.prior = prior
        self.scale = scale
        self.stiffness = (shifts.noise_px / shifts.std / scale) ** 2 if shifts else None

    def linearise(self, boxes: Floats, shifts: Floats) -> _State:
        """Cost, and the normal equations of the robust residuals about these boxes and shifts."""
        count, views = self.present.shape[:2]
        spread = np.broadcast_to(boxes[:, None, :], (count, views, PARAMETERS))
        edges = outline_edges(spread, self.views.position)
        lines = outline_lines(project(corners(spread), self.views))
        pixels, normal = self.pixels, np.zeros((0, TURNS))
        if self.stiffness is not None:
            # Moved before edges are chosen: a shift may be as large as a flat block is high.
            pixels = moved_by(shifts, pixels, self.views.focal)
        distance, nearest = signed_distances(lines, edges, pixels)
        if self.stiffness is not None:
            normal = self._across(lines[0], nearest)
        counts = self.present & (self.own | (distance > 0))
        residual = np.where(counts, distance, 0.0)
        slope = np.where(counts[..., None], self._slopes(spread, nearest, distance, pixels), 0.0)
        square = (residual / self.scale) ** 2
        weight = 1 / np.sqrt(1 + square) / self.scale**2
        cost = 2 * (np.sqrt(1 + square) - 1).sum(axis=(1, 2))
        flat = slope.reshape(count, -1, PARAMETERS)
        weighted = flat * weight.reshape(count, -1, 1)
        information = np.swapaxes(flat, 1, 2) @ weighted
        gradient = (np.swapaxes(weighted, 1, 2) @ residual.reshape(count, -1, 1))[..., 0]
        self._add_prior(boxes, cost, gradient, information)
        step, step_slope = np.zeros_like(shifts), np.zeros((*shifts.shape, PARAMETERS))
        if self.stiffness is not None:
            cost += (self.stiffness * shifts**2).sum(axis=(1, 2))
            weight = np.where(counts, weight, 0.0)
            of_shift = np.einsum("bvk,bvki,bvkj->bvij", weight, normal, normal) + np.diag(self.stiffness)
            pull = np.einsum("bvk,bvki,bvk->bvi", weight, normal, residual) + self.stiffness * shifts
            both = np.einsum("bvkp,bvk,bvki->bvpi", slope, weight, normal)
            # The shifts are taken out of the normal equations (Schur complement).
            step = -np.linalg.solve(of_shift, pull[..., None])[..., 0]
            step_slope = -np.linalg.solve(of_shift, np.swapaxes(both, -1, -2))
            gradient += np.einsum("bvpi,bvi->bp", both, step)
            information += np.einsum("bvpi,bviq->bpq", both, step_slope)
        return _State(boxes, cost, gradient, information, residual, shifts, step, step_slope)

    def compared(self, boxes: Floats) -> Compared:
        """The outlines' points beside the boxes' edges."""
        spread = np.broadcast_to(boxes[:, None, :], (*self.present.shape[:2], PARAMETERS))
        edges = outline_edges(spread, self.views.position)
        lines = outline_lines(project(corners(spread), self.views))
        distance, nearest = signed_distances(lines, edges, self.pixels)
        return Compared(
            distance,
            self._slopes(spread, nearest, distance, self.pixels),
            np.take_along_axis(lines[0], nearest[..., None], axis=-2),
            self.present & (self.own | (distance > 0)),
            self.prior_information(boxes),
            self._prior_gradient(boxes),
        )

    def sensitivity(self, boxes: Floats) -> Sensitivity:
        """How the boxes answer to errors of their silhouettes."""
        count, views = self.present.shape[:2]
        spread = np.broadcast_to(boxes[:, None, :], (count, views, PARAMETERS))
        edges = outline_edges(spread, self.views.position)
        lines = outline_lines(project(corners(spread), self.views))
        # A box that ends where its view ends may as well reach on: what is not its own edge makes none surer.
        counts = self.present & self.own
        shifts, pixels = np.zeros((count, views, TURNS)), self.pixels
        for _ in range(_SHIFT_ROUNDS):
            distance, nearest = signed_distances(lines, edges, pixels)
            normal = self._across(lines[0], nearest)
            shifts[..., :2] += self._shift(distance, normal[..., :2], counts)
            pixels = moved_by(shifts, self.pixels, self.views.focal)
        distance, nearest = signed_distances(lines, edges, pixels)
        normal = self._across(lines[0], nearest)
        counts = counts & on_seen_edges(lines, edges, pixels, self.own, 2 * self.scale)
        held = (self.present & ~counts & (distance > -_HELD_PX)).any(axis=(1, 2))
        left = np.where(counts, distance, 0.0)
        slope = np.where(counts[..., None], self._slopes(spread, nearest, distance, pixels), 0.0)
        distance = left - np.where(counts, np.einsum("bvki,bvi->bvk", normal, shifts), 0.0)
        weight = np.where(counts, 1 / np.sqrt(1 + (left / self.scale) ** 2), 0.0)
        # Neighbours that err alike are worth as much as fewer points that do not (first-order autocorrelation).
        following = left * np.roll(left, -1, axis=-1)
        alike = np.clip(following.sum(axis=-1) / np.maximum((left**2).sum(axis=-1), 1e-12), 0.0, _MOST_ALIKE)
        variance = (weight * left**2).sum(axis=-1) / np.maximum(weight.sum(axis=-1), 1e-12)
        common = following.sum(axis=(1, 2)) / np.maximum(counts.sum(axis=(1, 2)), 1)
        return Sensitivity(
            information=np.einsum("bvkp,bvk,bvkq->bpq", slope, weight, slope),
            prior=self.prior_information(boxes),
            to_shift=np.einsum("bvkp,bvk,bvki->bvpi", slope, weight, normal),
            of_shift=np.einsum("bvk,bvki,bvkj->bvij", weight, normal, normal),
            gradient=np.einsum("bvkp,bvk,bvk->bp", slope, weight, distance),
            prior_gradient=self._prior_gradient(boxes),
            pull=np.einsum("bvk,bvki,bvk->bvi", weight, normal, distance),
            shifts=shifts[..., :2],
            noise=np.sqrt(variance * (1 + alike) / (1 - alike)),
            misfit=np.sqrt(np.maximum(common, 0.0)),
            present=self.present[..., 0] & (counts.sum(axis=-1) >= _ENOUGH_POINTS),
            held=np.asarray(held),
        )

    def _across(self, normals: Floats, nearest: Ints) -> Floats:
        """(b, v, k, 3) change of each point's distance with a shift of its silhouette."""
        normal = np.take_along_axis(normals, nearest[..., None], axis=-2)
        return turned_across(normal, self.pixels, self.views.focal)

    def _shift(self, distance: Floats, normal: Floats, counts: Bools) -> Floats:
        """(b, v, 2) the further shift that explains a silhouette's residuals best."""
        weight = np.where(counts, 1 / np.sqrt(1 + (distance / self.scale) ** 2), 0.0)
        # The ridge keeps a straight stretch solvable.
        across = np.einsum("bvk,bvki,bvkj->bvij", weight, normal, normal) + 1e-3 * np.eye(2)
        pull = np.einsum("bvk,bvki,bvk->bvi", weight, normal, distance)
        return -np.linalg.solve(across, pull[..., None])[..., 0]

    def _slopes(self, spread: Floats, nearest: Ints, distance: Floats, pixels: Floats) -> Floats:
        """(b, v, k, 6) change of each point's distance with each parameter, its nearest edge held."""
        moved = spread[None] + np.diag(_STEP)[:, None, None, :]
        views = Views(self.views.rotation[None], self.views.position[None], self.views.focal[None])
        normal, offset = outline_lines(project(corners(moved), views))
        index = np.broadcast_to(nearest, (PARAMETERS, *nearest.shape))
        offset = np.take_along_axis(offset, index, axis=-1)
        across = np.take_along_axis(normal[..., 0], index, axis=-1)
        down = np.take_along_axis(normal[..., 1], index, axis=-1)
        after = across * pixels[None, ..., 0] + down * pixels[None, ..., 1] - offset
        slope = (after - distance[None]) / _STEP[:, None, None, None]
        return np.moveaxis(slope, 0, -1)

    def _add_prior(self, boxes: Floats, cost: Floats, gradient: Floats, information: Floats) -> None:
        residual = (self._sizes(boxes) - self.prior.mean) / self.prior.std
        cost += (residual**2).sum(axis=1)
        gradient += self._prior_gradient(boxes)
        information += self.prior_information(boxes)

    def _prior_gradient(self, boxes: Floats) -> Floats:
        """(b, 6) of the prior."""
        gradient = np.zeros((len(boxes), PARAMETERS))
        residual = (self._sizes(boxes) - self.prior.mean) / self.prior.std
        gradient[:, _SIZE_COLUMNS] = residual * self._size_slopes(boxes)
        return gradient

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
