"""The tracker: which block is which, and what happened to it since the last slot.

There is no motion model: blocks stand for hours and jump by crane between two slots.
Each slot takes three steps:

1. Blocks that overlap a track are that track, standing.
2. What is left over starts a tentative track; a tentative track that looks like one
   whose floor was seen empty is held for it: it has moved, once seen often enough.
3. Tracks are confirmed, and those whose floor was seen empty often enough exit.

Floor that nobody saw proves nothing: a track there stays, marked unobserved.

Limits: two blocks of like size, height and class that swap places between two slots
keep the identity of the place. A block that moves while its old place is unseen gets
a new identity. A block that goes to an area that tracking ignores (turn-over, aisle,
outside of every area) exits, and is a new block when it comes back elsewhere; only
at the very place that it left is a block that exited known again, for a while.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, TypeVar, cast

from bay_observation.errors import TrackingError
from bays import BayConfig
from fusion.types import FusedBlock, FusionResult
from tracking.matching import match_jumps, match_standing
from tracking.outline import Outline, smooth
from tracking.parameters import TrackerParameters
from tracking.types import EventKind, Streak, Track, TrackerState, TrackEvent, TrackingResult, TrackStatus

_Value = TypeVar("_Value", bound=Hashable)
_Item = TypeVar("_Item", Track, TrackEvent)


class Tracker:
    """Follows one bay from one state. Pure: the same state and input give the same result.

    Args:
        bay: its areas tell which blocks are tracked.
        state: what the slot before left; None at the bay's very beginning.
        parameters: gates, weights and patience; the defaults when None.

    Raises:
        TrackingError: the state belongs to another bay.
    """

    def __init__(
        self, bay: BayConfig, state: TrackerState | None = None, parameters: TrackerParameters | None = None
    ) -> None:
        self.bay = bay
        self.state = state if state is not None else TrackerState(bay.bay_id)
        self.parameters = parameters if parameters is not None else TrackerParameters()
        if self.state.bay_id != bay.bay_id:
            raise TrackingError(f"the state is of bay {self.state.bay_id}, the tracker of bay {bay.bay_id}")

    def update(self, fusion_result: FusionResult) -> TrackingResult:
        """Follow the blocks into the next slot. Neither this tracker nor its state changes.

        Blocks of the very first slot are confirmed at once; later ones after
        `confirm_slots` sightings. Events carry the first slot that showed them.

        Raises:
            TrackingError: the result is of another bay, or of a slot not after the state's.
        """
        self._refuse_what_does_not_follow(fusion_result)
        blocks = sorted(fusion_result.blocks, key=_order)
        ignored = [not self._is_tracked(block.area) for block in blocks]
        pairs = match_standing(self.state.tracks, blocks, ignored, self.parameters)
        slot, batch_id = fusion_result.slot, fusion_result.batch_id

        tracks = [
            self._seen(track, blocks[pairs[index]], slot) if index in pairs else self._not_seen(track, fusion_result)
            for index, track in enumerate(self.state.tracks)
        ]
        tracks = [track for track in tracks if not self._is_forgotten(track)]
        standing = [blocks[index] for index in pairs.values()]
        fresh = [
            block
            for index, block in enumerate(blocks)
            if index not in pairs.values() and not ignored[index] and not self._is_double(block, standing)
        ]
        tracks += [self._start(block, slot, number) for number, block in enumerate(fresh, self.state.next_number)]

        events: list[TrackEvent] = []
        tracks, held = self._moves(tracks, slot, batch_id, events)
        tracks = [self._decide(track, held, batch_id, events) for track in tracks]
        return self._result(fusion_result, tracks, held, events, self.state.next_number + len(fresh))

    # -- one track, one slot ---------------------------------------------------------------

    def _start(self, block: FusedBlock, slot: datetime, number: int) -> Track:
        area = block.area or ""  # a block outside of every area is ignored before it comes here
        return Track(
            track_id=f"{self.bay.bay_id}-{number:06d}",
            status=TrackStatus.TENTATIVE,
            class_name=block.class_name,
            footprint=block.footprint,
            height_m=float(block.height_m),
            area=area,
            stage=block.stage,
            confidence=float(block.confidence),
            position_std_m=float(block.position_std_m),
            cameras=tuple(block.cameras),
            first_seen=slot,
            standing_since=slot,
            last_seen=slot,
            class_streak=Streak(block.class_name, 1, float(block.confidence), slot),
            area_streak=Streak(area, 1, 1.0, slot),
            stage_streak=_extend(None, block.stage, block.stage_confidence, slot),
            work=dict(block.work),
        )

    def _seen(self, track: Track, block: FusedBlock, slot: datetime) -> Track:
        outline = smooth(
            Outline(track.footprint, track.height_m, track.position_std_m),
            Outline(block.footprint, float(block.height_m), float(block.position_std_m)),
            self.parameters,
        )
        area = block.area if self._is_tracked(block.area) else None
        class_streak = _extend(track.class_streak, block.class_name, block.confidence, slot) or track.class_streak
        area_streak = _extend(track.area_streak, area, 1.0, slot) or track.area_streak
        enough = self.parameters.reading_slots
        returns = track.status is TrackStatus.EXITED
        return replace(
            track,
            status=TrackStatus.PRESENT if track.on_floor else TrackStatus.TENTATIVE,
            standing_since=slot if returns else track.standing_since,
            class_name=class_streak.value if class_streak.count >= enough else track.class_name,
            area=area_streak.value if area_streak.count >= enough else track.area,
            stage=track.stage or block.stage,
            footprint=outline.footprint,
            height_m=outline.height_m,
            position_std_m=outline.std_m,
            confidence=float(block.confidence),
            cameras=tuple(block.cameras),
            last_seen=slot,
            class_streak=class_streak,
            area_streak=area_streak,
            stage_streak=_extend(track.stage_streak, block.stage, block.stage_confidence, slot),
            work=dict(block.work),
            hits=1 if returns else track.hits + 1,
            misses=0,
            missed_since=None,
        )

    def _not_seen(self, track: Track, result: FusionResult) -> Track:
        if not self._could_be_seen(track, result):
            return replace(track, status=TrackStatus.UNOBSERVED) if track.on_floor else track
        return replace(
            track,
            status=TrackStatus.MISSED if track.on_floor else track.status,
            misses=track.misses + 1,
            missed_since=track.missed_since or result.slot,
        )

    def _could_be_seen(self, track: Track, result: FusionResult) -> bool:
        """Whether somebody looked at the track's floor, so that its absence means something."""
        working = set(track.cameras) - set(result.missing_cameras)
        if len(working) < min(self.parameters.witnesses, len(set(track.cameras))):
            return False
        unseen = track.footprint.intersection(result.unseen).area
        return bool(unseen < self.parameters.unseen_share * track.footprint.area)

    # -- decisions -------------------------------------------------------------------------

    def _moves(
        self, tracks: Sequence[Track], slot: datetime, batch_id: str, events: list[TrackEvent]
    ) -> tuple[list[Track], dict[str, str]]:
        """Join tracks that are gone from their place with the tentative tracks they have become.

        Returns:
            The tracks, and the pairs that are not certain yet: id of the tentative
            track by id of the one that seems to have moved.
        """
        missing = [track for track in tracks if track.misses and track.on_floor]
        found = [track for track in tracks if track.status is TrackStatus.TENTATIVE]
        diagonal = math.hypot(self.bay.layout.width, self.bay.layout.height)
        pairs = match_jumps(missing, found, diagonal, self.parameters)
        moved: dict[str, Track] = {}
        taken: set[str] = set()
        held: dict[str, str] = {}
        for row, column in pairs.items():
            before, after = missing[row], found[column]
            if after.hits < self.parameters.confirm_slots:
                held[before.track_id] = after.track_id
                continue
            taken.add(after.track_id)
            moved[before.track_id] = _joined(before, after)
            events.append(
                TrackEvent(
                    EventKind.MOVED,
                    before.track_id,
                    after.standing_since,
                    batch_id,
                    before.area,
                    after.area,
                    before.stage,
                    before.stage,
                )
            )
        return [moved.get(track.track_id, track) for track in tracks if track.track_id not in taken], held

    def _decide(self, track: Track, held: dict[str, str], batch_id: str, events: list[TrackEvent]) -> Track:
        """Confirm a new track, let a track leave, or believe its new stage."""
        tentative = track.status is TrackStatus.TENTATIVE
        if tentative and track.track_id not in held.values():
            if self.state.slot is not None and track.hits < self.parameters.confirm_slots:
                return track
            events.append(
                TrackEvent(
                    EventKind.APPEARED,
                    track.track_id,
                    track.standing_since,
                    batch_id,
                    to_area=track.area,
                    to_stage=track.stage,
                )
            )
            return replace(track, status=TrackStatus.PRESENT)
        gone = track.missed_since if track.misses >= self.parameters.exit_slots else None
        if gone is not None and track.status is TrackStatus.MISSED and track.track_id not in held:
            events.append(
                TrackEvent(
                    EventKind.EXITED,
                    track.track_id,
                    gone,
                    batch_id,
                    from_area=track.area,
                    from_stage=track.stage,
                )
            )
            return replace(track, status=TrackStatus.EXITED)
        return self._with_believed_stage(track, batch_id, events) if track.on_floor else track

    def _with_believed_stage(self, track: Track, batch_id: str, events: list[TrackEvent]) -> Track:
        streak = track.stage_streak
        if streak is None or streak.value == track.stage:
            return track
        if streak.count < self.parameters.reading_slots or streak.weight < self.parameters.reading_weight:
            return track
        events.append(
            TrackEvent(
                EventKind.STAGE_CHANGED,
                track.track_id,
                streak.since,
                batch_id,
                track.area,
                track.area,
                track.stage,
                streak.value,
            )
        )
        return replace(track, stage=streak.value)

    # -- what counts -----------------------------------------------------------------------

    def _refuse_what_does_not_follow(self, result: FusionResult) -> None:
        if result.bay_id != self.bay.bay_id:
            raise TrackingError(f"batch {result.batch_id} is of bay {result.bay_id}, the tracker of {self.bay.bay_id}")
        if self.state.slot is not None and result.slot <= self.state.slot:
            raise TrackingError(
                f"batch {result.batch_id} is not after the state's slot {self.state.slot:%Y-%m-%d %H:%M:%S} UTC:"
                " replay it, and all batches after it, from the state before it (tracking.replay)"
            )

    def _is_tracked(self, area: str | None) -> bool:
        if area is None:
            return False
        known = self.bay.layout.areas.get(area)
        if known is None:
            raise TrackingError(
                f"bay {self.bay.bay_id} has no area {area!r}: its layout changed since this batch was fused;"
                " run its fusion again"
            )
        return known.tracked

    def _is_double(self, block: FusedBlock, standing: Iterable[FusedBlock]) -> bool:
        """Whether a leftover lies on a standing block: no two blocks stand on one floor."""
        allowed = self.parameters.max_shared_floor * block.footprint.area
        return any(block.footprint.intersection(other.footprint).area > allowed for other in standing)

    def _is_forgotten(self, track: Track) -> bool:
        """Whether a track that is not there was never confirmed, or exited too long ago to come back."""
        if track.status is TrackStatus.EXITED:
            return track.misses > self.parameters.exit_slots + self.parameters.remember_slots
        return track.status is TrackStatus.TENTATIVE and track.misses >= self.parameters.exit_slots

    def _result(
        self,
        result: FusionResult,
        tracks: Iterable[Track],
        held: dict[str, str],
        events: Sequence[TrackEvent],
        next_number: int,
    ) -> TrackingResult:
        shared: dict[Hashable, Hashable] = {}
        decided = {track.track_id: _sharing(track, shared) for track in tracks}
        exited_now = {event.track_id for event in events if event.kind is EventKind.EXITED}
        shown = [
            _shown_moved(track, decided[held[track_id]]) if track_id in held else track
            for track_id, track in decided.items()
            if track_id not in held.values() and (track.status is not TrackStatus.EXITED or track_id in exited_now)
        ]
        slot = _one(result.slot, shared)
        return TrackingResult(
            batch_id=_one(result.batch_id, shared),
            bay_id=_one(result.bay_id, shared),
            tracks=tuple(sorted(shown, key=_by_id)),
            events=tuple(
                _sharing(event, shared)
                for event in sorted(events, key=lambda event: (event.time, event.track_id, event.kind))
            ),
            state=TrackerState(
                _one(result.bay_id, shared), slot, tuple(sorted(decided.values(), key=_by_id)), next_number
            ),
        )


def _order(block: FusedBlock) -> tuple[float, ...]:
    """Blocks are taken by place, so that the order in which they come does not matter."""
    centre = block.footprint.centroid
    return (centre.x, centre.y, block.footprint.area, block.height_m, block.confidence)


def _by_id(track: Track) -> str:
    return track.track_id


def _extend(streak: Streak | None, value: str | None, weight: float, slot: datetime) -> Streak | None:
    """The streak after one more reading; None tells nothing and ends nothing."""
    if value is None:
        return streak
    if streak is None or streak.value != value:
        return Streak(value, 1, float(weight), slot)
    return replace(streak, count=streak.count + 1, weight=streak.weight + float(weight))


def _joined(before: Track, after: Track) -> Track:
    """The track that moved: the identity of `before`, all that was seen since of `after`.

    Its stage stays until the readings at the new place are believed, like any other.
    """
    return replace(
        after,
        track_id=before.track_id,
        status=TrackStatus.PRESENT,
        class_name=before.class_name,
        stage=before.stage or after.stage,
        first_seen=before.first_seen,
        standing_since=after.standing_since,
        hits=before.hits + after.hits,
    )


def _shown_moved(before: Track, after: Track) -> Track:
    return replace(_joined(before, after), status=TrackStatus.MOVED)


def _sharing(item: _Item, shared: dict[Hashable, Hashable]) -> _Item:
    """The same track or event, its texts and times being one object each where they are equal.

    A pickle tells equal objects from identical ones. With this, the artifact of a slot
    has the same bytes whether the state came from memory or from the slot before's file.
    """
    changes: dict[str, Any] = {}
    for attribute in fields(item):
        value = getattr(item, attribute.name)
        if isinstance(value, Streak):
            changes[attribute.name] = Streak(
                _one(value.value, shared), value.count, value.weight, _one(value.since, shared)
            )
        elif isinstance(value, tuple):
            changes[attribute.name] = tuple(_one(text, shared) for text in value)
        elif isinstance(value, Mapping):
            changes[attribute.name] = {_one(key, shared): value[key] for key in sorted(value)}
        elif isinstance(value, str | datetime) and not isinstance(value, TrackStatus | EventKind):
            changes[attribute.name] = _one(value, shared)
    return replace(item, **changes)


def _one(value: _Value, shared: dict[Hashable, Hashable]) -> _Value:
    return cast(_Value, shared.setdefault(value, value))
