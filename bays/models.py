"""Strict models of a bay's YAML file.

Frame of reference: the bay's floor. x runs along the bay, y across it, z up,
in metres, origin at one corner. Image u runs to the right and v down, in pixels,
origin at the top left. See `bays.camera_model` for the projection between them.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, time
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bays.located import LocatedError
from bays.migration import Migration
from bays.naming import BAY_ID, slot_of
from bays.notifications import Notification
from bays.provider_configs import PROVIDER_CONFIGS, LocalTarget, check_provider_config, installed_providers
from bays.retention import Retention
from bays.tracker_parameters import TrackerParameters
from bays.zones import ZoneName

# Names that `image_provider` may take; `ImageProviderFactory.register` adds to them.
known_providers = set(PROVIDER_CONFIGS)
_WINDOW = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_CRON_FIELDS = 5
_WIDEST_SUBNET = 16
_DAY_S = 86_400
_ANY_TIME = datetime(2025, 1, 1, tzinfo=UTC)

Metres = Annotated[float, Field(ge=-1000, le=1000)]
Deviation = Annotated[float, Field(ge=0, le=10)]
Degrees = Annotated[float, Field(ge=-360, le=360)]
WitnessName = Annotated[str, Field(min_length=1, max_length=32)]


class _Strict(BaseModel):
    # A value is not repeated in an error: it may be a login that was written into the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


class FloorDoubt(_Strict):
    """How far all blocks that a camera sees may be off together, though the cameras agree: standard deviations.

    `x` and `y` are of their places, `sides` and `height` of their sizes; metres. No batch shows it: what is not
    known of where the cameras hang moves and stretches the floor plan as a whole. `refine-poses` measures it.
    """

    x: Deviation
    y: Deviation
    sides: Deviation
    height: Deviation


class Pose(_Strict):
    """Where a camera hangs and where it looks, in the floor frame.

    `pan` is clockwise seen from above: 0 looks towards +y, 90 towards +x, 180
    towards -y. `tilt` is below the horizon. `roll` turns the camera clockwise
    about its own viewing direction, as seen from behind it. `doubt` is what is not
    known of the pose, as blocks on the floor show it.
    """

    x: Metres
    y: Metres
    z: Annotated[float, Field(gt=0, le=200)]
    pan: Degrees
    tilt: Annotated[float, Field(ge=-90, le=90)]
    roll: Annotated[float, Field(ge=-180, le=180)] = 0.0
    doubt: FloorDoubt | None = None


class LensPrior(_Strict):
    """What was known of a focal length before points were calibrated with: pixels, and one standard deviation of it.

    `std` is a share of the focal length. Without `focal_px` nothing was known.
    """

    focal_px: Annotated[float, Field(gt=10, le=100_000)] | None = None
    std: Annotated[float, Field(gt=0, le=1)] = 0.01


class Intrinsics(_Strict):
    """Pinhole with Brown-Conrady distortion, in pixels of a `width` x `height` image.

    `focal_px` is the focal length, in pixels along u; `fy` the one along v, where pixels are not square, as of a stream
    that is squeezed. A file may give both as `fx` and `fy`. The principal point is the image centre unless `cx` and
    `cy` are given. `distortion` is (k1, k2, p1, p2, k3), in OpenCV's order. `prior` stands where the focal length was
    estimated from points: what was known of it before, so that the same points count once however often they are used.
    """

    width: Annotated[int, Field(ge=16, le=16384)] = 1920
    height: Annotated[int, Field(ge=16, le=16384)] = 1080
    focal_px: Annotated[float, Field(gt=10, le=100_000, validation_alias=AliasChoices("focal_px", "fx"))]
    fy: Annotated[float, Field(gt=10, le=100_000)] | None = None
    cx: float | None = None
    cy: float | None = None
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    prior: LensPrior | None = None

    @property
    def fx(self) -> float:
        """Focal length in pixels along u: `focal_px`."""
        return self.focal_px

    @property
    def focal(self) -> tuple[float, float]:
        """(fx, fy) in pixels."""
        return self.focal_px, self.focal_px if self.fy is None else self.fy

    def with_focal(self, focal_px: float) -> Self:
        """The lens with another focal length along u; that along v changes alike."""
        fy = None if self.fy is None else self.fy * focal_px / self.focal_px
        return self.model_copy(update={"focal_px": focal_px, "fy": fy})

    def with_given_focal(self, focal_px: float) -> Self:
        """The lens with a focal length that a person says: what was known of it before says no more."""
        return self.with_focal(focal_px).model_copy(update={"prior": None})

    @property
    def principal_point(self) -> tuple[float, float]:
        """(u, v) in pixels."""
        return (
            self.width / 2 if self.cx is None else self.cx,
            self.height / 2 if self.cy is None else self.cy,
        )


class EarlierCalibration(_Strict):
    """How a camera hung up to a moment: what it saw in slots before `until` is fused with this pose.

    `intrinsics` is its lens in that time; without it the lens is the one that followed.
    """

    until: AwareDatetime
    pose: Pose
    intrinsics: Intrinsics | None = None


class Rtsp(_Strict):
    """A camera's video stream; `path` with its query, asked for over ONVIF when left out."""

    port: Annotated[int, Field(ge=1, le=65535)] = 554
    path: LocalTarget | None = None


class Camera(_Strict):
    """One camera of a bay. `fusion: false` keeps it out of the floor plan.

    `connections` is how many the camera allows this process at once. `snapshot` is
    its address for the provider `http`, when that is another than the bay's `path`.
    With `rtsp` a frame of the stream stands in where the snapshot fails. For an NVR, or a
    camera with several lenses, `channel` is the number of the video source, from 1, and
    `profile` the token or name of an ONVIF profile. `snapshot_port` is where the snapshot
    is asked for, where that is another port than the ONVIF services' and the camera does
    not say so. `earlier` is how it hung before it was moved, the oldest first.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_\-]{0,31}$")]
    host: IPv4Address
    scheme: Literal["http", "https"] = "http"
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default_factory=lambda known: 443 if known.get("scheme") == "https" else 80
    )
    connections: Annotated[int, Field(ge=1, le=16)] = 1
    snapshot: LocalTarget | None = None
    snapshot_port: Annotated[int, Field(strict=True, ge=1, le=65535)] | None = None
    channel: Annotated[int, Field(strict=True, ge=1, le=256)] | None = None
    profile: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    rtsp: Rtsp | None = None
    pose: Pose | None = None
    intrinsics: Intrinsics | None = None
    earlier: tuple[EarlierCalibration, ...] = ()
    fusion: bool = True

    @field_validator("earlier")
    @classmethod
    def _oldest_first(cls, value: tuple[EarlierCalibration, ...]) -> tuple[EarlierCalibration, ...]:
        for one, other in pairwise(value):
            if one.until >= other.until:
                raise ValueError(f"until {other.until.isoformat()} follows {one.until.isoformat()}: the oldest first")
        return value

    def at(self, moment: datetime) -> Self:
        """The camera as it hung at an (aware) moment."""
        pose, intrinsics = self.pose, self.intrinsics
        for one in reversed(self.earlier):
            if moment >= one.until:
                break
            pose, intrinsics = one.pose, one.intrinsics or intrinsics
        return self.model_copy(update={"pose": pose, "intrinsics": intrinsics})

    @property
    def picture(self) -> str:
        """Which picture of which host; no two cameras of a bay may have the same one."""
        rtsp_path = None if self.rtsp is None else self.rtsp.path
        parts = {"channel": self.channel, "profile": self.profile, "snapshot": self.snapshot, "rtsp.path": rtsp_path}
        selection = "".join(f", {name} {value}" for name, value in parts.items() if value is not None)
        return f"{self.host}{selection}"


class Network(_Strict):
    """The bay's own network: its observer reaches these cameras and no others."""

    camera_subnet: IPv4Network
    observer_ip: IPv4Address

    @field_validator("camera_subnet")
    @classmethod
    def _is_one_bay_s(cls, value: IPv4Network) -> IPv4Network:
        if value.prefixlen < _WIDEST_SUBNET:
            raise ValueError(f"{value} is wider than /{_WIDEST_SUBNET}: give the network of this bay's cameras alone")
        return value


class Schedule(_Strict):
    """Cron of the observation DAG (UTC). Fusion and tracking are triggered (null)."""

    observation: str | None = "*/10 * * * *"
    fusion: None = None
    tracking: None = None

    @field_validator("observation")
    @classmethod
    def _is_cron(cls, value: str | None) -> str | None:
        if value is not None and (len(value.split()) != _CRON_FIELDS or not croniter.is_valid(value)):
            raise ValueError(f"{value!r} is no cron expression of five fields, as */10 * * * *")
        try:
            croniter(value or "* * * * *", _ANY_TIME).get_next()
        except CroniterBadDateError:
            raise ValueError(f"{value!r} is a cron expression that never comes true") from None
        return value


class DailyWindow(_Strict):
    """A window of every day in the bay's own time, both ends included.

    Written `"HH:MM-HH:MM"`; one that ends before it starts crosses midnight.
    """

    start: time
    end: time

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        match = _WINDOW.fullmatch(value.replace(" ", ""))
        if match is None:
            raise ValueError(f'{value!r} is no window of the day: write "HH:MM-HH:MM", as "08:30-09:20"')
        hour_from, minute_from, hour_to, minute_to = (int(part) for part in match.groups())
        return {"start": time(hour_from, minute_from), "end": time(hour_to, minute_to)}

    def holds(self, local: datetime) -> bool:
        """Whether a bay-local moment, to the minute, lies inside."""
        moment = time(local.hour, local.minute)
        if self.start <= self.end:
            return self.start <= moment <= self.end
        return moment >= self.start or moment <= self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


class Conditions(_Strict):
    """What a batch must fulfil before the models look at it.

    `min_brightness` is the mean grey value (0 to 255) under which a frame counts
    as dark; fewer bright frames than the bay's `camera_quorum` stop the batch.
    """

    min_brightness: Annotated[float, Field(ge=0, le=255)] = 12.0


class Storage(_Strict):
    """Patience with the shared storage.

    `wait` is how many seconds after its slot an artifact may take to appear on the host that
    needs it, as after an outage during which the observer spooled it.
    """

    wait: Annotated[float, Field(ge=60, le=604_800)] = 7200.0


CheckpointKey = Literal["yolo_detection", "sam_segmentation", "classification", "jig_classification"]


class Models(_Strict):
    """Checkpoints of a bay. Relative paths start at `MODELS_PATH` (see `inference`).

    With `jig_classification` jigs are found by automatic masks as well, which this classifier
    of crops names. `half_precision` is used where the device has it. `openvino` runs the
    detector in OpenVINO on a CPU.

    `sha256` holds the expected digest of a checkpoint by its key, `class_names` renames classes
    of the checkpoints (theirs to ours), `stages` are the classes that the stage classifier must
    have; each is optional.
    """

    yolo_detection: Path
    sam_segmentation: Path
    sam_model_type: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")] = "vit_h"
    classification: Path
    jig_classification: Path | None = None
    sha256: dict[CheckpointKey, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]] = Field(default_factory=dict)
    class_names: dict[str, str] = Field(default_factory=dict)
    stages: tuple[str, ...] | None = None
    half_precision: bool = True
    openvino: bool = False
    min_confidence: Annotated[float, Field(gt=0, lt=1)] = 0.25
    image_size: Annotated[int, Field(ge=64, le=4096, multiple_of=32)] = 640


class Area(_Strict):
    """A rectangle of the floor, metres. Areas may nest: the smallest that holds a block names it."""

    x: tuple[float, float]
    y: tuple[float, float]
    kind: Literal["work", "turn_over", "aisle"] = "work"

    @model_validator(mode="after")
    def _has_extent(self) -> Self:
        if not (self.x[0] < self.x[1] and self.y[0] < self.y[1]):
            raise ValueError(f"x {list(self.x)} and y {list(self.y)} must each run from the smaller to the larger")
        return self

    @property
    def tracked(self) -> bool:
        """Tracking ignores the turn-over area (턴오버) and the aisle."""
        return self.kind == "work"


class Layout(_Strict):
    """Floor of the bay: `width` metres along x, `height` metres along y, and its areas."""

    width: Annotated[float, Field(gt=0, le=1000)]
    height: Annotated[float, Field(gt=0, le=1000)]
    areas: dict[str, Area] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _areas_lie_on_floor(self) -> Self:
        for name, area in self.areas.items():
            if area.x[0] < 0 or area.y[0] < 0 or area.x[1] > self.width or area.y[1] > self.height:
                raise LocatedError(f"area {name} leaves the floor of {self.width:g} x {self.height:g} m", "areas", name)
        places: dict[tuple[object, object], str] = {}
        for name, area in self.areas.items():
            if (other := places.setdefault((area.x, area.y), name)) != name:
                raise LocatedError(f"areas {other} and {name} are the same place", "areas", name)
        return self


class Witness(_Strict):
    """A place that shows sharply in frames and stays, metres: a corner of painted lines, a mark on a pillar."""

    x: Metres
    y: Metres
    z: Annotated[float, Field(ge=-10, le=100)] = 0.0


class BayConfig(_Strict):
    """One bay, as its YAML file describes it. Times are `timezone`'s, dates of Airflow are UTC.

    `capture_window` is for how many seconds after its slot live cameras may be asked
    (`bays.capture_window`); half the schedule's period by default.
    """

    bay_id: Annotated[str, Field(pattern=f"^{BAY_ID.pattern}$")]
    description: str
    enabled: bool = False
    timezone: ZoneName = "Asia/Seoul"
    network: Network
    schedule: Schedule = Schedule()
    operating_hours: tuple[DailyWindow, ...] = ()
    skip_times: tuple[DailyWindow, ...] = ()
    cameras: tuple[Camera, ...] = ()
    camera_quorum: Annotated[int, Field(ge=1)] = 1
    capture_deadline: Annotated[float, Field(gt=0, le=540)] = 30.0
    capture_window: Annotated[float, Field(gt=0, le=86_400)] | None = None
    capture_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    retry_delay: Annotated[float, Field(ge=1, le=540)] = 60.0
    image_provider: str = "onvif"
    image_provider_config: dict[str, Any] = Field(default_factory=dict)
    conditions: Conditions = Conditions()
    models: Models
    storage: Storage = Storage()
    retention: Retention = Retention()
    tracking: TrackerParameters = TrackerParameters()
    notifications: tuple[Notification, ...] = ()
    camera_down_after: Annotated[int, Field(ge=1, le=144)] = 3
    layout: Annotated[Layout, Field(alias="factory_layout")]
    witnesses: dict[WitnessName, Witness] = Field(default_factory=dict)
    migration: Migration | None = None

    @field_validator("image_provider")
    @classmethod
    def _provider_is_known(cls, value: str) -> str:
        if value not in known_providers and value not in installed_providers():
            known = ", ".join(sorted({*known_providers, *installed_providers()}))
            raise ValueError(f"unknown image provider {value!r}: known are {known}")
        return value

    @field_validator("image_provider_config")
    @classmethod
    def _config_fits_the_provider(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        provider = info.data.get("image_provider")
        if provider in PROVIDER_CONFIGS:
            check_provider_config(provider, value)
        return value

    @model_validator(mode="after")
    def _cameras_belong_together(self) -> Self:
        _refuse_doubled("camera name", (camera.name for camera in self.cameras), "cameras", "name")
        _refuse_doubled("camera host", (camera.picture for camera in self.cameras), "cameras", "host")
        subnet = self.network.camera_subnet
        for number, camera in enumerate(self.cameras):
            if camera.host not in subnet:
                reason = f"camera {camera.name}: host {camera.host} lies outside camera_subnet {subnet}"
                raise LocatedError(reason, "cameras", number, "host")
        return self

    @model_validator(mode="after")
    def _notifications_have_names_of_their_own(self) -> Self:
        _refuse_doubled("name", (each.name for each in self.notifications), "notifications", "name")
        return self

    @model_validator(mode="after")
    def _what_is_waited_for_is_kept(self) -> Self:
        for kind in ("frames", "observations", "floor_plans"):
            days = self.retention.days(kind)
            if days * _DAY_S < self.storage.wait:
                raise LocatedError(
                    f"{days:g} days are less than storage.wait, {self.storage.wait:g} s:"
                    " what a task still waits for would be deleted",
                    "retention",
                    kind,
                )
        return self

    @model_validator(mode="after")
    def _enabled_bay_is_complete(self) -> Self:
        if not self.enabled:
            return self
        if not self.cameras:
            raise LocatedError("an enabled bay needs cameras", "cameras")
        if self.camera_quorum > len(self.cameras):
            reason = f"{self.camera_quorum} is more than the {len(self.cameras)} cameras"
            raise LocatedError(reason, "camera_quorum")
        for number, camera in enumerate(self.cameras):
            if camera.fusion and (camera.pose is None or camera.intrinsics is None):
                reason = f"camera {camera.name}: fusion needs its pose and intrinsics (or set fusion: false on it)"
                raise LocatedError(reason, "cameras", number)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of `operating_hours` and `skip_times`."""
        return ZoneInfo(self.timezone)

    @property
    def notifies(self) -> bool:
        """Whether recipients get the bay's events: not while an old system owns it."""
        return self.migration is None or self.migration.owner == "new"

    @property
    def fusion_cameras(self) -> tuple[Camera, ...]:
        """Cameras that take part in the floor plan."""
        return tuple(camera for camera in self.cameras if camera.fusion)

    def closed(self, slot: datetime) -> str | None:
        """What speaks against an (aware) slot by the bay's own clock, in words; None when nothing does."""
        local = slot.astimezone(self.zone)
        hours = self.operating_hours
        if hours and not any(window.holds(local) for window in hours):
            return f"{local:%H:%M} {self.timezone} is outside of the operating hours {', '.join(map(str, hours))}"
        for window in self.skip_times:
            if window.holds(local):
                return f"{local:%H:%M} {self.timezone} lies in the skip window {window}"
        return None

    @property
    def unmoved_since(self) -> datetime | None:
        """When a camera was moved last; None where no `earlier` pose is known."""
        return max((one.until for camera in self.cameras for one in camera.earlier), default=None)

    def at(self, moment: datetime) -> Self:
        """The bay with its cameras as they hung at an (aware) moment."""
        since = self.unmoved_since
        if since is None or moment >= since:
            return self
        return self.model_copy(update={"cameras": tuple(camera.at(moment) for camera in self.cameras)})

    def of_batch(self, batch_id: str) -> Self:
        """The bay with its cameras as they hung in the batch's slot.

        Raises:
            ConfigError: cameras were moved, and the text is no batch id.
        """
        return self if self.unmoved_since is None else self.at(slot_of(batch_id))

    def camera(self, name: str) -> Camera:
        """The camera of that name.

        Raises:
            KeyError: the bay has none.
        """
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise KeyError(f"bay {self.bay_id} has no camera {name}")


def _refuse_doubled(what: str, values: Iterable[str], key: str, inner: str) -> None:
    """Refuse the second of two equal values of a list; `inner` is their key within the list's items."""
    seen = set()
    for number, value in enumerate(values):
        if value in seen:
            raise LocatedError(f"{what} used twice: {value}", key, number, inner)
        seen.add(value)
