"""The tracker: which block is which, and what happened to it since the last slot.

There is no motion model: blocks stand for hours and are lifted by crane between two slots.
Each slot takes four steps:

1. Association: sightings are paired with the tracks at whose place they lie.
2. Doubt: where the latest sightings may be another block's, they are cut off, into a
   tentative track (`tracking.doubt`). What lies at no track's place starts one as well.
3. Explanation: tracks that are gone from their place and tentative tracks are weighed
   against each other, all together (`tracking.explanation`, by the terms of `tracking.model`).
4. Decision: what is certain, by probability and by the number of slots, becomes an event:
   confirmation, move, return, deletion. What is not is decided in one of the next slots.

Floor that no working camera saw proves nothing: a track there stays, marked unobserved.
Events carry the first slot that showed them, and the one before it that did not: time that
passed while the bay was closed is time in which it may have happened. A floor plan that
cannot be right is not believed at all (`tracking.plausibility`).

Limits: two blocks that cannot be told apart by size, height, class, stage and looks, and
that change places between two slots, keep the identity of the place. A block that goes to an
area that tracking ignores (turn-over, aisle, outside of every area) exits; when it is seen
again it appears, as itself where it is known again.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import shapely

from bay_observation.errors import TrackingError
from bays import BayConfig
from fusion.types import FusedBlock, FusionResult
from tracking import evidence
from tracking.captures import Captures, time_of_frames
from tracking.doubt import doubted
from tracking.evidence import Lesson
from tracking.forms import Forms, forms_of, known_forms, sightings_of, with_sighting
from tracking.hypotheses import Claim, Hypotheses, weigh
from tracking.joining import joined, merged_into, places_of, set_apart
from tracking.matching import cover, match_places
from tracking.model import Model
from tracking.outline import Outline, outline_of, smooth
from tracking.parameters import TrackerParameters
from tracking.plausibility import implausible
from tracking.pose_drift import with_pose_drift
from tracking.stopovers import stopover
from tracking.types import (
    EventKind,
    Rates,
    Sighting,
    Streak,
    Track,
    TrackerState,
    TrackEvent,
    TrackingResult,
    TrackStatus,
    changed,
)

_RATHER = 0.8  # probability of an identity below which it is not taken, though it is the likeliest
_DISPLACED = 4  # misses that another sighting on the floor of a tentative track counts for


@dataclass
class _Slot:
    """What is being worked out about one slot."""

    time: datetime
    batch_id: str
    model: Model
    hours: float
    events: list[TrackEvent] = field(default_factory=list)
    left: int = 0
    came: int = 0
    found: list[Track] = field(default_factory=list)  # tracks before the slot that it showed at their place
    false: list[Track] = field(default_factory=list)  # tracks that turned out to be false detections

    def hours_before(self, streak: Streak) -> float:
        """Time within which what is read otherwise since must have changed."""
        return self.model.hours(streak.after or streak.since, streak.since)

    def report(self, kind: EventKind, track: Track, time: datetime, **details: Any) -> None:
        captured_at = self.model.captures.of(time)
        self.events.append(TrackEvent(kind, track.track_id, time, self.batch_id, captured_at=captured_at, **details))


class Tracker:
    """Follows one bay from one state. Pure: the same state and input give the same result.

    A tracker is of one slot: the next one goes on from `TrackingResult.state`. `tracking.track` follows many.

    Args:
        bay: its areas decide which blocks are tracked.
        state: what the slot before left; None at the bay's very beginning.
        parameters: priors, limits and patience; the bay's own (`BayConfig.tracking`) when None.

    Raises:
        TrackingError: the state belongs to another bay.
    """

    def __init__(
        self, bay: BayConfig, state: TrackerState | None = None, parameters: TrackerParameters | None = None
    ) -> None:
        self.bay = bay
        self.state = state if state is not None else TrackerState(bay.bay_id)
        self.parameters = parameters if parameters is not None else bay.tracking
        self._batch_id: str | None = None
        if self.state.bay_id != bay.bay_id:
            raise TrackingError(f"the state is of bay {self.state.bay_id}, the tracker of bay {bay.bay_id}")

    def update(self, fusion_result: FusionResult) -> TrackingResult:
        """Follow the blocks into the next slot. The state does not change.

        Blocks of the very first slot are confirmed at once, as `initial`: when they came is not known.

        Raises:
            TrackingError: the result is of another bay, or of a slot not after the state's; or this tracker
                has followed another batch already, of which its state knows nothing.
        """
        self._refuse_what_does_not_follow(fusion_result)
        self._batch_id = fusion_result.batch_id
        return with_pose_drift(self._followed(fusion_result), self.state.drift, fusion_result)

    def _followed(self, fusion_result: FusionResult) -> TrackingResult:
        blocks = sorted(fusion_result.blocks, key=_order)
        ignored = [not self._is_tracked(block.area) for block in blocks]
        slot = self._slot(fusion_result)
        sightings = sightings_of(blocks, slot.time, self.parameters)
        seen = forms_of(sightings)
        known = [track for track in self.state.tracks if track.status is not TrackStatus.EXITED]
        forms = known_forms(known)

        least = np.where(ignored, self.parameters.ignored_overlap, self.parameters.min_overlap)
        outlines = [block.footprint for block in blocks]
        pairs = match_places(
            known, forms, outlines, seen, sightings=sightings, least=least, hours=slot.hours, model=slot.model
        )
        unseen = self._unseen(known, pairs, fusion_result)
        doubt = implausible(known, pairs, unseen, forms=(forms, seen), hours=slot.hours, model=slot.model)
        if doubt and not self._is_doubted_too_long(slot.time):
            return self._held(slot, doubt)

        tracks, number = self._associated(
            known, pairs, blocks, sightings, forms=(forms, seen), unseen=unseen, slot=slot
        )
        kept = [track for track in tracks if not self._is_forgotten(track, slot)]
        dropped = [track for track in tracks if track.status is TrackStatus.TENTATIVE and track not in kept]
        given_up = [track for track in dropped if track.doubts is None]
        exited = [
            changed(track, misses=track.misses + 1) for track in self.state.tracks if track.status is TrackStatus.EXITED
        ]
        fresh = self._fresh(blocks, ignored, pairs)
        started = [self._start(blocks[index], sightings[index], slot, number + n) for n, index in enumerate(fresh)]
        kept += [track for track in exited if not self._is_forgotten(track, slot)]
        if self.state.slot is None:
            for track in started:
                slot.report(EventKind.INITIAL, track, slot.time, to_area=track.area, to_stage=track.stage)
        tracks, hypotheses = self._decided([*kept, *started], slot)
        lesson = self._lesson([*given_up, *slot.false], tracks, slot)
        rates = evidence.learned(slot.model.rates, lesson)
        return self._result(slot, tracks, hypotheses, number + len(fresh), rates)

    # -- association -----------------------------------------------------------------------

    def _associated(
        self,
        known: Sequence[Track],
        pairs: Mapping[int, int],
        blocks: Sequence[FusedBlock],
        sightings: Sequence[Sighting],
        *,
        forms: tuple[Forms, Forms],
        unseen: set[int],
        slot: _Slot,
    ) -> tuple[list[Track], int]:
        """The known tracks with what was seen at their places, and those that were cut off; the next number."""
        floor = shapely.STRtree([block.footprint for block in blocks])
        seen = {index: with_sighting(known[index], sightings[pair], self.parameters) for index, pair in pairs.items()}
        absent = [track for index, track in enumerate(known) if index not in pairs and track.on_floor]
        order = list(seen)
        in_doubt = doubted([seen[index] for index in order], absent, slot.hours, slot.model)
        cut = {order[position]: count for position, count in in_doubt.items()}
        found = [index for index in order if index not in cut and known[index].status is not TrackStatus.TENTATIVE]
        slot.found += [known[index] for index in found]
        standing = [index for index in found if known[index].on_floor]
        self._calibrate(slot, forms[0].take(standing), forms[1].take([pairs[index] for index in standing]))
        smoothed = self._smoothed(known, {index: pairs[index] for index in order if index not in cut}, blocks)
        tracks, number = [], self.state.next_number
        for index, track in enumerate(known):
            if index in cut:
                tracks += self._cut(seen[index], cut[index], blocks[pairs[index]], slot, number)
                number += 1
            elif index in pairs:
                tracks.append(self._seen(_outlined(seen[index], smoothed[index]), track, blocks[pairs[index]], slot))
            else:
                displaced = self._is_displaced(track, floor)
                tracks.append(self._not_seen(track, slot.time, unseen=index in unseen, displaced=displaced))
        return tracks, number

    def _smoothed(
        self, known: Sequence[Track], pairs: Mapping[int, int], blocks: Sequence[FusedBlock]
    ) -> dict[int, Outline]:
        before = [known[index] for index in pairs]
        outlines = smooth(
            [Outline(track.footprint, track.height_m, track.position_std_m) for track in before],
            [outline_of(blocks[pair], self.parameters) for pair in pairs.values()],
            self.parameters,
        )
        return dict(zip(pairs, outlines, strict=True))

    def _calibrate(self, slot: _Slot, known: Forms, seen: Forms) -> None:
        rows = np.flatnonzero(known.count > 1)
        slot.model.rates = evidence.calibrated(slot.model.rates, known.take(rows), seen.take(rows))

    def _start(self, block: FusedBlock, sighting: Sighting, slot: _Slot, number: int) -> Track:
        outline = outline_of(block, self.parameters)
        first = self.state.slot is None
        return Track(
            track_id=f"{self.bay.bay_id}-{number:06d}",
            status=TrackStatus.PRESENT if first else TrackStatus.TENTATIVE,
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
            working=block.working,
            recent=(sighting,),
            initial=first,
            not_before=self.state.believed,
        )

    def _seen(self, track: Track, before: Track, block: FusedBlock, slot: _Slot) -> Track:
        time = slot.time
        area = block.area if self._is_tracked(block.area) else None
        stage = track.stage or block.stage
        working = block.working if track.working is None else track.working
        # A confidence of 0 is one that fusion did not give.
        weight = float(block.stage_confidence) or 1.0
        seen = changed(
            track,
            status=TrackStatus.TENTATIVE if track.status is TrackStatus.TENTATIVE else TrackStatus.PRESENT,
            stage=stage,
            class_streaks=evidence.vote(track.class_streaks, track.class_name, block.class_name, 1.0, time),
            area_streaks=evidence.vote(track.area_streaks, track.area, area, 1.0, time),
            stage_streaks=evidence.vote(track.stage_streaks, stage, block.stage, weight, time, after=track.last_seen),
            work_streaks=evidence.vote(
                track.work_streaks,
                evidence.reading(working),
                evidence.reading(block.working),
                1.0,
                time,
                after=track.last_seen,
            ),
            working=working,
            stage_readings=track.stage_readings + int(block.stage is not None and block.stage == stage),
            confidence=float(block.confidence),
            cameras=tuple(block.cameras),
            last_seen=time,
            work=dict(block.work),
            hits=track.hits + 1,
            gaps=track.gaps + int(before.misses > 0),
            missed_before=before.missed_since if before.misses else track.missed_before,
            misses=0,
            missed_since=None,
        )
        return self._with_believed_place(seen)

    def _with_believed_place(self, track: Track) -> Track:
        """With class and area as often read, which raises no event."""
        of_class = evidence.strongest(track.class_streaks, self.parameters.reading_slots)
        if of_class is not None:
            track = changed(track, class_name=of_class.value, class_streaks=())
        of_area = evidence.strongest(track.area_streaks, self.parameters.reading_slots)
        if of_area is not None:
            track = changed(track, area=of_area.value, area_streaks=())
        return track

    def _cut(self, track: Track, count: int, block: FusedBlock, slot: _Slot, number: int) -> list[Track]:
        """A track without its latest sightings, and a tentative one of these."""
        kept, doubtful = track.recent[:-count], track.recent[-count:]
        last_seen = kept[-1].slot
        since = doubtful[0].slot
        if track.misses:
            since = track.missed_since or since  # it was missed already in the slots before these
        elif track.missed_before is not None and last_seen < track.missed_before <= since:
            since = track.missed_before
        before = changed(
            track,
            recent=kept,
            last_seen=last_seen,
            hits=max(1, track.hits - count + 1),
            misses=track.misses + count,
            missed_since=since,
            status=track.status if track.status is TrackStatus.TENTATIVE else TrackStatus.MISSED,
            stage_streaks=evidence.without(track.stage_streaks, since, [one.stage for one in doubtful[:-1]]),
            work_streaks=evidence.without(
                track.work_streaks, since, [evidence.reading(one.working) for one in doubtful[:-1]]
            ),
        )
        after = self._start(block, doubtful[-1], slot, number)
        stage = evidence.majority(one.stage for one in doubtful)
        class_name = evidence.majority(one.class_name for one in doubtful)
        began = changed(
            after,
            class_name=class_name or block.class_name,
            stage=stage,
            stage_readings=sum(one.stage == stage for one in doubtful if stage is not None),
            first_seen=doubtful[0].slot,
            standing_since=doubtful[0].slot,
            hits=count,
            recent=doubtful,
            not_before=last_seen,
            doubts=track.track_id,
        )
        return [before, began]

    def _not_seen(self, track: Track, time: datetime, *, unseen: bool, displaced: bool) -> Track:
        if unseen and not displaced:
            return changed(track, status=TrackStatus.UNOBSERVED) if track.on_floor else track
        tentative = track.status is TrackStatus.TENTATIVE
        return changed(
            track,
            status=track.status if tentative else TrackStatus.MISSED,
            misses=track.misses + (_DISPLACED if displaced and tentative else 1),
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
            if blind or track.footprint.intersection(result.unseen).area > (
                self.parameters.unseen_share * track.footprint.area
            ):
                unseen.add(index)
        return unseen

    def _fresh(self, blocks: Sequence[FusedBlock], ignored: Sequence[bool], pairs: Mapping[int, int]) -> list[int]:
        """The blocks that lie at no track's place. No two blocks stand on one floor."""
        taken = set(pairs.values())
        standing = shapely.STRtree([blocks[index].footprint for index in sorted(taken)])
        fresh = []
        for index, block in enumerate(blocks):
            if index in taken or ignored[index]:
                continue
            others = standing.geometries.take(standing.query(block.footprint))
            if all(cover(other, block.footprint) <= self.parameters.max_shared_floor for other in others):
                fresh.append(index)
        return fresh

    # -- decision --------------------------------------------------------------------------

    def _decided(self, tracks: Sequence[Track], slot: _Slot) -> tuple[list[Track], Hypotheses]:
        """What is certain becomes an event; the rest waits, with what is likeliest."""
        hypotheses = weigh(tracks, slot.time, self.state.began, slot.model)
        after = {track.track_id: track for track in tracks}
        for begin in hypotheses.begins:
            self._decide_begin(after, begin, hypotheses, slot)
        for end in hypotheses.ends:
            self._decide_end(after, end, hypotheses, slot)
        result = [
            self._with_believed_work(self._with_believed_stage(track, slot), slot)
            if track.on_floor and track.last_seen == slot.time
            else track
            for track in after.values()
        ]
        return result, hypotheses

    def _decide_begin(self, after: dict[str, Track], begin: Track, hypotheses: Hypotheses, slot: _Slot) -> None:
        if begin.track_id not in after:
            return  # a part of a block that another part goes on as
        overdue = begin.hits + begin.misses >= self.parameters.revise_slots
        claim = hypotheses.of_begin(begin)
        brief = begin.hits < self.parameters.confirm_slots and not overdue
        if brief and not self._is_still_there(begin, claim) and not self._was_lifted_on(begin, claim):
            return
        if begin.hits >= self.parameters.confirm_slots and self._merge(after, begin, hypotheses, slot):
            return
        absent = claim.track is not None and claim.track.status is TrackStatus.EXITED
        if absent and claim.probability < _RATHER:
            claim = hypotheses.as_new(begin)  # no identity is better than one that is hardly likelier than another
        # Whether there is a block at all, where it is left open which one it is.
        certainty = (
            1 - dict(claim.alternatives).get("false", 0.0) if absent and claim.track is None else claim.probability
        )
        source = self._source(after, begin, hypotheses, slot) if claim.what == "new" else None
        needed = self.parameters.certain_new if claim.track is None and source is None else self.parameters.certain
        if overdue and claim.what == "new":  # which block it is stays open no longer; whether it is one at all does
            certainty, needed = 1 - dict(claim.alternatives).get("false", 0.0), self.parameters.certain
        elif overdue:
            needed = 0.0
        if certainty < needed:
            return
        if claim.track is not None and claim.track.track_id in after:
            self._continue(after, after[claim.track.track_id], begin, claim, slot)
        elif claim.what == "new" and begin.hits >= self.parameters.confirm_slots:
            self._appear(after, begin, claim, source, slot)

    def _source(
        self, after: Mapping[str, Track], begin: Track, hypotheses: Hypotheses, slot: _Slot
    ) -> tuple[Track, Track] | None:
        """The block that a new one was a part of until now, and the track in which its other part goes on."""
        gone = [after[end.track_id] for end in hypotheses.ends if end.track_id in after]
        present = [track for track in after.values() if track.track_id != begin.track_id]
        return set_apart(begin, gone, present, slot.model, lifted=hypotheses.lifted())

    def _was_lifted_on(self, begin: Track, claim: Claim) -> bool:
        """Whether a track was most certainly there for a single sighting, and is there no longer.

        On its own former floor it may have been measured badly instead.
        """
        if claim.what != "moves" or claim.track is None or claim.track.track_id == begin.doubts:
            return False
        gone = begin.misses > 0 and claim.track.status is not TrackStatus.EXITED
        return gone and claim.probability >= self.parameters.certain_new

    def _is_still_there(self, begin: Track, claim: Claim) -> bool:
        """Whether a track that was doubted is most likely where it was.

        A single sighting beside it may have been measured badly, and would take the place of all others.
        """
        if claim.track is None or claim.track.track_id != begin.doubts or claim.what != "stands":
            return False
        limit = self.parameters.same_height_m + self.parameters.same_height_share * begin.height_m
        as_high = abs(claim.track.height_m - begin.height_m) <= limit
        return as_high and not self._has_moved(claim.track, begin)

    def _continue(self, after: dict[str, Track], before: Track, begin: Track, claim: Claim, slot: _Slot) -> None:
        """A track that was gone from its place goes on in a tentative one."""
        same_place = claim.what == "stands"
        track = joined(before, begin, self.parameters, same_place=same_place, bad_view=claim.what == "bad view")
        track = changed(track, probability=_probability(before, claim))
        if begin.misses:
            track = changed(track, status=TrackStatus.MISSED)
        del after[begin.track_id]
        after[before.track_id] = track
        said = {"after": before.last_seen, **claim.said()}
        if before.status is TrackStatus.EXITED:
            kind = EventKind.CORRECTED if same_place else EventKind.APPEARED
            if kind is EventKind.APPEARED:
                said["after"] = begin.not_before
                slot.came += 1
                slot.report(kind, track, begin.standing_since, to_area=track.area, to_stage=track.stage, **said)
            else:
                slot.found.append(changed(before, misses=before.misses - begin.hits))
                after[before.track_id] = self._as_if_it_stood(track, before)
                slot.report(kind, track, before.missed_since or slot.time, to_area=track.area, **said)
        elif claim.away and claim.what == "moves" and self._has_moved(before, begin):
            slot.left += 1
            slot.came += 1
            gone = before.missed_since or begin.standing_since
            slot.report(EventKind.EXITED, before, gone, from_area=before.area, from_stage=before.stage, **said)
            said["after"] = begin.not_before
            came = {"to_area": track.area, "to_stage": track.stage}
            slot.report(EventKind.APPEARED, track, begin.standing_since, **came, **said)
        elif not same_place and claim.what != "bad view" and self._has_moved(before, begin):
            slot.left += 1
            via = stopover(begin, before, list(after.values()), slot.model)
            if via is not None:
                slot.report(EventKind.MOVED, track, via.standing_since, **places_of(before, via), **said)
                before, said["after"] = changed(before, area=via.area), via.last_seen
                del after[via.track_id]
            slot.report(EventKind.MOVED, track, begin.standing_since, **places_of(before, track), **said)
        else:
            after[before.track_id] = self._as_if_it_stood(track, before)

    def _as_if_it_stood(self, track: Track, before: Track) -> Track:
        return changed(track, standing_since=before.standing_since, not_before=before.not_before, former=before.former)

    def _has_moved(self, before: Track, begin: Track) -> bool:
        was, now = known_forms([before]), known_forms([begin])
        way = math.dist(was.values[0, :2], now.values[0, :2])
        turned = abs(math.sin(was.values[0, 5] - now.values[0, 5])) > math.sin(math.pi / 4)
        square = was.values[0, 2] < self.parameters.same_side_ratio * was.values[0, 3]
        return way >= self.parameters.move_m or (turned and not square)

    def _appear(
        self,
        after: dict[str, Track],
        begin: Track,
        claim: Claim,
        source: tuple[Track, Track] | None,
        slot: _Slot,
    ) -> None:
        if source is not None and source[1].track_id == begin.track_id:
            return  # the larger part, which goes on as the block once its other part is certain
        said = {"after": begin.not_before, **claim.said()}
        if source is not None:
            whole, rest = source
            if rest.track_id != whole.track_id:
                after[whole.track_id] = joined(
                    whole, rest, self.parameters, same_place=False, bad_view=False, reshaped=True
                )
                del after[rest.track_id]
            names = (begin.track_id,)
            slot.report(
                EventKind.SPLIT,
                whole,
                begin.standing_since,
                from_area=whole.area,
                to_area=begin.area,
                others=names,
                **said,
            )
        elif claim.initial:
            begin = changed(begin, initial=True)
            slot.report(
                EventKind.INITIAL,
                begin,
                self.state.began or slot.time,
                to_area=begin.area,
                to_stage=begin.stage,
                **claim.said(),
            )
        else:
            slot.came += 1
            first = stopover(begin, None, list(after.values()), slot.model) or begin
            said["after"] = first.not_before
            slot.report(
                EventKind.APPEARED, begin, first.standing_since, to_area=first.area, to_stage=first.stage, **said
            )
            if first is not begin:
                del after[first.track_id]
                moved = joined(first, begin, self.parameters, same_place=False)
                begin = changed(moved, track_id=begin.track_id)
                said["after"] = first.last_seen
                slot.report(EventKind.MOVED, begin, begin.standing_since, **places_of(first, begin), **said)
        after[begin.track_id] = changed(begin, status=TrackStatus.PRESENT, doubts=None, probability=1.0)

    def _merge(self, after: dict[str, Track], begin: Track, hypotheses: Hypotheses, slot: _Slot) -> bool:
        """Whether the tentative track is a block that took in another; then they are joined."""
        gone_on = {end for end, other, _ in hypotheses.likeliest() if other != begin.track_id}
        ends = [after[end.track_id] for end in hypotheses.ends if end.track_id in after and end.track_id not in gone_on]
        host, parts = merged_into(begin, ends, slot.model)
        lifted = hypotheses.lifted().get(begin.track_id)
        if host is None or lifted not in (None, host.track_id, *(part.track_id for part in parts)):
            return False
        after[host.track_id] = joined(host, begin, self.parameters, same_place=False, reshaped=True)
        del after[begin.track_id]
        for part in parts:
            after[part.track_id] = changed(part, status=TrackStatus.EXITED)
        slot.report(
            EventKind.MERGED,
            host,
            begin.standing_since,
            from_area=parts[0].area,
            to_area=begin.area,
            others=tuple(part.track_id for part in parts),
            after=host.last_seen,
        )
        return True

    def _decide_end(self, after: dict[str, Track], end: Track, hypotheses: Hypotheses, slot: _Slot) -> None:
        track = after.get(end.track_id)
        if track is None or track.status not in (TrackStatus.MISSED, TrackStatus.LEAVING):
            return
        claim = hypotheses.of_end(end)
        if claim.what != "exited":
            after[end.track_id] = changed(track, status=TrackStatus.MISSED)
            return
        if claim.probability < self.parameters.certain_gone or track.misses < self.parameters.exit_slots:
            after[end.track_id] = changed(track, status=TrackStatus.LEAVING)
            return
        since = track.missed_since or slot.time
        track = self._with_last_stage(track, slot)
        said = {
            "from_area": track.area,
            "from_stage": track.stage,
            "after": track.last_seen,
            **claim.said(),
        }
        if track.initial and track.hits < self.parameters.confirm_slots:
            slot.report(EventKind.DISMISSED, track, since, **said)
        else:
            slot.left += 1
            slot.report(EventKind.EXITED, track, since, **said)
            if self._never_was(track, slot):
                slot.false.append(track)
        after[end.track_id] = changed(track, status=TrackStatus.EXITED)

    def _never_was(self, track: Track, slot: _Slot) -> bool:
        """Whether a track that is gone was rather a false detection that stayed than a block that came and left."""
        if track.initial or track.former is not None or track.form is not None:
            return False
        hits = np.array([float(track.hits)])
        hours = np.array([slot.model.hours(track.standing_since, track.last_seen)])
        false = slot.model.false(hits) + slot.model.false_confidence([track])
        came = slot.model.comes(np.array([slot.hours])) + slot.model.exits(hours + slot.hours)
        return bool(false[0] > came[0])

    def _with_believed_stage(self, track: Track, slot: _Slot) -> Track:
        rates = slot.model.rates
        proven = track.stage_readings >= self.parameters.confirm_slots
        streak = evidence.strongest(track.stage_streaks, 1, self.parameters.reading_weight)
        if streak is None:
            return track
        needed = evidence.stage_readings(rates, self.parameters, slot.hours_before(streak))
        if not proven:
            needed += self.parameters.confirm_slots
        if streak.count < needed:
            return track
        order = self.parameters.stages
        back = track.stage in order and streak.value in order and order.index(streak.value) < order.index(track.stage)
        if back and proven and streak.count < 2 * needed:
            return track  # blocks go on, never back: it takes more to see that the believed one was wrong
        # What was read but once may have been a misreading to begin with: nothing has changed then.
        if not back and (proven or not evidence.many_misread(rates, self.parameters)):
            self._report_stage(track, streak, slot)
        return changed(track, stage=streak.value, stage_streaks=(), stage_readings=streak.count, paint={})

    def _with_last_stage(self, track: Track, slot: _Slot) -> Track:
        """A block that left, with the stage that it was last seen at, if that had but too few slots to be believed."""
        streak = evidence.strongest(track.stage_streaks, self.parameters.confirm_slots)
        order = self.parameters.stages
        if streak is None or track.stage not in order or streak.value not in order:
            return track
        if order.index(streak.value) < order.index(track.stage) or track.stage_readings < self.parameters.confirm_slots:
            return track
        hours = slot.model.hours(streak.since, track.last_seen) / max(streak.count - 1, 1)
        if not evidence.likely_last_stage(slot.model.rates, self.parameters, streak.count, hours):
            return track
        self._report_stage(track, streak, slot)
        return changed(track, stage=streak.value, stage_streaks=(), paint={})

    def _report_stage(self, track: Track, streak: Streak, slot: _Slot) -> None:
        slot.report(
            EventKind.STAGE_CHANGED,
            track,
            streak.since,
            **places_of(track, track) | {"from_stage": track.stage, "to_stage": streak.value},
        )

    def _with_believed_work(self, track: Track, slot: _Slot) -> Track:
        streak = evidence.strongest(track.work_streaks, 1)
        if streak is None:
            return track
        hours = slot.hours_before(streak)
        needed = evidence.work_readings(slot.model.rates, self.parameters, working=bool(track.working), hours=hours)
        if streak.count < needed:
            return track
        working = streak.value == evidence.WORK
        kind = EventKind.WORK_STARTED if working else EventKind.WORK_STOPPED
        slot.report(kind, track, streak.since, **places_of(track, track))
        return changed(track, working=working, work_streaks=())

    # -- what counts -----------------------------------------------------------------------

    def _slot(self, result: FusionResult) -> _Slot:
        floor = self.bay.layout.width * self.bay.layout.height
        taken = time_of_frames(result, self.bay)
        captures = Captures([*self.state.captures, *([(result.slot, taken)] if taken else [])])
        before = self.state.believed
        hours = 0.0 if before is None else captures.hours(before, result.slot)
        return _Slot(result.slot, result.batch_id, Model(self.state.rates, self.parameters, floor, captures), hours)

    def _lesson(self, given_up: Sequence[Track], tracks: Sequence[Track], slot: _Slot) -> Lesson:
        seen = [track for track in tracks if track.on_floor and track.last_seen == slot.time and track.recent]
        earlier = {track.track_id: track for track in self.state.tracks}
        pairs = [(earlier[track.track_id], track.recent[-1]) for track in seen if track.track_id in earlier]
        read = [(track, one.stage) for track, one in pairs if track.stage is not None and one.stage is not None]
        known = [(track, one) for track, one in pairs if None not in (track.working, one.working)]
        work = [(track, one) for track, one in known if track.working]
        rest = [(track, one) for track, one in known if not track.working]
        standing = sum(track.on_floor for track in self.state.tracks)
        return Lesson(
            found=slot.found,
            given_up=given_up,
            misread=(sum(bool(track.stage_streaks) and stage == track.stage for track, stage in read), len(read)),
            overlooked=(sum(bool(track.work_streaks) and bool(one.working) for track, one in work), len(work)),
            imagined=(sum(bool(track.work_streaks) and not one.working for track, one in rest), len(rest)),
            left=slot.left,
            came=slot.came,
            block_hours=standing * slot.hours,
            hours=slot.hours,
        )

    def _refuse_what_does_not_follow(self, result: FusionResult) -> None:
        if result.bay_id != self.bay.bay_id:
            raise TrackingError(f"batch {result.batch_id} is of bay {result.bay_id}, the tracker of {self.bay.bay_id}")
        if self.state.slot is not None and result.slot <= self.state.slot:
            raise TrackingError(
                f"batch {result.batch_id} is not after the state's slot {self.state.slot:%Y-%m-%d %H:%M:%S} UTC:"
                " replay it, and all batches after it, from the state before it (tracking.replay)"
            )

        if self._batch_id not in (None, result.batch_id):
            raise TrackingError(
                f"this tracker has followed batch {self._batch_id}: batch {result.batch_id} goes on from its result,"
                " Tracker(bay, result.state).update(...), or tracking.track(bay, floors) follows all of them"
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

    def _is_forgotten(self, track: Track, slot: _Slot) -> bool:
        """Whether a track that is not there was never confirmed, or exited too long ago to come back."""
        if track.status is TrackStatus.EXITED:
            return slot.time - (track.missed_since or track.last_seen) > timedelta(days=self.parameters.remember_days)
        brief = track.hits < self.parameters.confirm_slots
        patience = self.parameters.confirm_slots + (1 if brief else self.parameters.confirm_slots)
        return track.status is TrackStatus.TENTATIVE and track.misses >= patience

    def _is_doubted_too_long(self, time: datetime) -> bool:
        since = self.state.doubted_since
        return since is not None and time - since > timedelta(hours=self.parameters.doubted_hours)

    # -- results ---------------------------------------------------------------------------

    def _held(self, slot: _Slot, doubt: str) -> TrackingResult:
        """The tracks as they were: what was seen in this slot counts for nothing."""
        captured_at = slot.model.captures.of(slot.time)
        event = TrackEvent(EventKind.FLOOR_DOUBTED, "", slot.time, slot.batch_id, reason=doubt, captured_at=captured_at)
        first = self.state.doubted_since is None
        state = replace(self.state, slot=slot.time, doubted_since=self.state.doubted_since or slot.time)
        shown = [track for track in self.state.tracks if track.status is not TrackStatus.EXITED]
        return TrackingResult(slot.batch_id, self.bay.bay_id, tuple(shown), (event,) if first else (), state, doubt)

    def _result(
        self, slot: _Slot, tracks: Sequence[Track], hypotheses: Hypotheses, number: int, rates: Rates
    ) -> TrackingResult:
        ordered = sorted(tracks, key=_by_id)
        gone = {name for event in slot.events for name in (event.track_id, *event.others)}
        shown = [
            track
            for track in _as_likeliest(ordered, hypotheses, self.parameters)
            if track.status is not TrackStatus.EXITED or track.track_id in gone
        ]
        events = sorted(slot.events, key=lambda event: (event.time, event.track_id, event.kind))
        referred = {time for track in ordered for time in (track.last_seen, track.missed_since) if time}
        state = TrackerState(
            self.bay.bay_id,
            slot.time,
            tuple(ordered),
            number,
            rates,
            began=self.state.began or slot.time,
            believed=slot.time,
            captures=slot.model.captures.kept(referred),
        )
        return TrackingResult(slot.batch_id, self.bay.bay_id, tuple(shown), tuple(events), state)


def _as_likeliest(tracks: Sequence[Track], hypotheses: Hypotheses, parameters: TrackerParameters) -> Iterable[Track]:
    """Each block once: where it most likely stands, though that may not be certain yet."""
    known = {track.track_id: track for track in tracks}
    waiting = {end: (begin, claim) for end, begin, claim in hypotheses.likeliest() if end in known and begin in known}
    taken = {begin for begin, _ in waiting.values()}
    new = {one.track_id for one in hypotheses.begins if one.track_id in known and hypotheses.is_likely_new(one)}
    # Where another block most likely stands, its own is not shown: one of the two would be at a place that is not its.
    replaced = {known[begin].doubts for begin in (*taken, *new)} - {None, *waiting}
    for track in tracks:
        if track.track_id in taken:
            continue
        if track.track_id not in waiting or track.status is TrackStatus.EXITED:
            if track.track_id in new and track.hits > 1:
                yield changed(track, status=TrackStatus.PRESENT)
            elif track.track_id in replaced and track.on_floor:
                yield changed(track, status=TrackStatus.LEAVING)
            else:
                yield track
            continue
        begin, claim = waiting[track.track_id]
        if claim.what != "moves" or known[begin].doubts == track.track_id:
            yield changed(track, status=TrackStatus.PRESENT, probability=_probability(track, claim))
            continue
        after = joined(
            track, known[begin], parameters, same_place=claim.what == "stands", bad_view=claim.what == "bad view"
        )
        yield changed(after, status=TrackStatus.MOVED, probability=_probability(track, claim))


def _probability(track: Track, claim: Claim) -> float:
    """That a track that goes on is the block that first had its id.

    Doubts of a block that stands are of the same few sightings, slot after slot: the gravest counts, and not each.
    """
    if claim.what == "moves":
        return track.probability * claim.probability
    return min(track.probability, claim.probability)


def _order(block: FusedBlock) -> tuple[float, ...]:
    """Blocks are taken by place, so that the order in which they come does not matter."""
    centre = block.footprint.centroid
    return (centre.x, centre.y, block.footprint.area, block.height_m, block.confidence)


def _by_id(track: Track) -> str:
    return track.track_id


def _outlined(track: Track, outline: Outline) -> Track:
    return changed(track, footprint=outline.footprint, height_m=outline.height_m, position_std_m=float(outline.std_m))
