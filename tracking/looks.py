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


@dataclass(frozen=True)
class Look:
    """The stage that was read, how often, and the mean colour by camera: a, b, and of how many views."""

    stage: str | None
    readings: int
    colours: Colours


def colours_of(block: FusedBlock) -> dict[str, tuple[float, float]]:
    """The colour of a block by camera, in order of the cameras' names; of another kind of descriptor none."""
    found = sorted((block.descriptors or {}).items())
    return {
        camera: (round(float(one[_A]), 2), round(float(one[_B]), 2))
        for camera, one in found
        if one.shape == (DESCRIPTOR_LENGTH,) and np.isfinite(one).all()
    }


def look_of(track: Track) -> Look:
    """How a track looks by all its sightings at the stage that it is read at most often of late.

    That stage is not believed yet where the first one was misread.
    """
    other = max(track.stage_streaks, key=lambda streak: streak.count, default=None)
    if other is not None and other.count > track.stage_readings:
        return _look(other.value, track.stage_readings, {}, track.recent)
    return _look(track.stage, track.stage_readings, track.paint, track.recent)


def look_at(sighting: Sighting) -> Look:
    """How a block looks in one sighting."""
    return _look(sighting.stage, 1, {}, (sighting,))


def parted(track: Track, count: int) -> tuple[Look, Look]:
    """How it looks without so many of the latest sightings, and in these."""
    before, latest = track.recent[:-count], track.recent[-count:]
    read = [one.stage for one in latest if one.stage is not None]
    stage = max(read, key=read.count, default=None)
    readings = read.count(stage) if stage else 0
    return _look(track.stage, track.stage_readings, track.paint, before), _look(stage, readings, {}, latest)


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


def unlikeness(known: Sequence[Look], seen: Sequence[Look], *, paired: bool) -> tuple[Floats, Floats]:
    """(known, seen), or (n,) of pairs in order: distance of the colours in CIELAB units, and views behind it.

    The median of the cameras that saw both, NaN where none did; and the most views that one of them had of either.
    """
    names = sorted({name for one in known for name in one.colours} & {name for one in seen for name in one.colours})
    old, new = _table(known, names), _table(seen, names)
    old = old if paired else old[:, None]
    apart = np.linalg.norm(old[..., :2] - new[..., :2], axis=-1)
    views = np.minimum(old[..., 2], new[..., 2]).max(axis=-1, initial=0.0)
    return _median(apart), views


def steps(known: Sequence[Look], seen: Sequence[Look], order: Sequence[str], *, paired: bool) -> Floats:
    """(known, seen), or (n,) of pairs in order: stages from one to the other.

    NaN where one is not known, 1 where they differ and the order is not known.
    """
    names = sorted({one.stage for one in (*known, *seen) if one.stage is not None})
    number, place = ({name: float(at) for at, name in enumerate(some)} for some in (names, order))
    old, new = (np.array([number.get(one.stage or "", np.nan) for one in some]) for some in (known, seen))
    first, last = (np.array([place.get(one.stage or "", np.nan) for one in some]) for some in (known, seen))
    if not paired:
        old, first = old[:, None], first[:, None]
    way = last - first
    unordered = np.where(np.isnan(new - old), np.nan, (new != old) + 0.0)
    return np.asarray(np.where(np.isnan(way), unordered, way))


def is_painted(track: Track) -> bool:
    """Whether a camera's colour is known of it."""
    return bool(track.paint) or any(sighting.paint for sighting in track.recent)


def _look(stage: str | None, readings: int, settled: Colours, recent: Sequence[Sighting]) -> Look:
    total = {camera: (a * views, b * views, views) for camera, (a, b, views) in settled.items()}
    for one in recent:
        if one.stage in (stage, None):
            for camera, (a, b) in one.paint.items():
                sum_a, sum_b, views = total.get(camera, (0.0, 0.0, 0.0))
                total[camera] = sum_a + a, sum_b + b, views + 1.0
    means = {camera: (a / views, b / views, min(views, _MOST_VIEWS)) for camera, (a, b, views) in total.items()}
    return Look(stage, readings, means)


def _median(values: Floats) -> Floats:
    """Of the last axis, without what is NaN; NaN where all is. As `numpy.nanmedian`, which takes ten times as long."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered, count = np.sort(values, axis=-1), (~np.isnan(values)).sum(axis=-1, keepdims=True)
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0), axis=-1) for at in ((count - 1) // 2, count // 2))
    return np.asarray(((low + np.where(count % 2, low, high)) / 2)[..., 0])


def _table(looks: Sequence[Look], names: Sequence[str]) -> Floats:
    """(n, cameras, 3): colours and views; NaN and 0 where a camera did not see one."""
    nothing = (np.nan, np.nan, 0.0)
    rows = [[one.colours.get(name, nothing) for name in names] for one in looks]
    return np.array(rows).reshape(len(looks), len(names), 3)
