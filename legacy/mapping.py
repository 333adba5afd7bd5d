"""The mapping: how the old system writes down what this one knows, in a file and not in code.

Old names and paths stand on the left of this package, ours on its right. What a record holds
is turned into `legacy.records` by `legacy.decoding`, and the other way by `legacy.encoding`.
"""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from bay_observation import settings
from bay_observation.errors import ArtifactError, ConfigError
from bay_observation.files import read_regular_file
from bays.loading import faults, read_strictly
from bays.naming import BAY_ID
from bays.zones import ZoneName

PLACEHOLDERS = ("batch_id", "bay", "time", "camera")

_MOST_BYTES = 1_000_000
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_A_WEEK_S = 7 * 86_400
_TEN_YEARS_S = 3650 * 86_400
# Of both halves of a day; day, month and the year's digits all differ.
_SAMPLE_TIMES = (datetime(2025, 7, 12, 4, 50, tzinfo=UTC), datetime(2031, 11, 28, 16, 10, tzinfo=UTC))


def _template(value: str) -> str:
    names = _PLACEHOLDER.findall(value)
    unknown = sorted(set(names) - set(PLACEHOLDERS))
    if unknown or len(set(names)) < len(names) or {"{", "}"} & set(_PLACEHOLDER.sub("", value)):
        wrong = f": {{{unknown[0]}}} is none" if unknown else ""
        raise ValueError(f"{value!r}: placeholders are {{batch_id}}, {{bay}}, {{time}}, {{camera}}, each once{wrong}")
    return value


Template = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_template)]
Path_ = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^.]+(\.[^.]+)*$")]
Name = Annotated[str, Field(min_length=1, max_length=96)]
Share = Annotated[float, Field(ge=0, le=1)]
Axis = Literal["+x", "-x", "+y", "-y"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FloorFrame(_Strict):
    """The old floor's frame of reference, seen from ours (x along the bay, y across it, metres).

    `origin_m` is where its origin lies on our floor; `along` and `across` are the old axes that
    run along our x and y, with their sign. `clockwise` is for a yaw that is counted so.
    """

    origin_m: tuple[float, float] = (0.0, 0.0)
    along: Axis = "+x"
    across: Axis = "+y"
    clockwise: bool = False

    @model_validator(mode="after")
    def _axes_differ(self) -> Self:
        if self.along[1] == self.across[1]:
            raise ValueError(f"along {self.along} and across {self.across} are the same axis of the old floor")
        return self


class OldBay(_Strict):
    """A bay as the old system names it; `cameras` is theirs: ours.

    `frame_size` (pixels) is given where the old side looked at frames of another size than the cameras give.
    """

    name: Annotated[str, Field(pattern=r"^[\w-]{1,48}$")] | None = None
    cameras: dict[Name, Name] = Field(default_factory=dict)
    floor: FloorFrame = FloorFrame()
    frame_size: tuple[Annotated[int, Field(ge=16)], Annotated[int, Field(ge=16)]] | None = None

    @model_validator(mode="after")
    def _no_camera_is_two(self) -> Self:
        ours = list(self.cameras.values())
        if doubled := sorted({name for name in ours if ours.count(name) > 1}):
            raise ValueError(f"cameras: two old names stand for {', '.join(doubled)}")
        return self


class OldRedis(_Strict):
    """Where records lie in the old Redis, and the keys by which both sides take turns.

    `old_side` is how the old producer keeps to them: it publishes through the script (`script`), or it is
    stopped and started with each change of owner and knows nothing of them (`by_hand`).
    """

    key: Template
    field: Template
    channel: Annotated[str, Field(min_length=1, max_length=200)]
    expires_s: Annotated[int, Field(ge=1, le=_TEN_YEARS_S)] | None = None
    owner_key: Template
    last_key: Template
    old_side: Literal["script", "by_hand"] = "script"

    @model_validator(mode="after")
    def _a_record_names_its_batch(self) -> Self:
        together = self.key + self.field
        if "{batch_id}" not in together and not ("{bay}" in together and "{time}" in together):
            raise ValueError("key and field name no batch: use {batch_id}, or {bay} and {time}")
        for name in ("owner_key", "last_key"):
            if _PLACEHOLDER.findall(getattr(self, name)) != ["bay"]:
                raise ValueError(f"{name}: {{bay}} is its one placeholder")
        if self.owner_key == self.last_key:
            raise ValueError("last_key: owner_key is the same key")
        if self.expires_s is not None and not {"batch_id", "time"} & set(_PLACEHOLDER.findall(self.key)):
            raise ValueError("expires_s: a hash that holds every batch must not expire; write null")
        return self

    @property
    def is_of_one_batch(self) -> bool:
        """Whether a hash holds one batch, or a part of it, and no other."""
        return "{batch_id}" in self.key or ("{bay}" in self.key and "{time}" in self.key)


class BatchName(_Strict):
    """How the old side writes a batch id. `time` is a pattern of strftime."""

    form: Template
    time: Annotated[str, Field(min_length=2)]
    time_zone: ZoneName

    @model_validator(mode="after")
    def _names_bay_and_time(self) -> Self:
        if sorted(_PLACEHOLDER.findall(self.form)) != ["bay", "time"]:
            raise ValueError("form: {bay} and {time} are its placeholders")
        if any(part not in self.time for part in ("%H", "%M", "%d", "%m")) or not re.search("%[Yy]", self.time):
            raise ValueError("time: a slot needs %Y (or %y), %m, %d, %H and %M")
        if not _is_read_back(self.time):
            raise ValueError("time: what it writes it does not read back")
        return self


class Message(_Strict):
    """Keys of the message."""

    batch_id: Path_
    status: Path_ | None
    count: Path_ | None
    done: str = "completed"
    constants: dict[Path_, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _paths_are_apart(self) -> Self:
        _refuse_shared((self.batch_id, self.status, self.count, *self.constants))
        return self


class FrameRecord(_Strict):
    """Paths within a record of a frame, or of all frames of a batch."""

    frames: Path_ | None = None
    camera: Path_ | None
    captured_at: Path_ | None
    objects: Path_
    published_at: Path_ | None = None
    constants: dict[Path_, Template] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _paths_are_apart(self) -> Self:
        of_frame = (self.camera, self.captured_at, self.objects, *self.constants)
        of_record = (self.frames, self.published_at)
        for paths in ((*of_frame, *of_record),) if self.frames is None else (of_frame, of_record):
            _refuse_shared(paths)
        return self


class ObjectRecord(_Strict):
    """Paths within a detection."""

    class_name: Path_
    confidence: Path_ | None
    box: Path_
    polygon: Path_ | None = None
    stage: Path_ | None = None
    stage_confidence: Path_ | None = None

    @model_validator(mode="after")
    def _paths_are_apart(self) -> Self:
        _refuse_shared(self.model_dump().values())
        return self


class BlockRecord(_Strict):
    """Paths within a block on the floor, or columns of a CSV file."""

    id: Path_
    class_name: Path_
    stage: Path_ | None
    confidence: Path_ | None
    x: Path_
    y: Path_
    length: Path_
    width: Path_
    yaw: Path_ | None
    height: Path_ | None


class FloorRecord(_Strict):
    """Where the old fusion's and tracking's results lie."""

    key: Template | None
    field: Template | None = None
    blocks: Path_
    batch_id: Path_ | None
    time: Path_ | None = None
    bay: Path_ | None = None
    published_at: Path_ | None = None
    block: BlockRecord


class Units(_Strict):
    """Units of the old side; ours are UTC, pixels, metres, degrees, and shares of 1."""

    time: str = "iso"
    box: Literal["xyxy", "xywh", "cxcywh"] = "xyxy"
    pixels: Literal["px", "fraction"] = "px"
    confidence: Literal["fraction", "percent"] = "fraction"
    length: Literal["m", "cm", "mm", "ft"] = "m"
    angle: Literal["deg", "rad"] = "deg"

    @model_validator(mode="after")
    def _time_is_known(self) -> Self:
        if self.time in ("iso", "epoch_s", "epoch_ms"):
            return self
        if "%" not in self.time:
            raise ValueError(f"time: {self.time!r} is none of iso, epoch_s, epoch_ms, and no pattern of strftime")
        if not _is_read_back(self.time):
            raise ValueError(f"time: {self.time!r} names no whole time: day and minute cannot be read back from it")
        return self


class Names(_Strict):
    """Theirs: ours."""

    classes: dict[Name, Name] = Field(default_factory=dict)
    stages: dict[Name, Name] = Field(default_factory=dict)


class Bridge(_Strict):
    """How the bridge takes its turns; see `legacy.bridge`."""

    consumers: Annotated[int, Field(ge=0, le=10_000)] = 1
    wait_s: Annotated[float, Field(ge=0, le=_A_WEEK_S)] = 1800.0
    backlog: Annotated[int, Field(ge=1, le=100_000)] = 1008
    behind_s: Annotated[float, Field(gt=0, le=_A_WEEK_S)] = 1200.0


class Thresholds(_Strict):
    """What a comparison has to show before a bay is ready; see `legacy.comparison`."""

    slots: Annotated[int, Field(ge=1)] = 144
    slots_both: Share = 0.98
    frames_both: Share = 0.97
    blocks_both: Share = 0.97
    stages_same: Share = 0.95
    classes_same: Share = 0.98
    moves_both: Share = 0.9
    offset_m: Annotated[float, Field(gt=0)] = 0.5
    late_s: Annotated[float, Field(ge=0)] = 600.0
    match_m: Annotated[float, Field(gt=0)] = 3.0


class Mapping(_Strict):
    """The whole file."""

    time_zone: ZoneName
    bays: dict[Annotated[str, Field(pattern=f"^{BAY_ID.pattern}$")], OldBay]
    redis: OldRedis
    batch_id: BatchName
    message: Message
    frame: FrameRecord
    object: ObjectRecord
    floor: FloorRecord | None = None
    units: Units = Units()
    names: Names = Names()
    bridge: Bridge = Bridge()
    compare: Thresholds = Thresholds()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        is_camera_s = "{camera}" in self.redis.key + self.redis.field
        if self.frame.camera is None and not is_camera_s:
            raise ValueError("frame.camera: neither a field of the record nor redis.field names the camera")
        if self.frame.frames is None and not is_camera_s:
            raise ValueError("redis.field: without {camera} the frames of a batch have one place; or name frame.frames")
        if self.frame.frames is not None and is_camera_s:
            raise ValueError("frame.frames: a record that holds all frames is no camera's: take {camera} out of redis")
        names = [old.name or bay_id for bay_id, old in self.bays.items()]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"bays: two of them have the old name {', '.join(doubled)}")
        return self

    def old_name(self, bay_id: str) -> str:
        """The old system's name of a bay.

        Raises:
            ConfigError: the mapping has no such bay.
        """
        if bay_id not in self.bays:
            raise ConfigError(f"the mapping has no bay {bay_id}: add it under bays; it has {', '.join(self.bays)}")
        return self.bays[bay_id].name or bay_id


def _refuse_shared(paths: Iterable[str | None]) -> None:
    """Refuse a place of a record that has two meanings, or lies within another one.

    Raises:
        ValueError: with both.
    """
    places = sorted(tuple(path.split(".")) for path in paths if path is not None)
    for one, other in pairwise(places):
        if other[: len(one)] == one:
            raise ValueError(
                f"{'.'.join(other)} is the same place as {'.'.join(one)}, or lies within it:"
                " write null for what the old side does not have"
            )


def _is_read_back(pattern: str) -> bool:
    """Whether times, to the minute, come back from a pattern of strftime."""
    try:
        read = [datetime.strptime(time.strftime(pattern), pattern).replace(tzinfo=UTC) for time in _SAMPLE_TIMES]
    except ValueError:
        return False
    return all(abs(back - time) < timedelta(minutes=1) for back, time in zip(read, _SAMPLE_TIMES, strict=True))


def mapping_path() -> Path:
    """`LEGACY_MAPPING`, else the file in this package."""
    return settings.LEGACY_MAPPING.read() or Path(__file__).parent / "mapping.yaml"


def load_mapping(path: Path | None = None) -> Mapping:
    """Read and validate a mapping.

    Raises:
        ConfigError: every fault with line, key and reason.
    """
    path = path or mapping_path()
    try:
        text = read_regular_file(path, _MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError, ArtifactError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    tree, raw = read_strictly(path, text)
    try:
        return Mapping.model_validate_json(json.dumps(raw, allow_nan=False), strict=True)
    except ValidationError as error:
        raise ConfigError("\n".join(faults(path, tree, error))) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: holds what JSON cannot: {error}") from error
