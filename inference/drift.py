"""Whether a camera's frames, or what the models see in them, became other than in a reference week.

Each frame is a handful of *measures*: light, contrast and focus of the whole frame (`inference.frame_look`), the
colours of what is neither block nor crane (`inference.surroundings`), how sure the models are of what is in it,
the surest object of each class held against what is usual for the class, and of the surest of the stages. What all
cameras show at the same time (the time of day, the weather) is taken off. The median of the last slots is then
held against how far the medians of as many slots went in the reference: a camera drifts where one of its measures
is farther off than any camera's ever was, by half as much again, and by more than a least amount that is worth a
person's look.

By class, for a report: confidences, counts, and the distance of the paints (`inference.descriptors`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from bay_observation.errors import NotObservedError
from inference.descriptors import unlikeness
from inference.frame_look import FrameLook
from inference.surroundings import colours_around_blocks, colours_by_cranes, crane_share
from inference.types import TRACKED_CLASSES, CameraObservation, DetectedObject, Observation

WINDOW = 12
"""Slots whose median is looked at."""
LEAST_REFERENCE = 4 * WINDOW
"""Slots that a reference needs at least."""

# The least change of each measure that counts, in its own unit: lightness and colours CIELAB, sharpness
# the logarithm of a ratio, the others shares. Of ten healthy weeks of the simulated yard, each held against
# another one, the farthest were 5.6, 2.7, 2.6, 4.1, 0.20, 0.05 and 0.00; half of the lamps out are 15 of
# lightness, sodium lamps 10 of yellow, a blur of 1.25 pixels 0.44 of sharpness, another checkpoint 0.1 of confidence.
MEASURES: dict[str, float] = {
    "lightness": 7.0,
    "red": 4.0,
    "yellow": 5.0,
    "contrast": 6.0,
    "sharpness": 0.27,
    "confidence": 0.06,
    "stage_confidence": 0.08,
}
_WIDER = 1.5
_FEWEST_CAMERAS = 4  # of fewer it cannot be said what all of them show
_COLOURS = slice(1, 3)  # among the measures

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MeasureDrift:
    """One measure of one camera.

    Attributes:
        measure: one of `MEASURES`.
        usual: its median in the reference.
        now: its median in the last slots.
        off: how far it is off, without what all cameras show.
        limit: how far it may be.
    """

    measure: str
    usual: float
    now: float
    off: float
    limit: float

    @property
    def ratio(self) -> float:
        """How far it is off in units of its limit; more than 1 is a drift."""
        return abs(self.off) / self.limit


@dataclass(frozen=True, slots=True)
class ClassDrift:
    """One class as one camera sees it, in the reference and in the last slots.

    Attributes:
        class_name: one of the tracked classes.
        usual_count, count: objects a frame.
        usual_confidence, confidence: mean of the detections; NaN where there is none.
        paint: distance of the mean paints, CIELAB units; NaN where one has none.
    """

    class_name: str
    usual_count: float
    count: float
    usual_confidence: float
    confidence: float
    paint: float


@dataclass(frozen=True, slots=True)
class CameraDrift:
    """One camera: its measures, the farthest first, and its classes."""

    camera_name: str
    measures: tuple[MeasureDrift, ...]
    classes: tuple[ClassDrift, ...]
    since: datetime

    @property
    def ratio(self) -> float:
        """Of the measure that is farthest off; 0 where none could be looked at."""
        return self.measures[0].ratio if self.measures else 0.0

    @property
    def drifted(self) -> bool:
        """Whether a measure is beyond its limit."""
        return self.ratio > 1.0

    @property
    def reason(self) -> str:
        """What is beyond its limit, in words."""
        return "; ".join(
            f"{one.measure} {one.now:.2f}, usually {one.usual:.2f} (off by {one.off:+.2f}, at most {one.limit:.2f})"
            for one in self.measures
            if one.ratio > 1.0
        )


class Reference:
    """What is usual: made once of a reference week, asked as often as slots come.

    Args:
        observations: of the week, in slot order.
        window: slots whose median is looked at.

    Raises:
        NotObservedError: there are too few.
    """

    def __init__(self, observations: Sequence[Observation], window: int = WINDOW) -> None:
        if len(observations) < LEAST_REFERENCE:
            raise NotObservedError(
                f"the reference has {len(observations)} observed slots, at least {LEAST_REFERENCE} are needed: name a"
                " longer time, or wait"
            )
        self.window = window
        self.cameras = sorted({camera.camera_name for seen in observations for camera in seen.cameras})
        self._classes = _by_class(observations)
        self._sure = usual_confidences(observations)
        values, cranes = _values(observations, self.cameras, self._sure)
        self._usual = _median(values)
        self._by_cranes = colours_by_cranes(self._own(values)[..., _COLOURS], cranes)
        values = self._without_cranes(values, cranes)
        self._usual = _median(values)
        self._reference = self._own(values)
        self._usual_runs: dict[int, tuple[Floats, Floats]] = {}

    def compare(self, recent: Sequence[Observation]) -> list[CameraDrift]:
        """Each camera of the reference, the farthest off first.

        Args:
            recent: the last slots, in order; as many as the window, or what there is of it.

        Raises:
            NotObservedError: there is no slot.
        """
        recent = recent[-self.window :]
        if not recent:
            raise NotObservedError("no slot of that time was observed")
        values = self._without_cranes(*_values(recent, self.cameras, self._sure))
        own, now, classes = _enough(self._own(values), self.window), _median(values), _by_class(recent)
        middle, limits = self._runs_of(len(recent))
        off = own - middle
        found = []
        for i, camera in enumerate(self.cameras):
            measures = [
                MeasureDrift(name, *(float(one[i, k]) for one in (self._usual, now, off, limits)))
                for k, name in enumerate(MEASURES)
                if np.isfinite(off[i, k]) and np.isfinite(limits[i, k])
            ]
            by_class = tuple(
                _class_drift(name, self._classes.get((camera, name)), classes.get((camera, name)))
                for name in TRACKED_CLASSES
            )
            measures.sort(key=lambda one: -one.ratio)
            found.append(CameraDrift(camera, tuple(measures), by_class, recent[0].slot))
        return sorted(found, key=lambda one: -one.ratio)

    def _runs_of(self, slots: int) -> tuple[Floats, Floats]:
        """(cameras, measures) middle of the medians of as many slots in the reference, and how far one may be off it.

        The median of few slots goes farther than that of many.
        """
        if slots not in self._usual_runs:
            runs = _windows(self._reference, slots)
            middle = _median(runs)
            self._usual_runs[slots] = middle, _limits(runs - middle)
        return self._usual_runs[slots]

    def _without_cranes(self, values: Floats, cranes: Floats) -> Floats:
        result = values.copy()
        result[..., _COLOURS] -= cranes[..., None] * self._by_cranes
        return result

    def _own(self, values: Floats) -> Floats:
        """(slots, cameras, measures): how far each camera is from its usual, without what the others show as well."""
        off = values - self._usual
        result = np.full_like(off, np.nan)
        for i in range(off.shape[1]):
            others = np.delete(off, i, axis=1)
            shared = _median(others.swapaxes(0, 1))
            known = np.isfinite(others).sum(axis=1) >= _FEWEST_CAMERAS
            result[:, i] = off[:, i] - np.where(known, shared, 0.0)
        return result


@dataclass(frozen=True, slots=True)
class UsualConfidences:
    """Median confidences in the reference of a frame's surest objects: of all classes, and by class, all cameras."""

    all_classes: float
    by_class: Mapping[str, float]

    def of_frame(self, objects: Sequence[DetectedObject]) -> float:
        """Median of the classes' surest confidences, what is usual for each class taken off; NaN without objects.

        A frame with other things in it is no change: a class that is hard to see has its own usual. Nor are
        further objects that are hardly seen: half hidden ones and second boxes come and go as things are moved.
        """
        off = [sure - self.by_class.get(name, self.all_classes) for name, sure in _surest(objects).items()]
        return self.all_classes + float(np.median(off)) if off else np.nan


def usual_confidences(observations: Sequence[Observation]) -> UsualConfidences:
    """How sure the models were of each class in these slots."""
    found: dict[str, list[float]] = {}
    for camera in (camera for seen in observations for camera in seen.cameras):
        for name, sure in _surest(camera.objects).items():
            found.setdefault(name, []).append(sure)
    everything = [value for several in found.values() for value in several]
    return UsualConfidences(
        float(np.median(everything)) if everything else np.nan,
        {name: float(np.median(several)) for name, several in found.items()},
    )


def _surest(objects: Sequence[DetectedObject]) -> dict[str, float]:
    """By class, the confidence of the object that the models are surest of."""
    found: dict[str, float] = {}
    for one in objects:
        found[one.class_name] = max(one.confidence, found.get(one.class_name, 0.0))
    return found


def readings(camera: CameraObservation, usual: UsualConfidences) -> Floats:
    """(len(MEASURES),) the measures of one frame, cranes still in its colours; NaN for what it does not have."""
    stages = [found.stage_confidence for found in camera.objects if found.stage is not None]
    of_frame: Sequence[float] = [np.nan] * 5
    if camera.look is not None:
        look = FrameLook.from_array(camera.look)
        of_frame = [look.lightness, *colours_around_blocks(camera, look), look.contrast, look.sharpness]
    # One badly seen block of few says nothing of the models.
    return np.array([*of_frame, usual.of_frame(camera.objects), max(stages, default=np.nan)])


def _values(
    observations: Sequence[Observation], cameras: Sequence[str], usual: UsualConfidences
) -> tuple[Floats, Floats]:
    """(slots, cameras, measures), and (slots, cameras): what cranes cover."""
    values = np.full((len(observations), len(cameras), len(MEASURES)), np.nan)
    cranes = np.zeros(values.shape[:2])
    for row, seen in enumerate(observations):
        for camera in seen.cameras:
            if camera.camera_name in cameras:
                place = cameras.index(camera.camera_name)
                values[row, place], cranes[row, place] = readings(camera, usual), crane_share(camera)
    return values, cranes


def _median(values: Floats) -> Floats:
    """Along the first axis; NaN where there is nothing."""
    known = np.isfinite(values).any(axis=0)
    return np.where(known, np.nanmedian(np.where(known, values, 0.0), axis=0), np.nan)


def _windows(values: Floats, window: int) -> Floats:
    """The median of each run of slots: (slots - window + 1, cameras, measures)."""
    return np.stack([_enough(values[i : i + window], window) for i in range(len(values) - window + 1)])


def _enough(values: Floats, window: int) -> Floats:
    """The median of a run of slots, of which at least half are known."""
    return np.where(np.isfinite(values).sum(axis=0) >= window / 2, _median(values), np.nan)


def _limits(off: Floats) -> Floats:
    """(cameras, measures): how far each may be off, from how far the runs of the reference were."""
    known = np.isfinite(off).any(axis=0)
    farthest = np.where(known, np.nanmax(np.abs(np.where(known, off, 0.0)), axis=0), np.nan)
    # A camera whose week was calm may see tomorrow what another saw in it.
    usual = np.where(known, farthest, 0.0).max(axis=0)
    return np.where(known, np.maximum(_WIDER * usual, list(MEASURES.values())), np.nan)


@dataclass(slots=True)
class _Seen:
    """One class in some frames of a camera."""

    frames: int
    confidences: list[float]
    paints: list[NDArray[np.float16]]


def _by_class(observations: Sequence[Observation]) -> dict[tuple[str, str], _Seen]:
    found: dict[tuple[str, str], _Seen] = {}
    for camera in (camera for seen in observations for camera in seen.cameras):
        for name in TRACKED_CLASSES:
            seen = found.setdefault((camera.camera_name, name), _Seen(0, [], []))
            seen.frames += 1
            for thing in camera.objects:
                if thing.class_name == name:
                    seen.confidences.append(thing.confidence)
                    if thing.descriptor is not None:
                        seen.paints.append(thing.descriptor)
    return found


def _class_drift(name: str, usual: _Seen | None, now: _Seen | None) -> ClassDrift:
    before, after = usual or _Seen(0, [], []), now or _Seen(0, [], [])
    paint = np.nan
    if before.paints and after.paints:
        paint = unlikeness(*(np.mean(np.stack(s.paints).astype(np.float64), axis=0) for s in (before, after)))
    return ClassDrift(
        name,
        len(before.confidences) / max(before.frames, 1),
        len(after.confidences) / max(after.frames, 1),
        _mean(before.confidences),
        _mean(after.confidences),
        float(paint),
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
