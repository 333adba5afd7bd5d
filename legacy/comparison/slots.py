"""Slots and frames of both sides: what is there, when it was taken, and which camera saw it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from legacy.comparison.kinds import Difference, Kind
from legacy.comparison.seen import Box, SeenFrame, SeenSlot

Slots = dict[datetime, SeenSlot]

LASTING = 3
"""So many slots in a row make a difference of frames or blocks; fewer count in the shares alone."""

_FRAME_S = 60.0
_STEP = timedelta(minutes=10)
_SHIFTS = tuple(n * _STEP for n in range(-144, 145) if n)
_FEWEST_STEPS = 3  # a frame may be late; a zone is off by half an hour at least
_SAME_BOX = 0.5  # intersection over union
_SWAPPED, _OWN = 0.7, 0.5
_FEW_OBJECTS = 10
_SAMPLES = 24


def by_slot(seen: Iterable[SeenSlot]) -> tuple[Slots, list[Difference]]:
    """One of each slot, the last, and those that come more than once."""
    counts: Counter[datetime] = Counter()
    slots: Slots = {}
    for one in seen:
        counts[one.slot] += 1
        slots[one.slot] = one
    doubled = [
        Difference(Kind.SLOT_DOUBLED, "", slot, count, f"the old side has {count} batches of this slot")
        for slot, count in sorted(counts.items())
        if count > 1
    ]
    return slots, doubled


def unshifted(old: Slots, new: Slots) -> tuple[Slots, list[Difference]]:
    """The old slots at our times, where all of them are off by one length of time.

    Frames that were taken hours from their slot show it; where their times are not known, slots that do not meet.
    """
    shift = _shift_of_frames(old, new) or _shift_of_slots(old, new)
    if shift is None:
        return old, []
    hours = -shift.total_seconds() / 3600
    text = f"old slots are {hours:+g} h off ours: is batch_id.time_zone right?"
    moved = {slot + shift: replace(seen, slot=slot + shift) for slot, seen in old.items()}
    return moved, [Difference(Kind.SLOTS_SHIFTED, "", None, len(old), text)]


def _shift_of_frames(old: Slots, new: Slots) -> timedelta | None:
    theirs, ours = _median_delay(old), _median_delay(new)
    if theirs is None or ours is None:
        return None
    steps = round((theirs - ours) / _STEP.total_seconds())
    return steps * _STEP if abs(steps) >= _FEWEST_STEPS else None


def _median_delay(side: Slots) -> float | None:
    """How long after their slot frames were taken, seconds."""
    delays = [
        (frame.captured_at - slot).total_seconds()
        for slot, seen in side.items()
        for frame in _frames(seen).values()
        if frame.captured_at is not None
    ]
    return float(np.median(delays)) if delays else None


def _shift_of_slots(old: Slots, new: Slots) -> timedelta | None:
    fewer = min(len(old), len(new))
    if not fewer or len(old.keys() & new.keys()) >= 0.5 * fewer:
        return None
    shared = {shift: sum(1 for slot in old if slot + shift in new) for shift in _SHIFTS}
    shift = max(shared, key=lambda one: (shared[one], -abs(one)))
    return shift if shared[shift] >= 0.8 * fewer else None


def slot_differences(old: Slots, new: Slots) -> Iterator[Difference]:
    """Slots that one side has alone."""
    every = sorted(old.keys() | new.keys())
    for kind, side, other, text in (
        (Kind.SLOT_MISSING, old, new, "only the old side has it"),
        (Kind.SLOT_EXTRA, new, old, "only the new side has it"),
    ):
        for run in runs(every, (side.keys() - other.keys()).__contains__):
            yield Difference(kind, "", run[0], len(run), text)


def frame_differences(old: Slots, new: Slots) -> Iterator[Difference]:
    """Frames that one side has alone, of another time, or the same again."""
    common = _with_frames(old, new)
    cameras = sorted({camera for slot in common for side in (old, new) for camera in _frames(side[slot])})
    for camera in cameras:
        theirs = {slot: _frames(old[slot]).get(camera) for slot in common}
        ours = {slot: _frames(new[slot]).get(camera) for slot in common}
        yield from _presence(camera, common, theirs, ours)
        both = [slot for slot in common if theirs[slot] is not None and ours[slot] is not None]
        repeated = {side: _repeated(both, frames) for side, frames in (("old", theirs), ("new", ours))}
        for side, other in (("old", "new"), ("new", "old")):
            alone = repeated[side] - repeated[other]
            for run in runs(both, alone.__contains__):
                if len(run) >= LASTING - 1:
                    text = f"the {side} side has one frame of the camera again and again"
                    yield Difference(Kind.FRAME_REPEATED, camera, run[0], len(run), text)
        again = repeated["old"] | repeated["new"]
        apart = {slot for slot in both if slot not in again and _apart(theirs[slot], ours[slot]) > _FRAME_S}
        for run in runs(both, apart.__contains__):
            if len(run) >= LASTING:
                seconds = float(np.median([_apart(theirs[slot], ours[slot]) for slot in run]))
                text = f"both frames are {seconds:.0f} s apart"
                yield Difference(Kind.FRAME_TIME, camera, run[0], len(run), text)


def camera_differences(old: Slots, new: Slots) -> list[Difference]:
    """Cameras whose detections are another camera's, or nobody's."""
    common = _with_frames(old, new)
    common = common[:: max(1, len(common) // _SAMPLES)]
    cameras = sorted({camera for slot in common for camera in _frames(old[slot]) if camera in _frames(new[slot])})
    own = {camera: _agreement(old, new, common, camera, camera) for camera in cameras}
    doubtful = [camera for camera in cameras if own[camera] is not None and own[camera] < _OWN]  # type: ignore[operator]
    found: list[Difference] = []
    explained: set[str] = set()
    for one in doubtful:
        for other in cameras:
            if other > one and one not in explained and other not in explained:
                there, back = _agreement(old, new, common, one, other), _agreement(old, new, common, other, one)
                if there is not None and back is not None and min(there, back) > _SWAPPED:
                    explained |= {one, other}
                    text = f"the old side's {one} is our {other}, and the other way: bays, cameras"
                    found.append(Difference(Kind.CAMERAS_SWAPPED, f"{one}, {other}", None, len(common), text))
    left = [camera for camera in doubtful if camera not in explained]
    if left:
        named = ", ".join(left) if len(left) < len(cameras) else "all cameras"
        text = "detections lie elsewhere in the frame: units.box, units.pixels, frame_size"
        found.append(Difference(Kind.BOXES_OFF, named, None, len(common), text))
    return found


def runs(slots: Sequence[datetime], holds: Callable[[datetime], bool]) -> Iterator[list[datetime]]:
    """Slots in a row for which something holds."""
    run: list[datetime] = []
    for slot in slots:
        if holds(slot):
            run.append(slot)
        elif run:
            yield run
            run = []
    if run:
        yield run


def shared_frames(old: Slots, new: Slots) -> float | None:
    """Share of the frames that both sides have, of slots of which both know their frames; None where there is none."""
    both = every = 0
    for slot in _with_frames(old, new):
        theirs, ours = _frames(old[slot]), _frames(new[slot])
        both += len(theirs.keys() & ours.keys())
        every += len(theirs.keys() | ours.keys())
    return both / every if every else None


def _with_frames(old: Slots, new: Slots) -> list[datetime]:
    """Slots of which both sides know their frames, be it that they have none."""
    common = sorted(old.keys() & new.keys())
    return [slot for slot in common if old[slot].frames is not None and new[slot].frames is not None]


def _presence(
    camera: str,
    common: Sequence[datetime],
    theirs: Mapping[datetime, SeenFrame | None],
    ours: Mapping[datetime, SeenFrame | None],
) -> Iterator[Difference]:
    for kind, side, other, text in (
        (Kind.FRAME_MISSING, theirs, ours, "only the old side has frames of the camera"),
        (Kind.FRAME_EXTRA, ours, theirs, "only the new side has frames of the camera"),
    ):
        alone = {slot for slot in common if side[slot] is not None and other[slot] is None}
        for run in runs(common, alone.__contains__):
            if len(run) >= LASTING:
                yield Difference(kind, camera, run[0], len(run), text)


def _repeated(slots: Sequence[datetime], frames: Mapping[datetime, SeenFrame | None]) -> set[datetime]:
    times = {slot: frame.captured_at for slot in slots if (frame := frames[slot]) is not None}
    return {after for before, after in pairwise(slots) if times[after] is not None and times[before] == times[after]}


def _apart(one: SeenFrame | None, other: SeenFrame | None) -> float:
    if one is None or other is None or one.captured_at is None or other.captured_at is None:
        return 0.0
    return abs((one.captured_at - other.captured_at).total_seconds())


def _frames(seen: SeenSlot) -> Mapping[str, SeenFrame]:
    return seen.frames or {}


def _agreement(old: Slots, new: Slots, slots: Sequence[datetime], theirs: str, ours: str) -> float | None:
    """Share of the detections that both sides have at one place; None where there are too few to say."""
    same = every = 0
    for slot in slots:
        one, other = _frames(old[slot]).get(theirs), _frames(new[slot]).get(ours)
        if one is None or other is None:
            continue
        every += len(one.objects) + len(other.objects)
        same += 2 * _same_boxes([box for _, box in one.objects], [box for _, box in other.objects])
    return same / every if every >= _FEW_OBJECTS else None


def _same_boxes(ones: list[Box], others: list[Box]) -> int:
    if not ones or not others:
        return 0
    a, b = np.array(ones)[:, None, :], np.array(others)[None, :, :]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.prod(np.maximum(0.0, high - low), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (a, b)]
    overlap = shared / (areas[0] + areas[1] - shared)
    count = 0
    while overlap.size and overlap.max() >= _SAME_BOX:
        row, column = np.unravel_index(int(overlap.argmax()), overlap.shape)
        overlap[row, :] = overlap[:, column] = 0.0
        count += 1
    return count
