"""How blocks look: the stage they are read at, and their paint as each camera sees it.

Of a descriptor (`inference.descriptors`) the means of the two colour axes are kept, in CIELAB units, by camera:
lightness follows the light of the hall, and two cameras balance colours differently. A block is painted otherwise at
each stage, so that only readings of one stage are averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.types import FusedBlock
from inference.descriptors import DESCRIPTOR_LENGTH
from tracking.types import Sighting, Track

Floats = NDArray[np.float64]

_MOST_VIEWS = 6.0  # that a mean weighs at most: light changes
_A, _B = 1, 2  # in a descriptor, of the mean

Colours = Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class Looks:
    """Of n blocks.

    Attributes:
        stages: that were read.
        readings: (n,) how often.
        cameras: names, in order.
        sums: (n, cameras, 3): of the colours a and b, and how many views they are of; 0 where a camera saw none.
    """

    stages: tuple[str | None, ...]
    readings: Floats
    cameras: tuple[str, ...]
    sums: Floats

    def __len__(self) -> int:
        return len(self.stages)

    def take(self, rows: NDArray[np.int64]) -> "Looks":
        """Those rows."""
        stages = tuple(self.stages[int(row)] for row in rows)
        return Looks(stages, self.readings[rows], self.cameras, self.sums[rows])

    def colours(self, row: int) -> dict[str, tuple[float, float, float]]:
        """Mean colour by camera: a, b, and of how many views, as far as they count."""
        return {
            camera: (float(a / views), float(b / views), min(float(views), _MOST_VIEWS))
            for camera, (a, b, views) in zip(self.cameras, self.sums[row], strict=True)
            if views
        }


class LookStack:
    """The looks of several tracks by sighting: what is settled, and the latest ones, the last one last."""

    def __init__(self, tracks: Sequence[Track]) -> None:
        self._tracks = tracks
        self._length = 1 + max((len(track.recent) for track in tracks), default=0)
        settled = {name for track in tracks for name in track.paint}
        latest = {name for track in tracks for one in track.recent for name in one.paint}
        self._cameras = tuple(sorted(settled | latest))
        column = {name: number for number, name in enumerate(self._cameras)}
        self._sums = np.zeros((len(tracks), self._length, len(self._cameras), 3))
        for sums, track in zip(self._sums, tracks, strict=True):
            for name, (a, b, views) in track.paint.items():
                sums[0, column[name]] = a * views, b * views, views
            for at, one in enumerate(track.recent, start=self._length - len(track.recent)):
                for name, (a, b) in one.paint.items():
                    sums[at, column[name]] = a, b, 1.0

    def known(self, without: int = 0) -> Looks:
        """At the stage that each is believed to be at, without so many of the latest sightings."""
        stages = tuple(track.stage for track in self._tracks)
        readings = np.array([track.stage_readings for track in self._tracks], dtype=float)
        return self._summed(stages, readings, 0, self._length - without)

    def latest(self, count: int) -> Looks:
        """At the stage that is read most often in so many of the latest sightings."""
        read = [[one.stage for one in track.recent[-count:] if one.stage is not None] for track in self._tracks]
        most = [max(one, key=one.count) if one else None for one in read]
        readings = [float(one.count(stage)) if stage else 0.0 for one, stage in zip(read, most, strict=True)]
        return self._summed(tuple(most), np.array(readings), self._length - count, self._length)

    def divided(self, most: int) -> tuple[Looks, Looks]:
        """Those before the latest 1, 2, … `most` sightings and of them, in the order of `Stack.divided`."""
        numbers = range(1, most + 1)
        return _joined([self.known(without=number) for number in numbers]), _joined(
            [self.latest(number) for number in numbers]
        )

    def of_late(self) -> Looks:
        """At the stage that each is read at most often, which is not believed yet where the first one was misread."""
        stages = tuple(_most_read(track) for track in self._tracks)
        readings = np.array([track.stage_readings for track in self._tracks], dtype=float)
        return self._summed(stages, readings, 0, self._length)

    def _summed(self, stages: tuple[str | None, ...], readings: Floats, first: int, last: int) -> Looks:
        sums = self._sums[:, first:last]
        if self._cameras:
            at_stage = np.zeros((len(stages), self._length), dtype=bool)
            for row, (track, stage) in enumerate(zip(self._tracks, stages, strict=True)):
                at_stage[row, 0] = track.stage == stage
                start = self._length - len(track.recent)
                at_stage[row, start:] = [one.stage is None or one.stage == stage for one in track.recent]
            sums = sums * at_stage[:, first:last, None, None]
        return Looks(stages, readings, self._cameras, sums.sum(axis=1))


def _joined(looks: Sequence[Looks]) -> Looks:
    """One after the other, of the same cameras."""
    return Looks(
        tuple(stage for one in looks for stage in one.stages),
        np.concatenate([one.readings for one in looks]),
        looks[0].cameras,
        np.concatenate([one.sums for one in looks]),
    )


def colours_of(block: FusedBlock) -> dict[str, tuple[float, float]]:
    """The colour of a block by camera, in order of the cameras' names; of another kind of descriptor none."""
    found = sorted((block.descriptors or {}).items())
    return {
        camera: (round(float(one[_A]), 2), round(float(one[_B]), 2))
        for camera, one in found
        if one.shape == (DESCRIPTOR_LENGTH,) and np.isfinite(one).all()
    }


def looks_of(tracks: Sequence[Track]) -> Looks:
    """How tracks look by all their sightings, of late."""
    return LookStack(tracks).of_late()


def looks_at(sightings: Sequence[Sighting]) -> Looks:
    """How blocks look in one sighting each."""
    cameras = tuple(sorted({name for one in sightings for name in one.paint}))
    sums = np.zeros((len(sightings), len(cameras), 3))
    for row, one in zip(sums, sightings, strict=True):
        for name, (a, b) in one.paint.items():
            row[cameras.index(name)] = a, b, 1.0
    return Looks(tuple(one.stage for one in sightings), np.ones(len(sightings)), cameras, sums)


def with_colours(known: Colours, sighting: Sighting, *, stage: str | None) -> Colours:
    """The mean colours after one more sighting; one that was read at another stage is left out."""
    if not sighting.paint or sighting.stage not in (stage, None):
        return known
    return merged(known, {camera: (*colour, 1.0) for camera, colour in sighting.paint.items()})


def merged(known: Colours, seen: Colours) -> Colours:
    """Both, by their views."""
    result = dict(known)
    for camera, (a, b, views) in seen.items():
        old_a, old_b, old = known.get(camera, (a, b, 0.0))
        share = views / (old + views)
        result[camera] = (old_a + share * (a - old_a), old_b + share * (b - old_b), min(old + views, _MOST_VIEWS))
    return result


def unlikeness(known: Looks, seen: Looks, *, paired: bool) -> tuple[Floats, Floats]:
    """(known, seen), or (n,) of pairs in order: distance of the colours in CIELAB units, and views behind it.

    The median of the cameras that saw both, NaN where none did; and the most views that one of them had of either.
    """
    common = [name for name in known.cameras if name in seen.cameras]
    old = known.sums[:, [known.cameras.index(name) for name in common]]
    new = seen.sums[:, [seen.cameras.index(name) for name in common]]
    old = old if paired else old[:, None]
    views = np.minimum(old[..., 2], new[..., 2])
    apart = old[..., :2] / np.maximum(old[..., 2:], 1.0) - new[..., :2] / np.maximum(new[..., 2:], 1.0)
    distance = np.where(views > 0, np.hypot(apart[..., 0], apart[..., 1]), np.nan)
    return _median(distance), views.max(axis=-1, initial=0.0)


def both_seen(known: Looks, seen: Looks) -> NDArray[np.bool_]:
    """(known, seen) whether one camera saw the colours of both."""
    if not (known.cameras and seen.cameras):
        return np.zeros((len(known), len(seen)), dtype=bool)
    return np.asarray(unlikeness(known, seen, paired=False)[1] > 0)


def steps(known: Looks, seen: Looks, order: Sequence[str], *, paired: bool) -> Floats:
    """(known, seen), or (n,) of pairs in order: stages from one to the other.

    NaN where one is not known, 1 where they differ and the order is not known.
    """
    names = sorted({stage for stage in (*known.stages, *seen.stages) if stage is not None})
    number, place = ({name: float(at) for at, name in enumerate(some)} for some in (names, order))
    old, new = (np.array([number.get(stage or "", np.nan) for stage in some.stages]) for some in (known, seen))
    first, last = (np.array([place.get(stage or "", np.nan) for stage in some.stages]) for some in (known, seen))
    if not paired:
        old, first = old[:, None], first[:, None]
    way = last - first
    unordered = np.where(np.isnan(new - old), np.nan, (new != old) + 0.0)
    return np.asarray(np.where(np.isnan(way), unordered, way))


def _most_read(track: Track) -> str | None:
    other = max(track.stage_streaks, key=lambda streak: streak.count, default=None)
    return other.value if other is not None and other.count > track.stage_readings else track.stage


def _median(values: Floats) -> Floats:
    """Of the last axis, without what is NaN; NaN where all is. As `numpy.nanmedian`, which takes ten times as long."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered, count = np.sort(values, axis=-1), (~np.isnan(values)).sum(axis=-1, keepdims=True)
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0), axis=-1) for at in ((count - 1) // 2, count // 2))
    return np.asarray(((low + np.where(count % 2, low, high)) / 2)[..., 0])
