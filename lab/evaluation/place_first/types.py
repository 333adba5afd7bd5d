"""What tracking yields: identities, events, and the state that the next slot starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shapely import Polygon

from lab.evaluation.place_first.outline import Outline
from tracking.types import EventKind, TrackEvent

__all__ = [
    "EventKind",
    "Rates",
    "Shape",
    "Streak",
    "Track",
    "TrackEvent",
    "TrackStatus",
    "TrackerState",
    "TrackingResult",
]


class TrackStatus(StrEnum):
    """Where a track is in its life.

    A track starts TENTATIVE, is PRESENT once confirmed, and ends EXITED. In between
    it may be UNOBSERVED (nobody could see its floor: it stands until the opposite is
    seen), MISSED (its floor was seen without it, too seldom so far to say that it
    left), or MOVED (it seems to stand elsewhere; in a slot or two it is PRESENT there,
    or back where it was).
    """

    TENTATIVE = "tentative"
    PRESENT = "present"
    UNOBSERVED = "unobserved"
    MISSED = "missed"
    MOVED = "moved"
    EXITED = "exited"


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
    """

    value: str
    count: int
    weight: float
    since: datetime


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
    """What the bay's cameras have got wrong of late, as running means.

    They begin with what was measured of fusion and of the stage classifier on simulated
    yards: 2 % of the blocks not found, 4 % of the stages misread.

    Attributes:
        missed: runs of misses of standing blocks, as a share of their sightings.
        misread: share of the readings of a stage that turned out to be wrong.
        false: false detections in a slot.
        observed: observations behind `missed`, as far as they count.
    """

    missed: float = 0.02
    misread: float = 0.04
    false: float = 0.15
    observed: int = 0


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
        work: equipment on it in its latest sighting, counted by class.
        working: whether equipment is held to be on it; changes only when read otherwise several times.
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
        reshaped: an outline that was measured instead of the present one, not believed yet.
        former: the outline before the block last changed its place or shape.
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
    working: bool = False
    hits: int = 1
    misses: int = 0
    missed_since: datetime | None = None
    gaps: int = 0
    stage_readings: int = 0
    reshaped: Shape | None = None
    former: Shape | None = None

    @property
    def on_floor(self) -> bool:
        """Whether the block is held to stand in the bay: confirmed, and not known to have left."""
        return self.status not in (TrackStatus.TENTATIVE, TrackStatus.EXITED)

    @property
    def is_certain(self) -> bool:
        """Whether the tracker stands by both identity and place.

        A move not confirmed yet is a guess; and a block that was missed twice in a row has rather left.
        """
        return self.on_floor and self.status is not TrackStatus.MOVED and not self.is_doubtful

    @property
    def is_doubtful(self) -> bool:
        """Whether it was missed more than once in a row: a single miss is mostly an error, two mostly are none."""
        return self.misses > 1


@dataclass(frozen=True, eq=False)
class TrackerState:
    """All that the tracker knows after a slot. The next slot's `Tracker` starts from it.

    `slot` is None before the first batch. `tracks` holds every track in order of its
    id, with those that exited and may be known again; `next_number` is the number of
    the next new track; `began` are the very first two slots.
    """

    bay_id: str
    slot: datetime | None = None
    tracks: tuple[Track, ...] = ()
    next_number: int = 1
    rates: Rates = Rates()
    began: tuple[datetime, ...] = ()


@dataclass(frozen=True, eq=False)
class TrackingResult:
    """The tracks of one slot, what happened, and the state behind them.

    `tracks` is the floor as best known, in order of track id, with the tracks that
    exited in this slot. It differs from `state.tracks` in blocks that seem to have
    moved: here each stands once, at its new place, with status MOVED.
    """

    batch_id: str
    bay_id: str
    tracks: tuple[Track, ...]
    events: tuple[TrackEvent, ...]
    state: TrackerState
