"""What the API answers. Times are ISO 8601 in UTC, lengths metres in the bay's floor frame, outlines rings of (x, y).

Fields are only ever added. One that must go stays for a release, and its description says so.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dashboard.api.times import Time

Ring = list[tuple[float, float]]
PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""A line of text: a database keeps no NUL, and a line break in a name is a mistake."""
TEXT = r"^[^\x00-\x08\x0b-\x1f\x7f]*$"
"""The same, with line breaks."""
KIND = r"^([A-Za-z][A-Za-z0-9_]{0,95})?$"
"""An alert's name, or a kind of event; empty for all."""
MOST_MUTED_MINUTES = 31 * 24 * 60


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class BaySummary(_Model):
    """A bay in the strip: how old its floor is, and what is wrong."""

    bay_id: str
    description: str
    timezone: str
    newest_slot: Annotated[datetime | None, Field(description="newest slot that was tracked")]
    age_s: Annotated[float | None, Field(description="seconds from that slot until now")]
    slot_s: Annotated[float | None, Field(description="seconds between two slots of the bay's schedule")]
    closed: Annotated[str | None, Field(description="why the bay is not watched now; null while it is")]
    blocks: int
    cameras: Annotated[int, Field(description="cameras of the bay")]
    cameras_failed: Annotated[list[str], Field(description="without a frame in the newest capture")]
    events_last_hour: int
    slots_missing: Annotated[int, Field(description="slots of the last 24 hours that were due and not tracked")]
    alerts: Annotated[int, Field(description="alerts of the bay that last and that nobody has taken over")]


class BayFault(_Model):
    """A bay whose file is wrong."""

    bay_id: str
    fault: str


class Bays(_Model):
    """Every bay that the person may read."""

    bays: list[BaySummary]
    faults: list[BayFault]


class AreaOutline(_Model):
    """A rectangle of the floor."""

    name: str
    x: tuple[float, float]
    y: tuple[float, float]
    kind: Literal["work", "turn_over", "aisle"]


class CameraView(_Model):
    """A camera: where it hangs, and the floor it looks at (empty without pose or intrinsics)."""

    name: str
    x: float | None
    y: float | None
    z: float | None
    pan: Annotated[float | None, Field(description="degrees clockwise from above, 0 looks towards +y")]
    fusion: bool
    view: Ring


class BayDetail(_Model):
    """What a bay is: its floor, areas and cameras, and what the person may do."""

    bay_id: str
    description: str
    timezone: str
    width: float
    height: float
    areas: list[AreaOutline]
    cameras: list[CameraView]
    writable: Annotated[bool, Field(description="the person may correct this bay")]
    newest_slot: datetime | None
    slot_s: float | None
    simulated: Annotated[bool, Field(description="a simulated or stored day runs: its newest slot is now")]


class BlockStay(_Model):
    """A block at one place, in one area, at one stage, from `since` to `until` (null while it lasts)."""

    track_id: str
    since: datetime
    until: datetime | None
    standing_since: datetime
    last_seen: datetime
    sightings: int
    status: Annotated[str, Field(description="present, unobserved, missed, moved or exited")]
    class_name: str
    area: str
    stage: str | None
    height_m: float
    position_std_m: float
    confidence: float
    footprint: Ring
    name: Annotated[str | None, Field(description="that a person gave the block")] = None
    continues: Annotated[str | None, Field(description="the track that this one continues, as a person said")] = None
    seen_stage: Annotated[
        str | None, Field(description="what the cameras said, where a person corrected the stage")
    ] = None


class Stays(_Model):
    """Stays that overlap [start, end): enough to draw the floor of every slot of the period."""

    bay_id: str
    start: datetime
    end: datetime
    newest_slot: datetime | None
    stays: list[BlockStay]


class Floor(_Model):
    """What stands in a bay at a time."""

    bay_id: str
    at: datetime
    newest_slot: Annotated[datetime | None, Field(description="nothing is known of later times")]
    blocks: list[BlockStay]


class UnseenFloor(_Model):
    """Floor that no working camera could see in a slot; `known` is false where the slot's floor plan is not kept."""

    bay_id: str
    slot: datetime
    known: bool
    reason: Annotated[str, Field(description="why it is not known")]
    unseen: Annotated[list[list[Ring]], Field(description="polygons, each its outer ring and then its holes")]
    cameras: list[str]
    missing_cameras: list[str]
    out_of_pose: list[str]


class BlockEvent(_Model):
    """What happened to a block. `key` names the same event in every answer, also after a batch was run again."""

    key: str
    slot: Annotated[datetime, Field(description="the slot that made it certain")]
    time: Annotated[datetime, Field(description="the first slot that showed it")]
    kind: str
    track_id: str
    from_area: str | None
    to_area: str | None
    from_stage: str | None
    to_stage: str | None
    others: list[str]
    details: dict[str, Any]
    name: Annotated[str | None, Field(description="that a person gave the block")] = None
    judgement: Annotated[
        Literal["confirmed", "rejected"] | None, Field(description="whether it happened, as a person said")
    ] = None
    comments: Annotated[int, Field(description="of people about it")] = 0


class Events(_Model):
    """Events in order of time."""

    events: list[BlockEvent]
    next_cursor: str | None


class TrackSummary(_Model):
    """A block of a period, as its latest stay there has it."""

    track_id: str
    class_name: str
    area: str
    stage: str | None
    status: str
    since: datetime
    until: datetime | None
    last_seen: datetime


class Tracks(_Model):
    """Blocks in order of their id."""

    tracks: list[TrackSummary]
    next_cursor: str | None


class TrackDetail(_Model):
    """A block from its first stay to its latest."""

    bay_id: str
    track_id: str
    stays: list[BlockStay]


class MissingSlot(_Model):
    """A slot of the schedule that was not tracked, and why."""

    slot: datetime
    outcome: str
    reason: str


class Gaps(_Model):
    """Missing slots in order."""

    gaps: list[MissingSlot]
    next_cursor: str | None


class CalendarDay(_Model):
    """A date of the bay's own clock."""

    date: Annotated[str, Field(description="2026-11-26")]
    due: Annotated[int, Field(description="slots of the schedule in which the bay was not closed")]
    missing: Annotated[int, Field(description="of them, those that were not tracked")]
    outcomes: Annotated[dict[str, int], Field(description="how the missing ones ended")]


class Calendar(_Model):
    """Dates in order; those that have no slot yet are left out."""

    bay_id: str
    start: datetime
    end: datetime
    days: list[CalendarDay]


class CameraState(_Model):
    """A camera within a period: its newest capture there, and the failures behind it."""

    name: str
    last_frame: Annotated[datetime | None, Field(description="newest slot with a frame")]
    failing_since: Annotated[datetime | None, Field(description="first slot of the failures in a row")]
    failures_in_a_row: int
    reason: str
    frames: int
    failures: int
    down: Annotated[bool, Field(description="it failed as often in a row as the bay's file allows")]


class Cameras(_Model):
    """The bay's cameras in the file's order."""

    bay_id: str
    start: datetime
    end: datetime
    cameras: list[CameraState]


class BlockCrop(_Model):
    """The part of a frame that shows a block: ask `slots/{slot}/frames/{camera}/crop.jpg` for it."""

    slot: datetime
    camera: str
    box: Annotated[tuple[int, int, int, int], Field(description="left, top, right, bottom, pixels of the frame")]


class BlockCrops(_Model):
    """Pictures of a block, in order of time."""

    bay_id: str
    track_id: str
    crops: list[BlockCrop]


CameraWord = Literal["seen", "missed", "not needed", "in view", "no frame", "out of pose"]


class CameraSays(_Model):
    """What one camera says of a block in a slot."""

    camera: str
    says: Annotated[
        CameraWord,
        Field(
            description="missed: it must have seen the block and did not; not needed: it looks elsewhere, or something"
            " stands in between; in view: it looks at the place of a block that no camera saw"
        ),
    ]


class FusedEvidence(_Model):
    """The block in the slot's floor plan."""

    class_name: str
    stage: str | None
    confidence: float
    stage_confidence: Annotated[float, Field(description="share of the cameras' vote that the stage got")]
    position_std_m: float
    height_std_m: float
    work: dict[str, int]


class Reading(_Model):
    """Readings in a row that speak against what is believed of a block."""

    of: Literal["class", "area", "stage", "work"]
    value: str
    count: int
    weight: Annotated[float, Field(description="sum of their confidences")]
    since: datetime


class Alternative(_Model):
    """What may have happened instead: another track, or `new`, `missed` or `exited`."""

    what: str
    probability: float


class WeighedEvent(_Model):
    """An event of the block that this slot made certain, and how certain."""

    kind: str
    time: datetime
    probability: Annotated[float, Field(description="that it was this block, and not another one")]
    alternatives: list[Alternative]
    reason: str


class TrackedEvidence(_Model):
    """What the tracker held of the block after the slot."""

    status: str
    probability: Annotated[float, Field(description="that this is the block that first had the id")]
    sightings: int
    misses: Annotated[int, Field(description="slots since the latest sighting in which its floor was seen without it")]
    missed_since: datetime | None
    not_before: Annotated[
        datetime | None, Field(description="the latest slot that showed its floor without it, before it stood there")
    ]
    stage_readings: Annotated[int, Field(description="of the believed stage, so far")]
    against: list[Reading]
    events: list[WeighedEvent]


class BlockWhy(_Model):
    """Why a block stands where the floor of a slot has it. What is not kept any more is null."""

    bay_id: str
    track_id: str
    slot: datetime
    doubt: Annotated[str, Field(description="why the whole floor plan of the slot is not believed")]
    cameras: list[CameraSays]
    fused: FusedEvidence | None
    tracked: TrackedEvidence | None


class FrameObject(_Model):
    """What a model saw in a frame, in pixels of the whole frame."""

    class_name: str
    confidence: float
    box: Annotated[tuple[float, float, float, float], Field(description="left, top, right, bottom")]
    outline: Ring
    stage: str | None


class FusedBox(_Model):
    """A block of the slot's floor plan, drawn back into a frame: its outline on the floor and at its top, pixels."""

    class_name: str
    area: str | None
    stage: str | None
    foot: Ring
    top: Ring
    saw: Annotated[Literal["seen", "missed", "not needed"], Field(description="missed: it must have been seen")]
    work: dict[str, int]
    confidence: float
    centre: Annotated[tuple[float, float], Field(description="on the floor, metres")]


class SlotFrame(_Model):
    """A camera in a slot."""

    camera: str
    captured_at: datetime | None
    width: int | None
    height: int | None
    failure: Annotated[str, Field(description="why there is no frame")]
    out_of_pose: bool
    objects: list[FrameObject]
    blocks: list[FusedBox]


class Frames(_Model):
    """Every camera of a slot, in the order of the bay's file."""

    bay_id: str
    slot: datetime
    frames: list[SlotFrame]


class AreaDwell(_Model):
    """How long blocks stood in an area at a stage, within the period."""

    area: str
    stage: str | None
    blocks: int
    hours: Annotated[float, Field(description="of all blocks together")]
    longest_hours: float


class Report(_Model):
    """What happened in a period."""

    bay_id: str
    start: datetime
    end: datetime
    made_at: datetime
    known_until: Annotated[
        datetime | None, Field(description="newest slot that was tracked; nothing is known after it")
    ]
    counts: Annotated[dict[str, int], Field(description="events by kind, without those that a person rejected")]
    dwell: list[AreaDwell]
    missing: list[MissingSlot]


class CameraHealth(_Model):
    """A camera over the last day, and what to do."""

    name: str
    state: Annotated[Literal["ok", "failing", "down", "unknown"], Field(description="down: as often as the bay allows")]
    last_frame: datetime | None
    failing_since: datetime | None
    failures: int
    frames: int
    reason: Annotated[str, Field(description="why its newest capture has no frame; one of a few words")]
    detail: Annotated[str, Field(description="the same in the observer's words")] = ""
    advice: Annotated[str, Field(description="what to do at the cabinet; empty where nothing is wrong")] = ""
    latency_s: Annotated[float | None, Field(description="that its latest frame took")] = None
    median_latency_s: Annotated[float | None, Field(description="of the last day's frames")] = None
    brightness: Annotated[float | None, Field(description="mean grey of its latest frame, 0 to 255")] = None
    dark: Annotated[bool, Field(description="darker than the bay's min_brightness")] = False
    clock_offset_s: Annotated[
        float | None, Field(description="its clock minus the observer's; null where it does not say")
    ] = None
    clock_wrong: bool = False
    out_of_pose: Annotated[
        bool | None, Field(description="the newest floor plan left it out for its pose; null without a plan")
    ] = None


class QueueHealth(_Model):
    """A queue of the bay, as Airflow's database has it."""

    queue: str
    waiting: Annotated[int, Field(description="tasks that are queued or scheduled")]
    oldest_s: Annotated[float | None, Field(description="seconds for which the oldest of them has waited")]
    running: int
    deferred: int
    unclaimed: Annotated[int, Field(description="triggers that no triggerer with a fresh heartbeat runs")]
    triggerers: Annotated[int, Field(description="triggerers that live and serve the queue")] = 0


class Fact(_Model):
    """A part of what a check found."""

    name: Annotated[str, Field(description="which fact: a page may have its own words for it")]
    values: dict[str, str]
    text: str


class Check(_Model):
    """One thing that was looked at. The page says in words what to do about each."""

    name: Annotated[
        str,
        Field(description="floor, cameras, observer, spool, replicator, inference, store, disk, or queue:NAME"),
    ]
    state: Literal["ok", "warning", "failed", "unknown"]
    detail: Annotated[str, Field(description="the facts in one line")]
    facts: list[Fact]


class Health(_Model):
    """How a bay is."""

    bay_id: str
    checked_at: datetime
    checks: list[Check]
    cameras: list[CameraHealth]
    queues: list[QueueHealth]


class AlertRow(_Model):
    """An alert of the monitoring."""

    fingerprint: Annotated[str, Field(description="of its labels, as the monitoring gives it")]
    name: Annotated[str, Field(description="of its rule, as in docs/alerts.md")]
    severity: Annotated[str, Field(description="critical, warning or info")]
    bay_id: Annotated[str | None, Field(description="null where it belongs to the whole yard")]
    summary: str
    labels: dict[str, str]
    runbook: Annotated[str, Field(description="page of the documentation, with its section")]
    since: datetime
    until: Annotated[datetime | None, Field(description="null while it lasts")]
    seen: Annotated[datetime | None, Field(description="when the monitoring last said that it lasts")]
    unsure: Annotated[bool, Field(description="the monitoring has not repeated it: it may have ended")]
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    may_acknowledge: Annotated[bool, Field(description="whether this person may take it over")]


class MuteRow(_Model):
    """What is not sent for a while."""

    mute_id: str
    bay_id: Annotated[str | None, Field(description="null for all bays")]
    kind: Annotated[str | None, Field(description="name of an alert or kind of event; null for all")]
    made_at: datetime
    until: datetime
    author: str
    reason: str
    may_end: Annotated[bool, Field(description="whether this person may end it here")]


class Alerts(_Model):
    """Alerts of a bay, and its mutes."""

    bay_id: str
    alerts: list[AlertRow]
    mutes: list[MuteRow]


class TakenAlert(BaseModel):
    """The alert that a person takes over."""

    model_config = ConfigDict(extra="forbid")

    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{8,32}$")]


class NewMute(BaseModel):
    """What is not to be sent, and for how long."""

    model_config = ConfigDict(extra="forbid")

    minutes: Annotated[int, Field(ge=1, le=MOST_MUTED_MINUTES, description="for how long, at most a month")]
    kind: Annotated[
        str, Field(pattern=KIND, description="name of an alert or kind of event; empty for all of the bay")
    ] = ""
    reason: Annotated[str, Field(max_length=500, pattern=PLAIN, description="for those who wonder")] = ""


class EndedMute(BaseModel):
    """The mute that a person ends."""

    model_config = ConfigDict(extra="forbid")

    mute_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class CameraPose(_Model):
    """How a camera's pose fits what the other cameras saw in the newest batches."""

    camera: str
    verdict: Annotated[Literal["ok", "out of pose", "undecided"], Field(description="of the pose in the bay's file")]
    reason: str
    blocks: Annotated[int, Field(description="places on the floor that it was judged by")]
    residual_px: float | None
    angle_deg: Annotated[float | None, Field(description="size of the turn; null where it is unknown")]
    pan_deg: float | None
    tilt_deg: float | None
    roll_deg: float | None


class Poses(_Model):
    """Poses of a bay's cameras, as `bay-observation camera check-poses` judges them."""

    bay_id: str
    batches: list[str]
    cameras: list[CameraPose]


ReviewWord = Literal["confirmed", "rejected", "comment", "name", "same", "stage"]
TRACK_ID = r"^[A-Za-z0-9_\-]{1,64}$"


class NewReview(BaseModel):
    """What a person says of an event or a block."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[
        ReviewWord,
        Field(
            description="confirmed, rejected: of an event. comment: of an event or a block. name, stage, same: of a"
            " block; `same` says that the track continues another one. An empty value takes an earlier one back."
        ),
    ]
    track_id: Annotated[str, Field(pattern=TRACK_ID)]
    at: Annotated[Time, Field(description="time of the event; from when on a stage or an identity holds")]
    event_kind: Annotated[str | None, Field(max_length=32, pattern=PLAIN)] = None
    value: Annotated[str, Field(max_length=96, pattern=PLAIN, description="name, stage, or track")] = ""
    comment: Annotated[str, Field(max_length=2000, pattern=TEXT)] = ""


class ReviewRow(_Model):
    """What a person said."""

    review_id: str
    made_at: datetime
    author: str
    kind: str
    track_id: Annotated[str, Field(description="that stands now where the block stood")]
    at: datetime
    event_kind: str | None
    value: str
    comment: str
    cameras: Annotated[list[str], Field(description="that saw the block in the event's floor plan")]


class Reviews(_Model):
    """Reviews in the order in which they were made."""

    reviews: list[ReviewRow]
    next_cursor: str | None


class Rightness(_Model):
    """How often events were right, as people said."""

    name: Annotated[str, Field(description="kind of event, or camera")]
    confirmed: int
    rejected: int


class ReviewFigures(_Model):
    """How often events were right, by kind, and by camera that saw the block."""

    bay_id: str
    start: datetime
    end: datetime
    events: Annotated[int, Field(description="of the period; those without a judgement are in neither column")]
    kinds: list[Rightness]
    cameras: list[Rightness]


class BayFile(_Model):
    """A bay's YAML file as it is."""

    bay_id: str
    name: str
    text: str


class ProposedFile(BaseModel):
    """A bay's YAML file as it might be."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=500_000)]


class CheckedFile(_Model):
    """What a changed file would be. Areas and cameras are there where it has no fault."""

    bay_id: str
    faults: Annotated[list[str], Field(description="each with line, key and reason")]
    diff: Annotated[str, Field(description="to the file as it is, as `git apply` reads it; empty without a change")]
    width: float
    height: float
    areas: list[AreaOutline]
    cameras: list[CameraView]
    text: Annotated[str, Field(description="the file's text with the change")] = ""


class ProposedAreas(BaseModel):
    """The floor's areas as they might be, all of them, in a file as it is or as it might be."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str | None, Field(max_length=500_000, description="of the file; as it is if left out")] = None
    areas: Annotated[list[AreaOutline], Field(max_length=500)]


class ClickedPoint(BaseModel):
    """A point known in the image (pixels) and in the bay (metres, floor frame)."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=PLAIN)]
    u: Annotated[float, Field(ge=0, le=16_384)]
    v: Annotated[float, Field(ge=0, le=16_384)]
    x: Annotated[float, Field(ge=-1000, le=2000)]
    y: Annotated[float, Field(ge=-1000, le=2000)]
    z: Annotated[float, Field(ge=-100, le=200)] = 0.0


class ClickedPoints(BaseModel):
    """What a person clicked in a camera's frame."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str | None, Field(max_length=500_000, description="of the file; as it is if left out")] = None
    width: Annotated[int, Field(ge=64, le=16_384, description="of the frame, pixels")]
    height: Annotated[int, Field(ge=64, le=16_384)]
    focal_px: Annotated[
        float | None, Field(gt=0, le=100_000, description="to start from, where the file has no intrinsics")
    ] = None
    points: Annotated[list[ClickedPoint], Field(max_length=100)]


class CalibratedValue(_Model):
    """A value of the camera as it would stand in the file."""

    name: str
    value: float
    std: Annotated[float | None, Field(description="standard deviation; null for what was held")]
    held: Annotated[str, Field(description="why it was not estimated")]


class PointError(_Model):
    """How far off a point is."""

    name: str
    pixels: float
    floor_cm: float
    unseen_cm: Annotated[float | None, Field(description="by the camera as the other points alone give it")]
    left_out: bool


class CalibratedCamera(_Model):
    """What the points give. Nothing is written; `doubts` says why it must not be used, where it must not."""

    bay_id: str
    camera: str
    values: list[CalibratedValue]
    points: list[PointError]
    rms_px: float
    rms_cm: float
    unseen_cm: float | None
    floor_std_cm: Annotated[float, Field(description="of a place between the points, one standard deviation")]
    doubts: list[str]
    notes: list[str]
    diff: str
    text: Annotated[str, Field(description="the file's text with the camera as calibrated")]


class Problem(_Model):
    """Why there is no answer, and what to do."""

    detail: str
