"""By which turn of a camera its floor marks moved, found by all marks at once.

One corner of painted lines looks much like the next, and every place along a line like its neighbours, so that a
mark alone rarely says where it is. Each place near a mark counts by how few other places near it are as like the
mark; a turn counts by the sum over all marks of what they say of the places where it puts them. A turn is believed
when chance would hardly bring so much together anywhere among all turns looked at, and when no other turn comes near
("a contrario" decisions: Desolneux, Moisan and Morel, 2000; Moisan and Stival for matched points, 2004). A mark that
is hidden says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from bays.camera_model import CameraModel
from fusion.resection import Guesses, Points, pixel_scale, refined
from fusion.witnesses import FARTHEST_DEG, Likeness

Floats = NDArray[np.float64]

TURN = ("turn_1", "turn_2", "turn_3")

_NEAR_PX = 3.0  # in an image 1920 wide: a mark this far from where a turn puts it still speaks for the turn
_LEAST_LIKENESS = 0.5  # correlation below which a place says nothing
_SPREAD = 0.2  # standard deviation of how far a mark that shows is from being like itself
_PLACES = 16  # of each mark that turns are made of
_TELLING = 2.0  # nats from which on a mark speaks for a turn
_FOLLOWED = 60  # turns that are refined
_SURE = np.log(1e3)  # nats beyond chance, and beyond the next best turn
_APART_PX = 4 * _NEAR_PX  # turns that put the marks nearer together than this are the same


@dataclass(frozen=True)
class Seen:
    """What later frames show near one mark.

    Attributes:
        place: (3,) metres, of the mark.
        frames: its likeness in each frame.
    """

    place: tuple[float, float, float]
    frames: Sequence[Likeness]


@dataclass(frozen=True)
class Turn:
    """The turn that the marks speak for most.

    Attributes:
        guess: the camera turned.
        points: the marks that speak for it, and their pixels.
        speaking: (n,) bool, which marks these are.
        sure: nats beyond chance.
        ahead: nats beyond any other turn.
    """

    guess: Guesses
    points: Points
    speaking: NDArray[np.bool_]
    sure: float
    ahead: float

    @property
    def believed(self) -> bool:
        """Whether neither chance nor another turn explains the marks as well."""
        return bool(min(self.sure, self.ahead) >= _SURE)


def find_turn(start: Guesses, seen: Sequence[Seen]) -> Turn:
    """The turn of a camera that its marks speak for most.

    Args:
        start: one guess, the camera as its marks were kept.
        seen: its marks, each with at least one frame; all frames of one size.
    """
    if not seen:
        return Turn(start, Points(np.empty((0, 2)), np.empty((0, 3))), np.empty(0, dtype=bool), 0.0, 0.0)
    scale = pixel_scale(start.given)
    evidence = [_Evidence.of(one.frames, _NEAR_PX * scale) for one in seen]
    places = Points(np.zeros((len(seen), 2)), np.array([one.place for one in seen]))
    turns = start.joined(_turns(start, places, [one.peaks for one in evidence], _NEAR_PX * scale))
    said = _said(turns, places, evidence)
    best = np.argsort(-said.sum(axis=1), kind="stable")[:_FOLLOWED]
    turns = turns.take(best).joined(_refined(turns.take(best), places, evidence, said[best]))
    return _best(turns, places, evidence, _APART_PX * scale)


@dataclass(frozen=True)
class _Evidence:
    """How much each place says that the mark is there.

    Attributes:
        corner: (2,) pixel of the first value.
        nats: (rows, columns), of the best frame.
        peaks: (p, 2) pixels most like the mark, in any frame.
        frames: as they came.
    """

    corner: Floats
    nats: NDArray[np.float32]
    peaks: Floats
    frames: Sequence[Likeness]

    @classmethod
    def of(cls, frames: Sequence[Likeness], near: float) -> "_Evidence":
        nats = np.max([_nats(one, near) for one in frames], axis=0)
        peaks = [one.peaks(_LEAST_LIKENESS, _PLACES) for one in frames]
        return cls(np.array(frames[0].corner, dtype=float), nats, np.concatenate(peaks), frames)

    def at(self, pixels: Floats) -> Floats:
        """(k,) nats at (k, 2) pixels; none outside of what was looked at."""
        column, row = np.round(pixels - self.corner).astype(np.int64).T
        inside = (row >= 0) & (row < self.nats.shape[0]) & (column >= 0) & (column < self.nats.shape[1])
        return np.where(inside, self.nats[np.where(inside, row, 0), np.where(inside, column, 0)], 0.0)

    def nearest(self, pixel: Floats, near: float) -> Floats:
        """The mark's pixel, sharper than a pixel: the median over the frames that show it within `near`."""
        found = [place for one in self.frames if (place := one.peak_near(pixel, near, _LEAST_LIKENESS)) is not None]
        return np.median(found, axis=0) if found else pixel


def _nats(likeness: Likeness, near: float) -> NDArray[np.float32]:
    """Minus the logarithm of the share of places as like the mark, less what speaks against so little likeness."""
    reached = maximum_filter(likeness.values, size=2 * round(near) + 1)
    order = np.sort(reached, axis=None)
    as_like = order.size - np.searchsorted(order, reached.ravel(), side="left")
    nats = np.log(order.size / as_like).reshape(reached.shape)
    # A mark that shows is like itself, but for light and noise.
    nats -= ((1 - reached) / _SPREAD) ** 2 / 2
    return np.where(reached >= _LEAST_LIKENESS, np.maximum(nats, 0.0), 0.0).astype(np.float32)


def _turns(start: Guesses, places: Points, peaks: Sequence[Floats], near: float) -> Guesses:
    """Every turn that brings two marks to places that are like them."""
    before = _unit((places.places - start.position[0]) @ start.rotation[0].T)
    after = [_bearings(start, pixels) for pixels in peaks]
    allowed, farthest = 2 * near / start.lens[0, 0], np.cos(np.radians(FARTHEST_DEG))
    found = [np.empty((0, 3, 3))]
    for i, j in combinations(range(len(peaks)), 2):
        apart = np.arccos(np.clip(after[i] @ after[j].T, -1, 1))
        first, second = np.nonzero(np.abs(apart - np.arccos(np.clip(before[i] @ before[j], -1, 1))) <= allowed)
        turns = _frames(after[i][first], after[j][second]) @ _frames(before[i][None], before[j][None]).swapaxes(1, 2)
        found.append(turns[(np.einsum("kii->k", turns) - 1) / 2 >= farthest])
    rotations = np.concatenate(found) @ start.rotation[0]
    some = start.take(np.zeros(len(rotations), dtype=np.int64))
    return Guesses(some.position, rotations, some.lens, start.given)


def _frames(one: Floats, other: Floats) -> Floats:
    """(k, 3, 3) axes, as columns, fixed by two directions (k, 3): their middle, their difference, their normal."""
    middle, difference = _unit(one + other), _unit(other - one)
    return np.stack([middle, difference, np.cross(middle, difference)], axis=-1)


def _said(turns: Guesses, places: Points, evidence: Sequence[_Evidence]) -> Floats:
    """(k, n) nats that each mark has for each turn."""
    pixels = turns.residuals(places)
    return np.stack([one.at(pixels[:, i]) for i, one in enumerate(evidence)], axis=1)


def _refined(turns: Guesses, places: Points, evidence: Sequence[_Evidence], said: Floats) -> Guesses:
    """Each turn by all marks that speak for it."""
    near = 2 * _NEAR_PX * pixel_scale(turns.given)
    result = turns
    for k, pixels in enumerate(turns.residuals(places)):
        found = np.array([one.nearest(pixel, near) for one, pixel in zip(evidence, pixels, strict=True)])
        row = refined(turns.take(np.array([k])), Points(found, places.places), TURN, said[k : k + 1] >= _TELLING)
        result = row if k == 0 else result.joined(row)
    return result


def _best(turns: Guesses, places: Points, evidence: Sequence[_Evidence], apart: float) -> Turn:
    said, pixels = _said(turns, places, evidence), turns.residuals(places)
    total = said.sum(axis=1)
    best = int(total.argmax())
    others = np.linalg.norm(pixels - pixels[best], axis=-1).mean(axis=1) > apart
    ahead = total[best] - max(0.0, float(total[others].max(initial=0.0)))
    speaking = said[best] >= _TELLING
    near = _NEAR_PX * pixel_scale(turns.given)
    found = np.array([one.nearest(pixel, near) for one, pixel in zip(evidence, pixels[best], strict=True)])
    points = Points(found[speaking], places.places[speaking])
    return Turn(turns.take(np.array([best])), points, speaking, float(total[best] - _tried(evidence, near)), ahead)


def _tried(evidence: Sequence[_Evidence], near: float) -> float:
    """Logarithm of how many turns differ: places of one mark, and rolls that move another by its own window."""
    size = max(max(one.nats.shape) for one in evidence) / (2 * near)
    frames = max(len(one.frames) for one in evidence)
    return float(np.log(frames * max(size, 1.0) ** 3))


def _bearings(start: Guesses, pixels: Floats) -> Floats:
    """(p, 3) directions in the camera's frame."""
    model = CameraModel(start.exact().pose, start.intrinsics())
    flat = model.undistort(pixels.reshape(-1, 2)) if len(pixels) else np.empty((0, 2))
    return _unit(np.column_stack([flat, np.ones(len(pixels))]))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))
