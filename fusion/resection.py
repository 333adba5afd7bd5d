"""A camera while it is estimated from points: many guesses at once, how far off they are, and their refinement.

Space resection by damped least squares (Levenberg and Marquardt; Hartley and Zisserman, "Multiple View Geometry",
A6.2), slopes in closed form. A guess is a row of each array, so that a hundred guesses cost little more than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from bays import Intrinsics, Pose
from bays.camera_model import CameraModel, angles_of, rotation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

CLICK_PX = 1.5  # what a careful click is off by in an image 1920 wide, as long as the points do not show otherwise
POSE_NAMES = ("x", "y", "z", "turn_1", "turn_2", "turn_3")
LENS_NAMES = ("focal_px", "aspect", "cx", "cy", "k1", "k2", "p1", "p2", "k3")
"""`aspect` is fy over fx, which is `focal_px`."""

_MIDDLE, _BEND = slice(2, 4), slice(4, 9)  # of a lens's values
_NAMES = (*POSE_NAMES, *LENS_NAMES)
# Steps in the parameters that change the image by about as much.
_SCALES = np.array([1.0, 1.0, 1.0, 0.03, 0.03, 0.03, 30.0, 0.02, 10.0, 10.0, 0.05, 0.05, 1e-3, 1e-3, 0.05])
_USUAL_WIDTH = 1920  # of the image that limits in pixels are meant for
_FAR_PX = 1e4  # stands in for the error of a point behind the camera
_NEAREST_M = 0.05
_LEAST_FOCAL_PX = 11.0
_MOST_SQUEEZED = 4.0
_LONGEST_STEP = 10.0  # of the scales above
_PRIOR_WEIGHT = 4.0  # degrees of freedom that CLICK_PX counts as
_SHARED = 2 / 3  # of a careful click's variance: not to be seen from how the points differ
_SETTLED = 1e-9  # gain of a step, of the cost, from which on it is the last
_MOST_DAMPING = 1e7


@dataclass(frozen=True)
class Points:
    """Places that are known in the image and in the bay: (n, 2) pixels, (n, 3) metres."""

    pixels: Floats
    places: Floats

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: Bools) -> Self:
        """Some of them."""
        return type(self)(self.pixels[rows], self.places[rows])


@dataclass(frozen=True)
class Known:
    """A focal length that is known beforehand, and how well (standard deviation), in pixels."""

    focal_px: float
    std_px: float


@dataclass(frozen=True)
class Guesses:
    """k guesses of one camera.

    Attributes:
        position: (k, 3) metres.
        rotation: (k, 3, 3), a matrix, so that no direction is special; rows as in `bays.camera_model.rotation`.
        lens: (k, 9), in the order of `LENS_NAMES`.
        given: the lens to start from, and the image's size.
    """

    position: Floats
    rotation: Floats
    lens: Floats
    given: Intrinsics

    @classmethod
    def of(cls, poses: Sequence[Pose], given: Intrinsics) -> "Guesses":
        """Cameras at these poses with one lens."""
        position = np.array([(pose.x, pose.y, pose.z) for pose in poses])
        turned = np.array([rotation(pose) for pose in poses])
        return cls(position, turned, np.tile(lens_values(given), (len(poses), 1)), given)

    def __len__(self) -> int:
        return len(self.position)

    def take(self, rows: Ints | Bools) -> "Guesses":
        """Some of them, in the order of the rows."""
        return replace(self, position=self.position[rows], rotation=self.rotation[rows], lens=self.lens[rows])

    def joined(self, other: "Guesses") -> "Guesses":
        """These, then the others."""
        return replace(
            self,
            position=np.concatenate([self.position, other.position]),
            rotation=np.concatenate([self.rotation, other.rotation]),
            lens=np.concatenate([self.lens, other.lens]),
        )

    def moved(self, names: Sequence[str], steps: Floats) -> "Guesses":
        """Changed by steps (k, p) in these parameters; the turn is about the camera's own axes."""
        change = np.zeros((len(self), len(_NAMES)))
        change[:, _columns(names)] = steps
        turned = Rotation.from_rotvec(change[:, 3:6]).as_matrix() @ self.rotation
        lens = self.lens + change[:, 6:]
        lens[:, 0] = np.maximum(lens[:, 0], _LEAST_FOCAL_PX)
        lens[:, 1] = np.clip(lens[:, 1], 1 / _MOST_SQUEEZED, _MOST_SQUEEZED)
        return replace(self, position=self.position + change[:, :3], rotation=turned, lens=lens)

    def either(self, chosen: Bools, other: "Guesses") -> "Guesses":
        """Row by row the other's where it is chosen (k,), these elsewhere."""
        return replace(
            self,
            position=np.where(chosen[:, None], other.position, self.position),
            rotation=np.where(chosen[:, None, None], other.rotation, self.rotation),
            lens=np.where(chosen[:, None], other.lens, self.lens),
        )

    def intrinsics(self, row: int = 0) -> Intrinsics:
        """The lens of one of them."""
        return _lens_of(self.lens[row], self.given)

    def exact(self, row: int = 0) -> CameraModel:
        """The geometry of one of them, nothing rounded."""
        pan, tilt, roll = angles_of(self.rotation[row])
        x, y, z = (float(value) for value in self.position[row])
        return CameraModel(Pose(x=x, y=y, z=z, pan=pan, tilt=tilt, roll=roll), self.intrinsics(row))

    def rounded(self, row: int = 0) -> CameraModel:
        """As the bay's file can hold it, angles and metres rounded far below what can be known."""
        pan, tilt, roll = angles_of(self.rotation[row])
        x, y, z = (round(float(value), 4) for value in self.position[row])
        pose = Pose(x=x, y=y, z=z, pan=round(pan % 360, 4), tilt=round(tilt, 4), roll=round(roll, 4))
        return CameraModel(pose, rounded_lens(_lens_of(self.lens[row].round(7), self.given)))

    def residuals(self, points: Points) -> Floats:
        """(k, n, 2) pixels."""
        x, y, _, ahead = self._seen(points)
        across, down = self._distorted(x, y)
        pixels = np.stack([across, down], axis=-1) * self._focal[:, None] + self.lens[:, None, _MIDDLE]
        error = np.where(ahead[..., None], pixels - points.pixels, _FAR_PX)
        return np.asarray(np.clip(error, -_FAR_PX, _FAR_PX))

    def errors(self, points: Points) -> Floats:
        """(k, n) distance in pixels."""
        return np.asarray(np.linalg.norm(self.residuals(points), axis=-1))

    def slopes(self, points: Points, names: Sequence[str]) -> Floats:
        """(k, n, 2, p) change of the residuals with each parameter; zero for a point behind the camera."""
        x, y, depth, ahead = self._seen(points)
        of_place = self._focal[:, None, :, None] * self._bent(x, y) @ _flattened(x, y, depth)
        parts = [of_place @ -self.rotation[:, None], _by_turn(of_place, x, y, depth)]
        if set(names) & set(LENS_NAMES):
            parts.append(self._lens_slopes(x, y))
        everything = np.concatenate(parts, axis=-1)
        return np.asarray(np.where(ahead[..., None, None], everything[..., _columns(names)], 0.0))

    def _seen(self, points: Points) -> tuple[Floats, Floats, Floats, Bools]:
        """(k, n) normalised x and y, depth, and whether the point lies ahead."""
        camera = np.einsum("knj,kij->kni", points.places - self.position[:, None], self.rotation)
        ahead = camera[..., 2] > _NEAREST_M
        depth = np.where(ahead, camera[..., 2], 1.0)
        return camera[..., 0] / depth, camera[..., 1] / depth, depth, ahead

    def _distorted(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        k1, k2, p1, p2, k3 = (column[:, None] for column in self.lens.T[_BEND])
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        return (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        )

    def _bent(self, x: Floats, y: Floats) -> Floats:
        """(k, n, 2, 2) change of the distorted with the undistorted coordinates."""
        k1, k2, p1, p2, k3 = (column[:, None] for column in self.lens.T[_BEND])
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))
        mixed = x * y * slope + 2 * p1 * x + 2 * p2 * y
        across = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x
        down = radial + y * y * slope + 6 * p1 * y + 2 * p2 * x
        return np.stack([np.stack([across, mixed], axis=-1), np.stack([mixed, down], axis=-1)], axis=-2)

    @property
    def _focal(self) -> Floats:
        """(k, 2) pixels along u and v."""
        return np.stack([self.lens[:, 0], self.lens[:, 0] * self.lens[:, 1]], axis=-1)

    def _lens_slopes(self, x: Floats, y: Floats) -> Floats:
        """(k, n, 2, 9) in the order of `LENS_NAMES`."""
        focal, r2 = self._focal[:, None], x * x + y * y
        straight = np.stack([x, y], axis=-1)
        radial = [focal * straight * (r2**power)[..., None] for power in (1, 2, 3)]
        p1 = focal * np.stack([2 * x * y, r2 + 2 * y * y], axis=-1)
        p2 = focal * np.stack([r2 + 2 * x * x, 2 * x * y], axis=-1)
        scaled = np.stack(self._distorted(x, y), axis=-1)
        along_v = scaled * [0.0, 1.0] * self.lens[:, 0][:, None, None]
        of_focal = scaled * np.stack([np.ones(len(self)), self.lens[:, 1]], axis=-1)[:, None]
        across, down = (np.broadcast_to(axis, scaled.shape) for axis in np.eye(2))
        return np.stack([of_focal, along_v, across, down, radial[0], radial[1], p1, p2, radial[2]], axis=-1)


def lens_values(intrinsics: Intrinsics) -> Floats:
    """(9,) in the order of `LENS_NAMES`."""
    fx, fy = intrinsics.focal
    return np.array([fx, fy / fx, *intrinsics.principal_point, *intrinsics.distortion])


def rounded_lens(lens: Intrinsics) -> Intrinsics:
    """Its pixels as a bay's file holds them, rounded far below what can be known."""
    pixels = {name: getattr(lens, name) for name in ("focal_px", "fy", "cx", "cy")}
    return lens.model_copy(update={name: None if value is None else round(value, 2) for name, value in pixels.items()})


def _lens_of(values: Floats, given: Intrinsics) -> Intrinsics:
    """The lens of (9,) values; what is as in the given one and not written there stays unwritten."""
    focal, aspect, cx, cy, *bend = (float(value) for value in values)
    before = lens_values(given)
    update: dict[str, object] = {"focal_px": focal, "distortion": tuple(bend)}
    if given.fy is not None or aspect != before[1]:
        update["fy"] = focal * aspect
    if given.cx is not None or cx != before[2]:
        update["cx"] = cx
    if given.cy is not None or cy != before[3]:
        update["cy"] = cy
    return given.model_copy(update=update)


def pixel_scale(intrinsics: Intrinsics) -> float:
    """Of limits in pixels, for an image of another width: a person clicks on a picture as wide as the screen."""
    return intrinsics.width / _USUAL_WIDTH


def step_of(name: str) -> float:
    """A step in this parameter that changes the image by about as much as one in any other."""
    return float(_SCALES[_NAMES.index(name)])


def robust_cost(residuals: Floats, scale: float) -> Floats:
    """(k,) sum of soft-L1 losses of (k, n, 2) residuals, in units of `scale` pixels."""
    return np.asarray(2 * (np.sqrt(1 + (residuals / scale) ** 2) - 1).sum(axis=(1, 2)))


def refined(
    guesses: Guesses,
    points: Points,
    names: Sequence[str],
    rows: Bools | None = None,
    *,
    known: Known | None = None,
    robust: bool = False,
    most: int = 40,
) -> Guesses:
    """Each guess after up to `most` steps of damped least squares.

    Args:
        guesses: to start from.
        points: (n) to be explained.
        names: of the parameters that may change.
        rows: (k, n) the points that count for each guess; all without it.
        known: what counts beside the points, where the focal length may change.
        robust: large errors count less (soft L1).
        most: steps.
    """
    scale = _SCALES[_columns(names)]
    loss = 2 * CLICK_PX * pixel_scale(guesses.given)
    counts = np.ones((len(guesses), len(points))) if rows is None else rows.astype(float)
    prior = _Prior.of(known, names, CLICK_PX * pixel_scale(guesses.given))
    damping = np.full(len(guesses), 1e-3)
    residuals = guesses.residuals(points)
    cost = _cost(residuals, counts, loss, robust=robust) + prior.cost(guesses) / loss**2
    for _ in range(most):
        weight = (1 / np.sqrt(1 + (residuals / loss) ** 2) if robust else 1.0) * counts[..., None]
        slopes = guesses.slopes(points, names) * scale
        weighted = slopes * weight[..., None]
        normal = np.einsum("knip,kniq->kpq", weighted, slopes) + prior.information
        gradient = np.einsum("knip,kni->kp", weighted, residuals) + prior.gradient(guesses)
        held = damping[:, None] * np.einsum("kpp->kp", normal) + 1e-9
        step = -np.linalg.solve(normal + held[:, :, None] * np.eye(len(scale)), gradient[..., None])[..., 0]
        tried = guesses.moved(names, np.clip(step, -_LONGEST_STEP, _LONGEST_STEP) * scale)
        tried_residuals = tried.residuals(points)
        tried_cost = _cost(tried_residuals, counts, loss, robust=robust) + prior.cost(tried) / loss**2
        better = tried_cost < cost
        settled = np.abs(cost - tried_cost) <= _SETTLED * cost + 1e-12
        guesses = guesses.either(better, tried)
        residuals = np.where(better[:, None, None], tried_residuals, residuals)
        cost = np.where(better, tried_cost, cost)
        damping = np.where(better, damping * 0.2, damping * 6)
        if (settled | (damping > _MOST_DAMPING)).all():
            break
    return guesses


@dataclass(frozen=True)
class _Prior:
    """What is known of the focal length, as information (p, p) of scaled parameters; squares are in clicks' pixels."""

    known: Known | None
    information: Floats
    click_px: float
    column: int

    @classmethod
    def of(cls, known: Known | None, names: Sequence[str], click_px: float) -> "_Prior":
        information = np.zeros((len(names), len(names)))
        if known is None or LENS_NAMES[0] not in names:
            return cls(None, information, click_px, 0)
        column = list(names).index(LENS_NAMES[0])
        information[column, column] = (click_px * step_of(LENS_NAMES[0]) / known.std_px) ** 2
        return cls(known, information, click_px, column)

    def cost(self, guesses: Guesses) -> Floats:
        """(k,) square pixels."""
        return self._off(guesses) ** 2

    def gradient(self, guesses: Guesses) -> Floats:
        """(k, p)."""
        gradient = np.zeros((len(guesses), len(self.information)))
        gradient[:, self.column] = self._off(guesses) * np.sqrt(self.information[self.column, self.column])
        return gradient

    def _off(self, guesses: Guesses) -> Floats:
        if self.known is None:
            return np.zeros(len(guesses))
        return np.asarray((guesses.lens[:, 0] - self.known.focal_px) / self.known.std_px * self.click_px)


def _cost(residuals: Floats, counts: Floats, loss: float, *, robust: bool) -> Floats:
    """(k,) sums, in units of the loss."""
    squares = (residuals / loss) ** 2
    each = 2 * (np.sqrt(1 + squares) - 1) if robust else squares
    return np.asarray((each * counts[..., None]).sum(axis=(1, 2)))


def _columns(names: Sequence[str]) -> list[int]:
    return [_NAMES.index(name) for name in names]


def _by_turn(of_place: Floats, x: Floats, y: Floats, depth: Floats) -> Floats:
    """(k, n, 2, 3) change with a turn about each axis: it moves a point by the cross product of axis and point."""
    z = depth[..., None]
    right, down, ahead = (of_place[..., axis] for axis in range(3))
    x, y = x[..., None] * z, y[..., None] * z
    return np.stack([ahead * y - down * z, right * z - ahead * x, down * x - right * y], axis=-1)


def _flattened(x: Floats, y: Floats, depth: Floats) -> Floats:
    """(k, n, 2, 3) change of the normalised coordinates with the point in the camera's frame."""
    zero, one = np.zeros_like(depth), 1 / depth
    rows = [np.stack([one, zero, -x / depth], axis=-1), np.stack([zero, one, -y / depth], axis=-1)]
    return np.stack(rows, axis=-2)


@dataclass(frozen=True)
class Fit:
    """Covariance (k, p, p) of the parameters `names`, and noise (k,) in pixels, of k guesses."""

    names: tuple[str, ...]
    covariance: Floats
    sigma_px: Floats

    @classmethod
    def of(
        cls,
        guesses: Guesses,
        points: Points,
        names: tuple[str, ...],
        rows: Bools | None = None,
        known: Known | None = None,
    ) -> "Fit":
        """Of guesses that were fitted to these points; `rows` (k, n) are those that count.

        Two thirds of a careful click's variance are taken for an error that the points share, as the survey's own and
        the lens model's: it does not show in how they differ, and few points agree better than that only by chance.
        No single error counts for more than four clicks', so that a wrong point does not drown the others.
        """
        click = CLICK_PX * pixel_scale(guesses.given)
        counts = np.ones((len(guesses), len(points))) if rows is None else rows.astype(float)
        squares = np.minimum(guesses.residuals(points) ** 2, (4 * click) ** 2).sum(axis=-1)
        freedom = np.maximum(0, 2 * counts.sum(axis=1) - len(names))
        shown = ((squares * counts).sum(axis=1) + _PRIOR_WEIGHT * click**2) / (freedom + _PRIOR_WEIGHT)
        sigma = np.sqrt(np.maximum(shown, (1 - _SHARED) * shown + _SHARED * click**2))
        scale = _SCALES[_columns(names)]
        slopes = guesses.slopes(points, names) * scale
        seen = np.einsum("knip,kniq,kn->kpq", slopes, slopes, counts, optimize=True) / (sigma**2)[:, None, None]
        normal = seen + _Prior.of(known, names, 1.0).information
        covariance = np.linalg.pinv(normal, hermitian=True) * np.outer(scale, scale)
        return cls(names, covariance, sigma)

    def std(self, name: str, row: int = 0) -> float:
        """Of one parameter."""
        index = self.names.index(name)
        return float(np.sqrt(self.covariance[row, index, index]))
