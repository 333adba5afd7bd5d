"""Two other ways to follow blocks, fed the same floor plans, to be compared with.

Both give identities alone. Their events are read off the finished day, which is more
than any tracker can do as it goes: a track appeared where it is first seen after the first slot, exited after
it is last seen, moved where it jumps, and changed its stage where two readings in a row
are another. What they merely hold on to after its last sighting dates nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
import shapely
import supervision
from trackers import ByteTrackTracker

from fusion.types import FusedBlock, FusionResult
from tracking.types import EventKind, TrackEvent

_GATE_M = 3.0  # greedy: farther off is another block
_PATIENCE = 2  # slots for which a track may be missed, for both
_MOVED_M = 1.0
_PIXELS_PER_M = 10.0


@dataclass(frozen=True, eq=False)
class Followed:
    """A day of a baseline: by slot the blocks of its tracks, and the events read off them."""

    floor: Mapping[datetime, Mapping[str, FusedBlock]]
    events: tuple[TrackEvent, ...]


def greedy(results: Sequence[FusionResult]) -> Followed:
    """Greedy nearest neighbour: the closest pair of track and block first, within 3 m; the rest are new.

    A track is confirmed by its second sighting and stays where it was last seen for two slots.
    """
    number = 0
    tracks: dict[str, tuple[FusedBlock, int, int]] = {}  # block, sightings, misses
    floor: dict[datetime, dict[str, FusedBlock]] = {}
    seen: dict[datetime, dict[str, FusedBlock]] = {}
    for result in results:
        blocks = list(result.blocks)
        names = list(tracks)
        apart = _distances([tracks[name][0] for name in names], blocks)
        left: dict[str, tuple[FusedBlock, int, int]] = {}
        while apart.size and apart.min() <= _GATE_M:
            row, column = np.unravel_index(int(apart.argmin()), apart.shape)
            left[names[row]] = (blocks[column], tracks[names[row]][1] + 1, 0)
            apart[row, :] = apart[:, column] = np.inf
            blocks[column] = None  # type: ignore[call-overload]
        for name in names:
            block, sightings, misses = tracks[name]
            if name not in left and misses < _PATIENCE:
                left[name] = (block, sightings, misses + 1)
        for block in blocks:
            if block is not None:
                number += 1
                left[f"greedy-{number:06d}"] = (block, 1, 0)
        tracks = left
        floor[result.slot] = {name: block for name, (block, sightings, _) in tracks.items() if sightings > 1}
        seen[result.slot] = {name: block for name, (block, _, misses) in tracks.items() if not misses}
    confirmed = {name for shown in floor.values() for name in shown}
    seen = {slot: {name: block for name, block in found.items() if name in confirmed} for slot, found in seen.items()}
    return Followed(floor, tuple(_events(seen)))


def byte_track(results: Sequence[FusionResult]) -> Followed:
    """ByteTrack (Zhang et al. 2022) of the library `trackers`, on the boxes about the footprints, a decimetre a pixel.

    Patient for two slots; every detection counts as a certain one, since fusion has
    dropped what is not.
    """
    tracker = ByteTrackTracker(
        lost_track_buffer=_PATIENCE, frame_rate=30.0, minimum_consecutive_frames=2, minimum_iou_threshold=0.3
    )
    floor: dict[datetime, dict[str, FusedBlock]] = {}
    for result in results:
        boxes = shapely.bounds([block.footprint for block in result.blocks]).reshape(-1, 4) * _PIXELS_PER_M
        order = np.arange(len(boxes))
        found = tracker.update(supervision.Detections(xyxy=boxes.astype(np.float32), data={"block": order}))
        floor[result.slot] = {
            f"byte-{track:06d}": result.blocks[index]
            for track, index in zip(_of(found.tracker_id), _of(found.data.get("block")), strict=True)
            if track >= 0
        }
    return Followed(floor, tuple(_events(floor)))


def _of(column: object) -> list[int]:
    """A column of the library's detections, which has none where nothing was detected."""
    return [] if column is None else [int(value) for value in np.asarray(column)]


def _distances(first: Sequence[FusedBlock], second: Sequence[FusedBlock]) -> np.ndarray:
    left, right = (
        shapely.get_coordinates(shapely.centroid([block.footprint for block in blocks])).reshape(-1, 2)
        for blocks in (first, second)
    )
    return np.asarray(np.linalg.norm(left[:, None] - right[None, :], axis=-1))


def _events(floor: Mapping[datetime, Mapping[str, FusedBlock]]) -> Iterable[TrackEvent]:
    slots = list(floor)
    seen: dict[str, list[int]] = {}
    for index, slot in enumerate(slots):
        for name in floor[slot]:
            seen.setdefault(name, []).append(index)
    for name, indices in seen.items():
        blocks = [floor[slots[index]][name] for index in indices]
        if indices[0]:
            yield _event(EventKind.APPEARED, name, slots[indices[0]])
        if indices[-1] + 1 < len(slots):
            yield _event(EventKind.EXITED, name, slots[indices[-1] + 1])
        for index, (before, after) in zip(indices[1:], pairwise(blocks), strict=True):
            if before.footprint.centroid.distance(after.footprint.centroid) > _MOVED_M:
                yield _event(EventKind.MOVED, name, slots[index])
        stage = blocks[0].stage
        for index, (block, following) in zip(indices, pairwise(blocks), strict=False):
            if block.stage == following.stage != stage:
                stage = block.stage
                yield _event(EventKind.STAGE_CHANGED, name, slots[index])


def _event(kind: EventKind, name: str, time: datetime) -> TrackEvent:
    return TrackEvent(kind, name, time, "")
