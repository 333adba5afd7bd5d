"""What is written into the history, and what it answers. Times are aware, UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from shapely import Polygon

from bays import slot_of
from tracking.types import TrackingResult


class BatchOutcome(StrEnum):
    """How far a slot's batch came. The value is what the database holds."""

    CAPTURED = "captured"
    CAPTURE_FAILED = "capture failed"
    SKIPPED = "skipped"
    INFERRED = "inferred"
    INFERENCE_FAILED = "inference failed"
    FUSED = "fused"
    FUSION_FAILED = "fusion failed"
    TRACKING_FAILED = "tracking failed"
    TRACKED = "tracked"
    WITHDRAWN = "withdrawn"
    IMPORTED = "imported"


class GapOutcome(StrEnum):
    """Why there is nothing at all of a slot; other gaps have the `BatchOutcome` they ended with."""

    CLOSED = "closed"
    NOT_RUN = "not run"


class MarkKind(StrEnum):
    """What has to be known of a slot that was tracked."""

    LATE = "late"
    APART = "frames apart"
    SEAM = "seam"


LATE_S = 60.0
"""Frames that were taken so many seconds after their slot, or apart from each other, are marked."""


@dataclass(frozen=True, eq=False)
class TrackedBatch:
    """One slot, as the history is to hold it.

    Attributes:
        result: what the tracker made of it.
        sha256: digest of the artifact that holds `result`.
        cameras: those that gave a frame.
        missing_cameras: those that did not.
    """

    result: TrackingResult
    sha256: str
    cameras: tuple[str, ...] = ()
    missing_cameras: tuple[str, ...] = ()

    @property
    def slot(self) -> datetime:
        """The slot (aware, UTC)."""
        return slot_of(self.result.batch_id)


@dataclass(frozen=True, eq=False)
class Stay:
    """A block at one place, in one area, at one stage.

    Attributes:
        track_id: whose.
        since: first slot of the stay.
        until: first slot at which it was over; None while it lasts.
        standing_since: first slot at this place; earlier than `since` where the stage or the
            area's name changed while the block stood.
        last_seen: slot of its latest sighting in this stay.
        sightings: slots of this stay in which a camera saw it.
        status: of the track, as of the latest slot of the stay (see `tracking.TrackStatus`).
        class_name: of the block.
        area: name of the area.
        stage: assembly stage; None while no camera could tell.
        height_m: top above the floor, metres.
        position_std_m: standard deviation of the footprint's centre, metres.
        confidence: of the latest sighting, 0 to 1.
        footprint: outline on the floor, metres, floor frame; as smoothed by the stay's end.
    """

    track_id: str
    since: datetime
    until: datetime | None
    standing_since: datetime
    last_seen: datetime
    sightings: int
    status: str
    class_name: str
    area: str
    stage: str | None
    height_m: float
    position_std_m: float
    confidence: float
    footprint: Polygon


class TrackSummary(NamedTuple):
    """A block of a period, as its latest stay there has it; see `Stay` for what the values are.

    `since` is when it came to its place, as a stay's `standing_since`.
    """

    track_id: str
    class_name: str
    area: str
    stage: str | None
    status: str
    since: datetime
    until: datetime | None
    last_seen: datetime


class HistoryEvent(NamedTuple):
    """What happened to a block: a `tracking.TrackEvent` as the history holds it.

    A tuple, since a busy day has three thousand, which a dataclass takes four times as long to make.

    `slot` is the batch that made it certain, `time` the first slot that showed it.
    `others` are the further blocks of a split or merger; `details` holds what this kind of event has beyond all that:
    `after`, `captured_at`, `probability`, `alternatives` and `reason` of a `tracking.TrackEvent`, where they say
    something.
    """

    slot: datetime
    kind: str
    track_id: str
    time: datetime
    from_area: str | None
    to_area: str | None
    from_stage: str | None
    to_stage: str | None
    others: tuple[str, ...] = ()
    details: Mapping[str, Any] = MappingProxyType({})

    @property
    def after(self) -> datetime | None:
        """The latest slot that showed it not to have happened yet; None where none did."""
        return self._detailed("after")

    @property
    def captured_at(self) -> datetime | None:
        """When the frames that showed it first were taken; None where that is not known."""
        return self._detailed("captured_at")

    def _detailed(self, name: str) -> datetime | None:
        time = self.details.get(name)
        return None if time is None else datetime.fromisoformat(time)


@dataclass(frozen=True)
class Dwell:
    """How long blocks stood in an area at a stage, within a period.

    Attributes:
        area: name of the area.
        stage: assembly stage; None where no camera could tell.
        blocks: different blocks.
        stays: stays that the period overlaps.
        total: of all of them, within the period.
        longest: of one stay, within the period.
        whole: of them, stays of which begin and end were observed in the period; the others are cut by its edges, by a
            time that was not observed, or last still.
        whole_total: of those.
    """

    area: str
    stage: str | None
    blocks: int
    stays: int
    total: timedelta
    longest: timedelta
    whole: int = 0
    whole_total: timedelta = timedelta()

    @property
    def mean(self) -> timedelta | None:
        """Of one whole stay; None where none was whole."""
        return self.whole_total / self.whole if self.whole else None


@dataclass(frozen=True)
class Batch:
    """What became of a slot's batch.

    `cameras` gave a frame, `failures` has the reason of each that did not; `sha256` is the tracking
    artifact's, None for a batch that was not tracked.
    """

    slot: datetime
    outcome: str
    reason: str
    sha256: str | None = None
    track_count: int | None = None
    event_count: int | None = None
    cameras: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Gap:
    """A slot of the bay's schedule that the tracks know nothing of, and why."""

    slot: datetime
    outcome: str
    reason: str


@dataclass(frozen=True)
class Mark:
    """Something to know of a slot that was tracked: its frames were late, or it does not build on the slot before."""

    slot: datetime
    kind: MarkKind
    reason: str


@dataclass(frozen=True)
class Observed:
    """How much of a period was observed, and the dwell within that.

    Attributes:
        dwell: longest in all first.
        observed: time between tracked slots that follow one another.
        period: the whole period, up to the newest tracked slot.
    """

    dwell: tuple[Dwell, ...]
    observed: timedelta
    period: timedelta


class CameraChangeKind(StrEnum):
    """A camera's failures in a row became an outage, or the outage ended."""

    DOWN = "camera_down"
    UP = "camera_up"


@dataclass(frozen=True)
class CameraChange:
    """A camera went down or came back.

    Attributes:
        kind: which.
        camera: its name.
        time: first slot of the failures; for `camera_up`, the slot of the frame that ended them.
        slot: the slot that made it certain: the k-th failure in a row, or the frame.
        reason: of the failure in `slot`; empty for `camera_up`.
    """

    kind: CameraChangeKind
    camera: str
    time: datetime
    slot: datetime
    reason: str = ""
