"""How far fused blocks may be off, estimated from the batch itself.

Silhouettes err in two ways: every point of an outline by itself (noise), and a whole
silhouette together (a pose that is off, a mask that leans to one side). Noise is what shifts leave
unexplained. The usual size of a shift, and how much of it is a turn in the image, are those under which the
shifts that are seen are most likely, once what blocks can take up by their own place and size is left out
(restricted maximum likelihood: Patterson and Thompson, 1971). Both are then carried through every block's fit,
so that a block that few cameras see well, or that is cut along one axis, comes with more: where its view ends
before a block does, only what is known of blocks of its class says how far it goes on.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr

from fusion.fitting import TURNS, Outlines, Sensitivity, Shifts, sensitivity
from fusion.hypotheses import Hypotheses
from fusion.refitting import refit, size_prior
from fusion.scene import Scene
from fusion.upright_box import DEPTH, HEIGHT, PARAMETERS, WIDTH, Bools, Floats, Ints, X, Y

_SHIFTS_PX = np.geomspace(0.05, 80.0, 75)
_USUAL_SHIFT_PX, _USUAL_WITHIN = 1.5, 1.5  # before any is seen: mean and standard deviation of the logarithm
_ROLLS = (1.0, 0.3, 0.1)  # of a shift, where nothing turned the camera about its view much less than across it
_USUAL_NOISE_PX = 2.0  # where no block shows it
_FREEDOM = 8.0  # of the t distribution of a block's shifts: one with a wrong member says little of the others
_LEAST_INFORMATION = 1e-3
_ROUNDS = 2
_LEAST_STD_M = 0.003


@dataclass(frozen=True)
class Measured:
    """Blocks fitted once their silhouettes' usual errors are known, one a row.

    Attributes:
        found: fitted boxes.
        doubts: of them.
        misfit: (h,) pixels by which neighbouring points of the outlines err alike, shifts taken out:
            large where the block is no box.
        shifts: usual errors of this batch.
    """

    found: Hypotheses
    doubts: "Doubts"
    misfit: Floats
    shifts: Shifts

    def take(self, rows: Bools) -> "Measured":
        """These rows."""
        return Measured(self.found.take(rows), self.doubts.take(rows), self.misfit[rows], self.shifts)


@dataclass(frozen=True)
class Doubts:
    """Standard deviations, metres, one block a row.

    Attributes:
        position: (h, 2) of the centre along x and along y.
        sides: (h, 2) of the longer and of the shorter side.
        height: (h,).
    """

    position: Floats
    sides: Floats
    height: Floats

    def take(self, rows: Bools) -> "Doubts":
        """These rows."""
        return Doubts(self.position[rows], self.sides[rows], self.height[rows])

    def beside(self, others: "Doubts") -> "Doubts":
        """With further, independent doubts."""
        return Doubts(
            np.hypot(self.position, others.position),
            np.hypot(self.sides, others.sides),
            np.hypot(self.height, others.height),
        )

    @property
    def typical(self) -> Floats:
        """(h,) root of the mean variance of the centre along x and y."""
        return np.asarray(np.sqrt((self.position**2).mean(axis=1)))


def measure(found: Hypotheses, scene: Scene, outlines: Outlines, scale: float) -> Measured:
    """Estimate the batch's errors, fit every block with shifts that are as large as usual, and say how sure it is."""
    if not len(found):
        none = np.zeros((0, 2))
        return Measured(found, Doubts(none, none, np.zeros(0)), np.zeros(0), Shifts(_USUAL_SHIFT_PX, _USUAL_NOISE_PX))
    parts, cameras = _parts(found, scene, outlines, scale), scene.camera[np.maximum(_members(found), 0)]
    # The noise is known only once the boxes have let go of the shifts: what weight both get is then settled.
    for _ in range(_ROUNDS):
        found = refit(found, scene, outlines, scale, shifts=_errors(parts, cameras))
        parts = _parts(found, scene, outlines, scale)
    shifts = _errors(parts, cameras)
    return Measured(found, _doubts(found.boxes, _covariances(parts, shifts)), parts.misfit, shifts)


def _parts(found: Hypotheses, scene: Scene, outlines: Outlines, scale: float) -> Sensitivity:
    members = _members(found)
    return sensitivity(found.boxes, members, outlines, size_prior(members, scene), scale=scale)


def _members(found: Hypotheses) -> Ints:
    """(b, v) silhouettes, -1 for none, as wide as the block that most cameras see."""
    return -np.sort(-found.members, axis=1)[:, : int(found.sizes.max())]


def _errors(parts: Sensitivity, cameras: Ints) -> Shifts:
    """The noise of this batch's silhouettes, seen by (b, v) cameras, and what size of their shifts is to be expected.

    The mean square over all sizes, by how likely each is. A camera that is off shifts all its silhouettes alike: they
    count as few where they do (the design effect of clustered samples: Kish, 1965).
    """
    noises = parts.noise[parts.present]
    noise = float(np.median(noises)) if len(noises) else _USUAL_NOISE_PX
    own = _noise(parts, noise)
    likely = np.stack([_likelihood(_rolled(parts, roll), own) for roll in _ROLLS]) / _counted_twice(parts, cameras)
    likely = likely - (np.log(_SHIFTS_PX / _USUAL_SHIFT_PX) / _USUAL_WITHIN) ** 2
    roll = int(likely.max(axis=1).argmax())
    weight = np.exp((likely[roll] - likely[roll].max()) / 2)
    return Shifts(float(np.sqrt((weight * _SHIFTS_PX**2).sum() / weight.sum())), noise, _ROLLS[roll])


def _counted_twice(parts: Sensitivity, cameras: Ints) -> float:
    """How many silhouettes say as much of the size of shifts as one alone would whose shift is its own; 1 or more."""
    camera, shifts = cameras[parts.present], parts.shifts[parts.present]
    groups, camera = np.unique(camera, return_inverse=True)
    spare = len(camera) - len(groups)
    if spare < 1:
        return 1.0
    mean = np.zeros((len(groups), 2))
    np.add.at(mean, camera, shifts)
    mean /= np.bincount(camera)[:, None]
    within, square = ((shifts - mean[camera]) ** 2).sum() / spare, (shifts**2).sum() / len(camera)
    alike = float(np.clip(1 - within / max(square, 1e-12), 0.0, 1.0))
    return 1 + (len(camera) / len(groups) - 1) * alike


def _rolled(parts: Sensitivity, roll: float) -> Sensitivity:
    """With turns in the image in units of this share of a shift: then all three parameters are equally large."""
    unit = np.array([1.0, 1.0, roll])
    return replace(
        parts,
        to_shift=parts.to_shift * unit,
        of_shift=parts.of_shift * unit * unit[:, None],
        pull=parts.pull * unit,
    )


def _likelihood(parts: Sensitivity, noise: Floats) -> Floats:
    """(75,) twice the logarithm for each size of a shift, but for a constant."""
    information, square = _shift_evidence(parts, noise)
    says = information > _LEAST_INFORMATION
    larger = 1 + _SHIFTS_PX[:, None, None] ** 2 * information
    unlikely = np.where(says, square / np.maximum(information, _LEAST_INFORMATION) / larger, 0.0).sum(axis=2)
    tails = (_FREEDOM + says.sum(axis=1)) * np.log1p(unlikely / _FREEDOM)
    likely = -(np.where(says, np.log(larger), 0.0).sum(axis=2) + tails).sum(axis=1)
    return np.asarray(likely)


def _noise(parts: Sensitivity, usual: float) -> Floats:
    """(b,) noise of each block's points: the batch's, or its own where that is more."""
    count = np.maximum(parts.present.sum(axis=1), 1)
    own = np.sqrt(np.where(parts.present, parts.noise**2, 0.0).sum(axis=1) / count)
    return np.asarray(np.maximum(own, usual))


def _shift_evidence(parts: Sensitivity, noise: Floats) -> tuple[Floats, Floats]:
    """What silhouettes say of their shifts that no box can take up, along independent directions.

    Returns:
        (b, 3 v) information, per square pixel, and (b, 3 v) square of the gradient.
    """
    blocks, views = parts.present.shape
    unit = noise[:, None, None] ** 2
    of_shift = np.zeros((blocks, views, TURNS, views, TURNS))
    every = np.arange(views)
    of_shift[:, every, :, every] = np.moveaxis(parts.of_shift, 1, 0)
    of_shift = of_shift.reshape(blocks, TURNS * views, TURNS * views) / unit
    both = np.moveaxis(parts.to_shift, 2, 1).reshape(blocks, PARAMETERS, TURNS * views) / unit
    of_box = parts.information / unit + parts.prior + 1e-9 * np.eye(PARAMETERS)
    gradient = parts.gradient / unit[..., 0] + parts.prior_gradient
    through = np.linalg.solve(of_box, np.concatenate([both, gradient[..., None]], axis=2))
    left = of_shift - np.swapaxes(both, 1, 2) @ through[..., :-1]
    pull = parts.pull.reshape(blocks, -1) / unit[..., 0] - (np.swapaxes(both, 1, 2) @ through[..., -1:])[..., 0]
    information, axes = np.linalg.eigh(left)
    along = np.einsum("bij,bi->bj", axes, pull)
    return np.maximum(information, 0.0), along**2


def _covariances(parts: Sensitivity, shifts: Shifts) -> Floats:
    """(b, 6, 6) of the boxes, shifts of the silhouettes allowed for."""
    unit = _noise(parts, shifts.noise_px)[:, None, None] ** 2
    of_shift = parts.of_shift / unit[:, None] + np.diag(shifts.std**-2)
    both = parts.to_shift / unit[:, None]
    pull = parts.pull[..., None] / unit[:, None]
    taken = np.linalg.solve(of_shift, np.concatenate([np.swapaxes(both, -1, -2), pull], axis=-1))
    information = parts.information / unit + parts.prior - np.einsum("bvpi,bviq->bpq", both, taken[..., :-1])
    gradient = parts.gradient / unit[..., 0] + parts.prior_gradient - np.einsum("bvpi,bvi->bp", both, taken[..., -1])
    covariance = np.linalg.inv(information + 1e-9 * np.eye(PARAMETERS))
    return _cut_off(covariance, np.where(parts.held[:, None], gradient, 0.0))


def _cut_off(covariance: Floats, gradient: Floats) -> Floats:
    """(b, 6, 6) mean squares about boxes that would be smaller by (b, 6) this gradient, but are seen to reach so far.

    The likeliest box ends where its view ends. Along the direction in which it would go on to shrink, only larger
    boxes are possible: a normal distribution about that smaller box, of which the nearer part is cut off.
    """
    along = np.einsum("bpq,bq->bp", covariance, gradient)
    beyond = np.sqrt(np.maximum((along * gradient).sum(axis=1), 1e-12))  # standard deviations
    # Second moment about the cut of a normal distribution of which only what lies beyond its mean by so much is left.
    hazard = np.exp(-(beyond**2) / 2 - log_ndtr(-beyond)) / np.sqrt(2 * np.pi)
    square = np.clip(1 + beyond**2 - beyond * hazard, 0.0, 1.0)
    along = along / beyond[:, None]
    return np.asarray(covariance - (1 - square)[:, None, None] * along[:, :, None] * along[:, None, :])


def _doubts(boxes: Floats, covariance: Floats) -> Doubts:
    std = np.sqrt(_LEAST_STD_M**2 + np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    sides = std[:, [WIDTH, DEPTH]]
    longer_first = (boxes[:, WIDTH] >= boxes[:, DEPTH])[:, None]
    return Doubts(std[:, [X, Y]], np.where(longer_first, sides, sides[:, ::-1]), std[:, HEIGHT])
