"""What tracking yields: identities, events, and the state that the next slot starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shapely import Polygon

from tracking.outline import Outline


class TrackStatus(StrEnum):
    """Where a track is in its life.

    A track starts TENTATIVE, is PRESENT once confirmed, and ends EXITED. In between
    it may be UNOBSERVED (no working camera could see its floor: it stands until the
    opposite is seen), MISSED (its floor was seen without it, and it is more likely to be
    overlooked than gone), LEAVING (it is more likely gone; the exit is reported once
    certain), or MOVED (it seems to stand elsewhere; in a slot or two it is PRESENT there,
    or back where it was).
    """

    TENTATIVE = "tentative"
    PRESENT = "present"
    UNOBSERVED = "unobserved"
    MISSED = "missed"
    LEAVING = "leaving"
    MOVED = "moved"
    EXITED = "exited"


class EventKind(StrEnum):
    """What happened to a block. The value is the word that the history and other teams see.

    INITIAL: it stood in the bay when tracking began. When it came is not known, so it
    did not appear.
    WORK_STARTED, WORK_STOPPED: equipment came to a block where none was, or none is left.
    A block that is worked on when it is first seen, or when it exits, raises neither.
    MERGED: the block `track_id` took in the blocks `others`, which are no blocks of
    their own any longer. SPLIT: the blocks `others` came out of the block `track_id`,
    which goes on. DISMISSED: the bay's very first slot showed it, and it was seen too few
    times to be told from a false detection: it is taken back. Where it was a block, its
    leaving is not told. CORRECTED: the block never left, though it was reported to have
    exited at the event's `time`. FLOOR_DOUBTED: the floor plan of this slot cannot be right
    (`reason` says why), and the tracks are held as they were; it has no track. POSE_DRIFT: a
    camera, or all of them, no longer hang as the bay's file says, for several slots in a row
    (`reason` says which); it has no track.
    """

    INITIAL = "initial"
    APPEARED = "appeared"
    MOVED = "moved"
    STAGE_CHANGED = "stage_changed"
    WORK_STARTED = "work_started"
    WORK_STOPPED = "work_stopped"
    EXITED = "exited"
    MERGED = "merged"
    SPLIT = "split"
    DISMISSED = "dismissed"
    CORRECTED = "corrected"
    FLOOR_DOUBTED = "floor_doubted"
    POSE_DRIFT = "pose_drift"


@dataclass(frozen=True)
class Streak:
    """Readings that speak for another value than the believed one, of something that cameras may misread.

    Readings of the believed value count against it (a cumulative sum test, after Page
    1954, "Continuous inspection schemes").

    Attributes:
        value: what was read.
        count: readings of it, less those of the believed value; at least 1.
        weight: sum of their confidences, likewise.
        since: slot of the first of them (aware, UTC).
        after: the latest slot before it in which the block was seen; None where that is not known.
    """

    value: str
    count: int
    weight: float
    since: datetime
    after: datetime | None = None


@dataclass(frozen=True)
class Sighting:
    """What was measured of a block in one slot.

    Attributes:
        slot: aware, UTC.
        x, y: centre of the footprint, metres, floor frame.
        long_m, short_m: sides of the rectangle of the footprint's second moments, metres.
        yaw: direction of the long side, radians counter-clockwise from x, 0 to pi.
        height_m: top above the floor, metres.
        std_m: claimed standard deviation of the centre, metres.
        class_name, stage, stage_confidence: as fusion read them.
        working: whether equipment was seen at it; None where its deck was hidden.
        shape_weight: what its sides and height count for, beside those of a block that is seen well: 0 to 1.
        paint: its colour by camera, CIELAB a and b (`tracking.looks`); of no camera where fusion gave none.
    """

    slot: datetime
    x: float
    y: float
    long_m: float
    short_m: float
    yaw: float
    height_m: float
    std_m: float
    class_name: str
    stage: str | None
    stage_confidence: float
    working: bool | None
    shape_weight: float = 1.0
    paint: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """Place and shape of a block as the mean of earlier sightings (see `Sighting`).

    `count` is of the sightings at its present place, `shape_count` of all that its shape is known by.
    """

    x: float
    y: float
    long_m: float
    short_m: float
    yaw: float
    height_m: float
    std_m: float
    count: float
    shape_count: float


@dataclass(frozen=True, eq=False)
class Shape:
    """An outline of a block other than its present one.

    Attributes:
        outline: the other one.
        since: slot from which on it was seen, or no longer (aware, UTC).
        count: measurements of it in a row.
    """

    outline: Outline
    since: datetime
    count: int = 1


@dataclass(frozen=True)
class Rates:
    """What the bay's blocks do, and what its cameras get wrong, as running means.

    They begin with what was measured of fusion and of the stage classifier on simulated
    yards, and with some two lifts an hour in a bay of 25 blocks.

    Attributes:
        missed: share of the sightings of standing blocks that are missed where the one before was not.
        missed_again: share that is missed after one miss.
        missed_on: share that is missed after several misses in a row.
        runs, run_slots: misses that `missed_again` and misses in a row that `missed_on` was learned from, as far as
            they count.
        misread: share of the readings of a stage that turned out to be wrong.
        overlooked, imagined: share of the readings of no equipment at a block that is worked on, and of
            equipment at one that is not, that turned out to be wrong.
        false: false detections that begin in a slot.
        false_again: share of the false detections that are seen in the slot after as well.
        side_m, height_m: standard deviation of one measurement of a side, and of a height.
        claim: true variance of a centre over the claimed one.
        leave_per_hour: share of the blocks that leave their place within an hour.
        come_per_hour: blocks that come to the bay within an hour.
        lifts, lifts_expected: blocks that left their place or came of late, and as many as those two rates expect;
            what lies `tracking.model.SHIFT_HOURS` back counts for a third.
        lifts_awaited: as many as they expect of the latest slots, of which most lifts are not certain yet.
        observed: sightings behind the rates, as far as they count.
        false_slots: sightings of false detections after the first that `false_again` was learned from, likewise.
        block_confidences, false_confidences: sightings of blocks and of false detections by the tenth that their
            confidence lies in, as far as they count; () before the first.
    """

    missed: float = 0.02
    missed_again: float = 0.05
    missed_on: float = 0.3
    misread: float = 0.04
    overlooked: float = 0.02
    imagined: float = 0.02
    false: float = 0.15
    false_again: float = 0.1
    side_m: float = 0.1
    height_m: float = 0.06
    claim: float = 1.5
    leave_per_hour: float = 0.06
    come_per_hour: float = 0.8
    lifts: float = 0.0
    lifts_expected: float = 0.0
    lifts_awaited: float = 0.0
    observed: int = 0
    runs: float = 0.0
    run_slots: float = 0.0
    false_slots: float = 0.0
    block_confidences: tuple[float, ...] = ()
    false_confidences: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Track:
    """One block through time, as of one slot.

    Attributes:
        track_id: `{bay_id}-{number}`; belongs to one block for good.
        status: see `TrackStatus`.
        class_name: of the block; changes only when read otherwise several times.
        footprint: outline on the floor, metres, floor frame; smoothed while it stands.
        height_m: top above the floor, metres; smoothed while it stands.
        area: name of the area it stands in.
        stage: assembly stage; None while no camera could tell.
        confidence: of its latest sighting, 0 to 1.
        position_std_m: standard deviation of the footprint's centre, metres.
        cameras: those that saw it in its latest sighting.
        work: equipment on it in its latest sighting, counted by class (see `FusedBlock.work`).
        working: whether equipment is held to be on it; changes only when read otherwise several times. None while
            its deck was never seen.
        first_seen: slot of its first sighting (aware, UTC).
        standing_since: first slot at its present place.
        last_seen: slot of its latest sighting.
        hits: sightings so far.
        gaps: how often it was found again after a miss.
        misses: slots since the latest sighting in which its floor was seen without it.
        missed_since: the first of those slots; None when `misses` is 0.
        class_streaks, area_streaks, stage_streaks, work_streaks: readings that speak against what is
            believed, one of each value, in order of the values.
        stage_readings: readings of the believed stage so far.
        former: the outline before the block last changed its place or shape.
        form: place and shape as settled by all but the latest sightings; None while there are few.
        recent: the latest sightings, which may turn out to be another block's.
        paint: mean colour by camera of the sightings before these at its present stage: CIELAB a and b, and of how
            many views, as far as they count.
        initial: whether it stood in the bay when tracking began, as far as can be told.
        probability: that this is the block that first had the id, 0 to 1.
        not_before: the latest slot that showed its floor without it, before `standing_since`; None if none did.
        missed_before: first slot of the latest run of misses that ended.
        doubts: id of the track at whose place a tentative track was seen in another shape; else None.
    """

    track_id: str
    status: TrackStatus
    class_name: str
    footprint: Polygon
    height_m: float
    area: str
    stage: str | None
    confidence: float
    position_std_m: float
    cameras: tuple[str, ...]
    first_seen: datetime
    standing_since: datetime
    last_seen: datetime
    class_streaks: tuple[Streak, ...] = ()
    area_streaks: tuple[Streak, ...] = ()
    stage_streaks: tuple[Streak, ...] = ()
    work_streaks: tuple[Streak, ...] = ()
    work: Mapping[str, int] = field(default_factory=dict)
    working: bool | None = False
    hits: int = 1
    misses: int = 0
    missed_since: datetime | None = None
    gaps: int = 0
    stage_readings: int = 0
    former: Shape | None = None
    form: Form | None = None
    recent: tuple[Sighting, ...] = ()
    paint: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    initial: bool = False
    probability: float = 1.0
    not_before: datetime | None = None
    missed_before: datetime | None = None
    doubts: str | None = None

    @property
    def on_floor(self) -> bool:
        """Whether the block is held to stand in the bay: confirmed, and more likely there than gone."""
        return self.status not in (TrackStatus.TENTATIVE, TrackStatus.LEAVING, TrackStatus.EXITED)

    @property
    def is_certain(self) -> bool:
        """Whether the tracker stands by both identity and place: a move that is not confirmed yet is a guess."""
        return self.on_floor and self.status is not TrackStatus.MOVED


@dataclass(frozen=True)
class TrackEvent:
    """Something happened to a block.

    Attributes:
        kind: what.
        track_id: to whom.
        time: first slot that showed it (aware, UTC). Certainty takes more than one
            slot, so that this lies before the slot of `batch_id`.
        batch_id: the batch that made it certain.
        from_area, to_area: where it stood before and after; None for what has no before or no after.
        from_stage, to_stage: likewise.
        others: track ids of the further blocks that were merged or split.
        after: the latest slot before it that shows it not to have happened yet: it happened between
            `after` and `time`. None where no slot does.
        probability: of the identity, 0 to 1: that this block, and not another one, did it.
        alternatives: what may have happened instead, the likeliest first: the id of another track, or
            `new`, `missed` or `exited`, each with its probability.
        reason: why the floor is doubted.
        captured_at: when the frames of the slot `time` were taken (aware); None where that is not known.
    """

    kind: EventKind
    track_id: str
    time: datetime
    batch_id: str
    from_area: str | None = None
    to_area: str | None = None
    from_stage: str | None = None
    to_stage: str | None = None
    others: tuple[str, ...] = ()
    after: datetime | None = None
    probability: float = 1.0
    alternatives: tuple[tuple[str, float], ...] = ()
    reason: str = ""
    captured_at: datetime | None = None


def changed(track: Track, **values: Any) -> Track:
    """The track with other values, as `dataclasses.replace` makes it, which takes ten times as long."""
    if unknown := values.keys() - Track.__dataclass_fields__.keys():
        raise TypeError(f"a track has no {', '.join(sorted(unknown))}")
    made = object.__new__(Track)
    made.__dict__.update(track.__dict__, **values)
    return made


@dataclass(frozen=True, eq=False, repr=False)
class TrackerState:
    """All that the tracker knows after a slot. The next slot's `Tracker` starts from it.

    `slot` is None before the first batch. `tracks` holds every track in order of its id,
    with those that exited and may be known again; `next_number` is the number of the next
    new track; `began` is the very first slot; `believed` the latest one whose floor plan is
    not doubted, and `doubted_since` the first of the doubted ones in a row after it. `captures` are slots, each
    with the time at which its frames were taken: the latest, and those that tracks refer to.
    `drift` counts the slots in a row that showed a camera to be out of its pose, by its name
    (`*` for all of them).
    """

    bay_id: str
    slot: datetime | None = None
    tracks: tuple[Track, ...] = ()
    next_number: int = 1
    rates: Rates = Rates()
    began: datetime | None = None
    believed: datetime | None = None
    doubted_since: datetime | None = None
    captures: tuple[tuple[datetime, datetime], ...] = ()
    drift: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        slot = "before the first slot" if self.slot is None else f"after {self.slot:%Y-%m-%d %H:%M}"
        return f"<TrackerState of {self.bay_id} {slot}, {len(self.tracks)} tracks>"


@dataclass(frozen=True, eq=False, repr=False)
class TrackingResult:
    """The tracks of one slot, what happened, and the state behind them.

    `tracks` is the floor as best known, in order of track id, with the tracks that
    exited in this slot. It differs from `state.tracks` in blocks that seem to have
    moved: here each stands once, at its new place, with status MOVED. `doubt` says why
    the floor plan of this slot is not believed; empty where it is.
    """

    batch_id: str
    bay_id: str
    tracks: tuple[Track, ...]
    events: tuple[TrackEvent, ...]
    state: TrackerState
    doubt: str = ""

    def __repr__(self) -> str:
        return f"<TrackingResult {self.batch_id}, {len(self.tracks)} tracks, {len(self.events)} events>"
