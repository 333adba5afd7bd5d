"""The tracker: which block is which, and what happened to it since the last slot.

There is no motion model: blocks stand for hours and jump by crane between two slots.
Each slot takes four steps:

1. Blocks that overlap a track are that track, standing.
2. What is left over starts a tentative track; a tentative track that looks like one
   whose floor was seen empty is held for it: it has moved, once seen often enough.
3. A tentative track that looks like just one block that has been away, or that stood
   where nobody can see, is that block.
4. Tracks are confirmed, and those whose floor was seen empty often enough exit, or
   have become part of another block. How often is enough, see `tracking.evidence`.

Floor that nobody saw proves nothing: a track there stays, marked unobserved. Another
block on the floor of one that is not found tells more than empty floor: no two stand there.

Events carry the slot that first showed them, though they are told later, when they
are certain.

Work starts and stops with the equipment that fusion counts at a block, once read so often
enough; a slot that missed the block tells nothing of it.

Limits: two blocks of like size, height and class that swap places between two slots
keep the identity of the place. A block that goes to floor that nobody sees, or to an
area that tracking ignores (turn-over, aisle, outside of every area), exits; when it
is seen again it appears, as itself if no other block fits as well. What is unseen is told
of the floor alone: a tall block that left floor which its neighbours hide stays unobserved,
though it would have stood out above them, until another block stands there.
"""

import math
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import shapely

from bay_observation.errors import TrackingError
from bays import BayConfig
from fusion.types import FusedBlock, FusionResult
from lab.evaluation.place_first import evidence
from lab.evaluation.place_first.matching import cover, match_jumps, match_returns, match_standing, same_shape
from lab.evaluation.place_first.outline import Outline, agree, outline_of, smooth
from lab.evaluation.place_first.parameters import TrackerParameters
from lab.evaluation.place_first.types import (
    EventKind,
    Rates,
    Shape,
    Streak,
    Track,
    TrackerState,
    TrackEvent,
    TrackingResult,
    TrackStatus,
)

_DISPLACED = 2  # misses that another block on the floor of one that is missed counts for
_WORK, _REST = "work", "rest"  # readings of the equipment at a block

_Value = TypeVar("_Value", bound=Hashable)
_Item = TypeVar("_Item", bound=Track | TrackEvent | Shape | Streak)


@dataclass
class _Slot:
    """What is being worked out about one slot."""

    time: datetime
    batch_id: str
    rates: Rates
    events: list[TrackEvent] = field(default_factory=list)

    def tell(self, kind: EventKind, track: Track, time: datetime, **places: Any) -> None:
        self.events.append(TrackEvent(kind, track.track_id, time, self.batch_id, **places))


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

        Blocks of the very first slot are confirmed at once; later ones after some more
        sightings. Events carry the first slot that showed them.

        Raises:
            TrackingError: the result is of another bay, or of a slot not after the state's.
        """
        self._refuse_what_does_not_follow(fusion_result)
        blocks = sorted(fusion_result.blocks, key=_order)
        ignored = [not self._is_tracked(block.area) for block in blocks]
        known = [track for track in self.state.tracks if track.status is not TrackStatus.EXITED]
        pairs = match_standing(known, blocks, ignored, self.parameters)
        unseen = self._unseen(known, pairs, fusion_result)
        slot = _Slot(fusion_result.slot, fusion_result.batch_id, self._learned(known, blocks, pairs, unseen))

        seen = shapely.STRtree([block.footprint for block in blocks])
        tracks = [
            self._seen(track, blocks[pairs[index]], slot)
            if index in pairs
            else self._not_seen(track, slot.time, unseen=index in unseen, displaced=self._is_displaced(track, seen))
            for index, track in enumerate(known)
        ]
        tracks += [replace(track, misses=track.misses + 1) for track in self.state.tracks if track not in known]
        tracks = [track for track in tracks if not self._is_forgotten(track)]
        fresh = self._fresh(blocks, ignored, pairs)
        tracks += [self._start(block, slot, number) for number, block in enumerate(fresh, self.state.next_number)]

        tracks, held = self._moved(tracks, slot)
        tracks, returned = self._returned(tracks, held, slot)
        tracks = [self._decide(track, tracks, held, returned, slot) for track in tracks]
        return self._result(slot, tracks, held, self.state.next_number + len(fresh))

    # -- one track, one slot ---------------------------------------------------------------

    def _start(self, block: FusedBlock, slot: _Slot, number: int) -> Track:
        outline = outline_of(block, self.parameters)
        return Track(
            track_id=f"{self.bay.bay_id}-{number:06d}",
            status=TrackStatus.TENTATIVE,
            class_name=block.class_name,
            footprint=outline.footprint,
            height_m=outline.height_m,
            area=block.area or "",  # a block outside of every area is ignored before it comes here
            stage=block.stage,
            confidence=float(block.confidence),
            position_std_m=outline.std_m,
            cameras=tuple(block.cameras),
            first_seen=slot.time,
            standing_since=slot.time,
            last_seen=slot.time,
            stage_readings=int(block.stage is not None),
            work=dict(block.work),
            working=bool(block.working),
        )

    def _seen(self, track: Track, block: FusedBlock, slot: _Slot) -> Track:
        time = slot.time
        area = block.area if self._is_tracked(block.area) else None
        stage = track.stage or block.stage
        # A confidence of 0 is one that fusion did not tell.
        weight = float(block.stage_confidence) or 1.0
        seen = replace(
            track,
            status=TrackStatus.PRESENT if track.on_floor else TrackStatus.TENTATIVE,
            stage=stage,
            class_streaks=evidence.vote(track.class_streaks, track.class_name, block.class_name, 1.0, time),
            area_streaks=evidence.vote(track.area_streaks, track.area, area, 1.0, time),
            stage_streaks=evidence.vote(track.stage_streaks, stage, block.stage, weight, time),
            work_streaks=evidence.vote(track.work_streaks, _reading(track.working), _reading(block.working), 1.0, time),
            stage_readings=track.stage_readings + int(block.stage is not None and block.stage == stage),
            confidence=float(block.confidence),
            cameras=tuple(block.cameras),
            last_seen=time,
            work=dict(block.work),
            hits=track.hits + 1,
        )
        seen = self._with_believed_place(self._with_outline(seen, outline_of(block, self.parameters), slot))
        if seen.reshaped is not None and track.misses:
            return replace(seen, status=track.status)  # it may be something else: the block is still missed
        return replace(seen, gaps=track.gaps + int(track.misses > 0), misses=0, missed_since=None)

    def _with_outline(self, track: Track, measured: Outline, slot: _Slot) -> Track:
        """The track after one more measurement: smoothed, or shifted once two measurements agree that it was."""
        known = Outline(track.footprint, track.height_m, track.position_std_m)
        if agree(known, measured, self.parameters):
            return _outlined(replace(track, reshaped=None), smooth(known, measured, self.parameters))
        other = track.reshaped
        if other is None or not agree(other.outline, measured, self.parameters):
            return replace(track, reshaped=Shape(measured, slot.time))
        other = Shape(smooth(other.outline, measured, self.parameters), other.since, other.count + 1)
        if other.count < self.parameters.confirm_slots:
            return replace(track, reshaped=other)
        after = _outlined(replace(track, reshaped=None, former=Shape(known, other.since)), other.outline)
        distance = known.footprint.centroid.distance(other.outline.footprint.centroid)
        if track.on_floor and distance >= self.parameters.move_m and same_shape(track, after, self.parameters):
            after = replace(after, standing_since=other.since)
            slot.tell(EventKind.MOVED, after, other.since, **_places(track, after))
        return after

    def _with_believed_place(self, track: Track) -> Track:
        """With class and area as often read, which raises no event."""
        of_class = evidence.strongest(track.class_streaks, self.parameters.reading_slots)
        if of_class is not None:
            track = replace(track, class_name=of_class.value, class_streaks=())
        of_area = evidence.strongest(track.area_streaks, self.parameters.reading_slots)
        if of_area is not None:
            track = replace(track, area=of_area.value, area_streaks=())
        return track

    def _not_seen(self, track: Track, time: datetime, *, unseen: bool, displaced: bool) -> Track:
        if unseen and not displaced:
            return replace(track, status=TrackStatus.UNOBSERVED) if track.on_floor else track
        return replace(
            track,
            status=TrackStatus.MISSED if track.on_floor else track.status,
            misses=track.misses + (_DISPLACED if displaced else 1),
            missed_since=track.missed_since or time,
        )

    def _is_displaced(self, track: Track, seen: shapely.STRtree) -> bool:
        """Whether what was seen on a track's floor is not it, so that it has most likely left."""
        others = seen.geometries.take(seen.query(track.footprint))
        return any(cover(track.footprint, other) > self.parameters.max_shared_floor for other in others)

    def _unseen(self, known: Sequence[Track], pairs: Mapping[int, int], result: FusionResult) -> set[int]:
        """Of the tracks that were not found, those at whose floor too few looked for that to mean something."""
        failed = set(result.missing_cameras)
        if result.cameras:
            failed |= {camera.name for camera in self.bay.fusion_cameras} - set(result.cameras)
        unseen = set()
        for index, track in enumerate(known):
            if index in pairs:
                continue
            saw = set(track.cameras)
            blind = len(saw - failed) < min(self.parameters.witnesses, len(saw))
            dark = track.footprint.intersection(result.unseen).area
            if blind or dark > self.parameters.unseen_share * track.footprint.area:
                unseen.add(index)
        return unseen

    # -- all tracks, one slot --------------------------------------------------------------

    def _fresh(
        self, blocks: Sequence[FusedBlock], ignored: Sequence[bool], pairs: Mapping[int, int]
    ) -> list[FusedBlock]:
        """The blocks that stand where none was known. No two blocks stand on one floor."""
        taken = set(pairs.values())
        standing = shapely.STRtree([blocks[index].footprint for index in sorted(taken)])
        fresh = []
        for index, block in enumerate(blocks):
            if index in taken or ignored[index]:
                continue
            others = standing.geometries.take(standing.query(block.footprint))
            if all(cover(other, block.footprint) <= self.parameters.max_shared_floor for other in others):
                fresh.append(block)
        return fresh

    def _moved(self, tracks: Sequence[Track], slot: _Slot) -> tuple[list[Track], dict[str, str]]:
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
            # A block that was merely missed for a while must not become one that looks like it.
            needed = evidence.empty_slots(before, slot.rates, self.parameters) - 2
            if after.hits < self.parameters.confirm_slots or before.misses < needed:
                held[before.track_id] = after.track_id
                continue
            taken.add(after.track_id)
            joined = moved[before.track_id] = _joined(before, after)
            slot.tell(EventKind.MOVED, joined, after.standing_since, **_places(before, joined))
        return [moved.get(track.track_id, track) for track in tracks if track.track_id not in taken], held

    def _returned(
        self, tracks: Sequence[Track], held: Mapping[str, str], slot: _Slot
    ) -> tuple[list[Track], dict[str, Track]]:
        """Join tentative tracks that are seen often enough with blocks that were away, or out of everybody's sight.

        Returns:
            The tracks, and those that exited and are back, as they left, by id.
        """
        enough = evidence.sightings(slot.rates, self.parameters)
        absent = [track for track in tracks if track.status in (TrackStatus.EXITED, TrackStatus.UNOBSERVED)]
        found = [
            track
            for track in tracks
            if track.status is TrackStatus.TENTATIVE and track.hits >= enough and track.track_id not in held.values()
        ]
        joined: dict[str, Track] = {}
        taken: set[str] = set()
        returned: dict[str, Track] = {}
        for row, column in match_returns(absent, found, self.parameters).items():
            before, after = absent[row], found[column]
            taken.add(after.track_id)
            track = joined[before.track_id] = _joined(before, after)
            if before.status is TrackStatus.EXITED:
                joined[before.track_id] = replace(
                    track, status=TrackStatus.TENTATIVE, working=after.working, work_streaks=after.work_streaks
                )
                returned[before.track_id] = before
            else:
                slot.tell(EventKind.MOVED, track, after.standing_since, **_places(before, track))
        return [joined.get(track.track_id, track) for track in tracks if track.track_id not in taken], returned

    def _decide(
        self,
        track: Track,
        tracks: Sequence[Track],
        held: Mapping[str, str],
        returned: Mapping[str, Track],
        slot: _Slot,
    ) -> Track:
        """Confirm a new track, let a track leave, or believe its new stage and work."""
        if track.status is TrackStatus.TENTATIVE:
            first = self.state.slot is None
            if track.track_id in held.values() or not (
                first or track.track_id in returned or track.hits >= evidence.sightings(slot.rates, self.parameters)
            ):
                return track
            return self._appeared(track, tracks, slot)
        if track.status is TrackStatus.MISSED and track.track_id not in held:
            if track.misses >= evidence.empty_slots(track, slot.rates, self.parameters):
                return self._gone(track, tracks, slot)
            return track
        return self._with_believed_work(self._with_believed_stage(track, slot), slot) if track.on_floor else track

    def _appeared(self, track: Track, tracks: Sequence[Track], slot: _Slot) -> Track:
        since = self._appeared_at(track, slot)
        source = next((other for other in tracks if self._came_out_of(track, other)), None)
        if source is not None:
            slot.tell(
                EventKind.SPLIT,
                source,
                since,
                from_area=source.area,
                to_area=track.area,
                others=(track.track_id,),
            )
        else:
            slot.tell(EventKind.APPEARED, track, since, to_area=track.area, to_stage=track.stage)
        return replace(track, status=TrackStatus.PRESENT)

    def _appeared_at(self, track: Track, slot: _Slot) -> datetime:
        """Since when a new track stands: where misses are many, what the second slot showed stood in the first."""
        began = self.state.began
        from_the_start = began[1:] == (track.standing_since,) and evidence.many_missed(slot.rates, self.parameters)
        return began[0] if from_the_start else track.standing_since

    def _gone(self, track: Track, tracks: Sequence[Track], slot: _Slot) -> Track:
        since = track.missed_since or slot.time
        host = next((other for other in tracks if self._went_into(track, other)), None)
        left = {"from_area": track.area, "from_stage": track.stage}
        if host is not None:
            slot.tell(EventKind.MERGED, host, since, from_area=track.area, to_area=host.area, others=(track.track_id,))
        elif track.hits < self.parameters.confirm_slots and evidence.many_false(slot.rates, self.parameters):
            slot.tell(EventKind.DISMISSED, track, since, **left)
        else:
            slot.tell(EventKind.EXITED, track, since, **left)
        return replace(track, status=TrackStatus.EXITED)

    def _went_into(self, track: Track, other: Track) -> bool:
        """Whether a block that is gone is part of another now: joined to its side, or set upon it."""
        if other.track_id == track.track_id or not other.on_floor or other.misses or other.former is None:
            return False
        if not self._together(other.former.since, track.missed_since):
            return False
        if cover(other.footprint, track.footprint) >= self.parameters.covered_share:
            return True
        return self._stacked(other.height_m - other.former.outline.height_m, track, other)

    def _came_out_of(self, track: Track, other: Track) -> bool:
        """Whether a new block was part of another until now: parted from it, or lifted off it."""
        if other.track_id == track.track_id or not other.on_floor:
            return False
        change = other.former
        if other.reshaped is not None:  # seen in its new shape, which is not believed yet
            change = Shape(Outline(other.footprint, other.height_m, other.position_std_m), other.reshaped.since)
        if change is None or not self._together(change.since, track.standing_since):
            return False
        if cover(change.outline.footprint, track.footprint) >= self.parameters.covered_share:
            return True
        now = other.reshaped.outline.height_m if other.reshaped is not None else other.height_m
        return self._stacked(change.outline.height_m - now, track, other)

    def _stacked(self, rise_m: float, track: Track, other: Track) -> bool:
        """Whether a block as high as that rise, and no larger than the other, may lie upon it."""
        allowed = self.parameters.jump_height_m + self.parameters.jump_height_share * track.height_m
        fits = track.footprint.area <= self.parameters.jump_side_ratio * other.footprint.area
        # A change within what measurements differ by is none.
        return fits and rise_m > self.parameters.jump_height_m and abs(rise_m - track.height_m) <= allowed

    def _together(self, first: datetime, second: datetime | None) -> bool:
        return second is not None and abs(first - second) <= timedelta(minutes=self.parameters.together_minutes)

    def _with_believed_stage(self, track: Track, slot: _Slot) -> Track:
        needed = evidence.stage_readings(slot.rates, self.parameters)
        proven = track.stage_readings >= self.parameters.confirm_slots
        if not proven:
            needed += self.parameters.confirm_slots
        streak = evidence.strongest(track.stage_streaks, needed, self.parameters.reading_weight)
        if streak is None:
            return track
        # What was read but once may have been a misreading to begin with: nothing has changed then.
        if proven or not evidence.many_misread(slot.rates, self.parameters):
            slot.tell(
                EventKind.STAGE_CHANGED,
                track,
                streak.since,
                from_area=track.area,
                to_area=track.area,
                from_stage=track.stage,
                to_stage=streak.value,
            )
        return replace(track, stage=streak.value, stage_streaks=(), stage_readings=streak.count)

    def _with_believed_work(self, track: Track, slot: _Slot) -> Track:
        streak = evidence.strongest(track.work_streaks, self.parameters.work_slots)
        if streak is None:
            return track
        working = streak.value == _WORK
        kind = EventKind.WORK_STARTED if working else EventKind.WORK_STOPPED
        slot.tell(kind, track, streak.since, **_places(track, track))
        return replace(track, working=working, work_streaks=())

    # -- what counts -----------------------------------------------------------------------

    def _learned(
        self, known: Sequence[Track], blocks: Sequence[FusedBlock], pairs: Mapping[int, int], unseen: Container[int]
    ) -> Rates:
        """How often the cameras were wrong, with what this slot proves to have been wrong before it."""
        found = {index: blocks[pair] for index, pair in pairs.items() if known[index].on_floor}
        read = [(known[index], block) for index, block in found.items() if block.stage and known[index].stage]
        given_up = sum(
            track.status is TrackStatus.TENTATIVE and self._is_forgotten(replace(track, misses=track.misses + 1))
            for index, track in enumerate(known)
            if index not in pairs and index not in unseen
        )
        return evidence.learned(
            self.state.rates,
            missed=(sum(known[index].misses > 0 for index in found), len(found)),
            misread=(
                sum(bool(track.stage_streaks) and block.stage == track.stage for track, block in read),
                len(read),
            ),
            false=given_up,
        )

    def _refuse_what_does_not_follow(self, result: FusionResult) -> None:
        if result.bay_id != self.bay.bay_id:
            raise TrackingError(f"batch {result.batch_id} is of bay {result.bay_id}, the tracker of {self.bay.bay_id}")
        if self.state.slot is not None and result.slot <= self.state.slot:
            raise TrackingError(
                f"batch {result.batch_id} is not after the state's slot {self.state.slot:%Y-%m-%d %H:%M:%S} UTC:"
                " replay it, and all batches after it, from the state before it "
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

    def _is_forgotten(self, track: Track) -> bool:
        """Whether a track that is not there was never confirmed, or exited too long ago to come back."""
        if track.status is TrackStatus.EXITED:
            return track.misses > self.parameters.exit_slots + self.parameters.remember_slots
        patience = evidence.patience(self.state.rates, self.parameters)
        return track.status is TrackStatus.TENTATIVE and track.misses >= patience

    def _result(self, slot: _Slot, tracks: Iterable[Track], held: dict[str, str], next_number: int) -> TrackingResult:
        shared: dict[Hashable, Hashable] = {}
        decided = {track.track_id: _sharing(track, shared) for track in tracks}
        gone = {name for event in slot.events for name in (event.track_id, *event.others)}
        shown = [
            _shown_moved(track, decided[held[track_id]]) if track_id in held else track
            for track_id, track in decided.items()
            if track_id not in held.values() and (track.status is not TrackStatus.EXITED or track_id in gone)
        ]
        return TrackingResult(
            batch_id=_one(slot.batch_id, shared),
            bay_id=_one(self.bay.bay_id, shared),
            tracks=tuple(sorted(shown, key=_by_id)),
            events=tuple(
                _sharing(event, shared)
                for event in sorted(slot.events, key=lambda event: (event.time, event.track_id, event.kind))
            ),
            state=TrackerState(
                _one(self.bay.bay_id, shared),
                _one(slot.time, shared),
                tuple(sorted(decided.values(), key=_by_id)),
                next_number,
                slot.rates,
                tuple(_one(time, shared) for time in (*self.state.began, slot.time)[:2]),
            ),
        )


def _order(block: FusedBlock) -> tuple[float, ...]:
    """Blocks are taken by place, so that the order in which they come does not matter."""
    centre = block.footprint.centroid
    return (centre.x, centre.y, block.footprint.area, block.height_m, block.confidence)


def _by_id(track: Track) -> str:
    return track.track_id


def _outlined(track: Track, outline: Outline) -> Track:
    return replace(track, footprint=outline.footprint, height_m=outline.height_m, position_std_m=float(outline.std_m))


def _places(before: Track, after: Track) -> dict[str, str | None]:
    return {
        "from_area": before.area,
        "to_area": after.area,
        "from_stage": before.stage,
        "to_stage": before.stage,
    }


def _joined(before: Track, after: Track) -> Track:
    """The track that moved: the identity of `before`, all that was seen since of `after`.

    Its stage stays until the readings at the new place are believed, like any other, and so does its work.
    """
    work = after.work_streaks
    if after.working != before.working:
        work = (Streak(_reading(after.working), after.hits, float(after.hits), after.standing_since),)
    stage, streaks = before.stage or after.stage, after.stage_streaks
    if after.stage is not None and after.stage != stage:
        doubt = next((streak for streak in before.stage_streaks if streak.value == after.stage), None)
        count, since = (doubt.count, doubt.since) if doubt else (0, after.standing_since)
        count += after.stage_readings
        streaks = (Streak(after.stage, count, float(count), since),)
    return replace(
        after,
        track_id=before.track_id,
        status=TrackStatus.PRESENT,
        class_name=before.class_name,
        stage=stage,
        stage_streaks=streaks,
        stage_readings=max(before.stage_readings, after.stage_readings),
        working=before.working,
        work_streaks=work,
        first_seen=before.first_seen,
        hits=before.hits + after.hits,
        gaps=before.gaps + after.gaps,
    )


def _reading(work: object) -> str:
    return _WORK if work else _REST


def _shown_moved(before: Track, after: Track) -> Track:
    return replace(_joined(before, after), status=TrackStatus.MOVED)


def _sharing(item: _Item, shared: dict[Hashable, Hashable]) -> _Item:
    """The same track or event, its texts and times being one object each where they are equal.

    A pickle tells equal objects from identical ones. With this, the artifact of a slot
    has the same bytes whether the state came from memory or from the slot before's file.
    """
    changes: dict[str, Any] = {}
    for name, value in vars(item).items():
        match value:
            case TrackStatus() | EventKind():
                continue
            case str() | datetime():
                changes[name] = _one(value, shared)
            case Shape():
                changes[name] = _sharing(value, shared)
            case tuple():
                changes[name] = tuple(
                    _sharing(part, shared) if isinstance(part, Streak) else _one(part, shared) for part in value
                )
            case dict():
                changes[name] = {_one(key, shared): value[key] for key in sorted(value)}
    return replace(item, **changes)


def _one(value: _Value, shared: dict[Hashable, Hashable]) -> _Value:
    return cast(_Value, shared.setdefault(value, value))
