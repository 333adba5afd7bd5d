"""How a bay's cameras have been doing: who is failing, since when, why, and how slow the others are.

One JSON file per bay, `{root}/health/{bay_id}/state.json`, holds for every camera its
outcome in each of the last `SLOTS_KEPT` slots, and what came before them summed up.
Every capture rewrites it, whole or not at all, under a lock of the bay:

* Recording a slot again replaces that slot's outcomes, so that a trigger that runs again,
  or a retry of a slot, counts once. A slot older than all that are kept counts no more.
* A writer that dies leaves the last whole file and no lock; writers of the same bay wait
  for each other; readers need no lock.
* The file stays as large as its window: about 100 bytes per camera and slot.

A camera that is no longer in the bay's file is forgotten with the next slot.
"""

import json
import logging
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from artifacts.hang_guard import HangGuard, guard_for
from artifacts.location import data_path
from bay_observation.errors import ArtifactError, ConfigError
from bay_observation.files import file_lock, read_regular_file, remove_abandoned, write_atomically
from bays.naming import BAY_ID
from capture_async.types import Attempt, CameraFailure, CaptureBatch, CapturedImage, FailureReason

logger = logging.getLogger(__name__)

SLOTS_KEPT = 144
"""A day of ten-minute slots."""

_VERSION = 1
_DETAIL_SHOWN = 160
_LOCK_WAIT_S = 5.0
_LARGEST = 32_000_000  # bytes; a hundred cameras that all fail take 4 million
_LIMIT_S = 10.0  # a shared storage that hangs holds up no page and no capture for longer


@dataclass(frozen=True, slots=True)
class SlotOutcome:
    """What one camera gave in one slot.

    Attributes:
        slot: the slot (aware, UTC).
        at: when the frame was taken, or the failure was recorded (aware, UTC).
        reason: None for a frame.
        detail: the failure's sentence, without login or password; empty for a frame.
        seconds: what the frame took from its request to its last byte; for a failure, all
            that was tried. None where the provider does not say.
    """

    slot: datetime
    at: datetime
    reason: FailureReason | None
    detail: str
    seconds: float | None

    @property
    def is_frame(self) -> bool:
        """Whether the camera gave a frame."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """One camera over the slots that are kept.

    Attributes:
        camera_name: as in the bay's file.
        last_success: when its last frame was taken (aware, UTC); None when it never gave one.
        failures_in_row: slots without a frame since then, also those that are no longer kept.
        recent: its outcomes in slot order, at most `SLOTS_KEPT`.
    """

    camera_name: str
    last_success: datetime | None
    failures_in_row: int
    recent: tuple[SlotOutcome, ...]

    @property
    def is_well(self) -> bool:
        """Whether its newest slot has a frame."""
        return self.failures_in_row == 0

    @property
    def reason(self) -> FailureReason | None:
        """Why its newest slot has no frame; None when it has one."""
        return self.recent[-1].reason if self.recent else None

    @property
    def detail(self) -> str:
        """The sentence that goes with `reason`."""
        return self.recent[-1].detail if self.recent else ""

    @property
    def latency_s(self) -> float | None:
        """Seconds that its latest frame took."""
        return next((one.seconds for one in reversed(self.recent) if one.is_frame and one.seconds is not None), None)

    @property
    def median_latency_s(self) -> float | None:
        """Median seconds of the frames that are kept."""
        seconds = [one.seconds for one in self.recent if one.is_frame and one.seconds is not None]
        return statistics.median(seconds) if seconds else None

    @property
    def share_of_frames(self) -> float | None:
        """Slots with a frame over slots, of those kept: 0 to 1."""
        return sum(one.is_frame for one in self.recent) / len(self.recent) if self.recent else None

    def to_dict(self) -> dict[str, Any]:
        """JSON types: the summary, and the outcomes of every kept slot."""
        return {
            "camera_name": self.camera_name,
            "is_well": self.is_well,
            "last_success": _text_or_none(self.last_success),
            "failures_in_row": self.failures_in_row,
            "reason": self.reason,
            "detail": self.detail,
            "latency_s": self.latency_s,
            "median_latency_s": self.median_latency_s,
            "share_of_frames": self.share_of_frames,
            "recent": [
                {
                    "slot": one.slot.isoformat(),
                    "at": one.at.isoformat(),
                    "reason": one.reason,
                    "detail": one.detail,
                    "seconds": one.seconds,
                }
                for one in self.recent
            ],
        }


@dataclass(frozen=True, slots=True)
class BayHealth:
    """All cameras of a bay.

    Attributes:
        bay_id: the bay.
        updated_at: when a capture was last recorded (aware, UTC); None when none ever was.
        last_slot: newest slot that was recorded (aware, UTC).
        cameras: in the order of the bay's newest batch.
    """

    bay_id: str
    updated_at: datetime | None
    last_slot: datetime | None
    cameras: tuple[CameraHealth, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {
            "bay_id": self.bay_id,
            "updated_at": _text_or_none(self.updated_at),
            "last_slot": _text_or_none(self.last_slot),
            "cameras": [camera.to_dict() for camera in self.cameras],
        }


def read_health(root: Path | str | None, bay_id: str) -> BayHealth:
    """The bay's camera health; without cameras when no capture was recorded yet.

    Args:
        root: of the store; None is `DATA_PATH`, as for `ArtifactStore`.
        bay_id: the bay.

    Raises:
        ConfigError: the text is no bay id.
        ArtifactError: the file is there and cannot be read, or the store hangs.
    """
    path = health_path(root, bay_id)
    state = health_guard(path).call(lambda: _read(path, bay_id), _LIMIT_S)
    try:
        return _State(bay_id).health() if state is None else state.health()
    except (ValueError, TypeError) as error:
        raise _not_ours(path, error) from error


def record_health(root: Path | str | None, batch: CaptureBatch, *, slots_kept: int = SLOTS_KEPT) -> None:
    """Take one capture into its bay's health. Blocks on files: call it in a thread.

    Recording the same slot again replaces what was recorded of it.

    Args:
        root: of the store; None is `DATA_PATH`.
        batch: the capture, whether it holds the quorum or not.
        slots_kept: outcomes kept per camera.

    Raises:
        ArtifactError: the file cannot be written, another writer holds it for more than 5 s, or the store hangs.
    """
    path = health_path(root, batch.bay_id)
    health_guard(path).call(lambda: _record(path, batch, slots_kept), _LIMIT_S)


def _record(path: Path, batch: CaptureBatch, slots_kept: int) -> None:
    with _named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with file_lock(path.with_name(".lock"), _LOCK_WAIT_S):
            remove_abandoned(path, older_than_s=0)
            state = _read_or_set_aside(path, batch.bay_id)
            state.take(batch, datetime.now(UTC), slots_kept)
            write_atomically(path, state.to_json())


def health_path(root: Path | str | None, bay_id: str) -> Path:
    """Where a bay's health lies.

    Raises:
        ConfigError: the text is no bay id, and could lead elsewhere.
    """
    if BAY_ID.fullmatch(bay_id) is None:
        raise ConfigError(f"{bay_id!r} is no bay id: lower-case letters, digits and underscores")
    return (data_path() if root is None else Path(root)) / "health" / bay_id / "state.json"


def health_guard(path: Path) -> HangGuard:
    """The guard of the store that a bay's health, or a note beside it, lies in."""
    return guard_for(str(path.parents[2]))


# As in the file: [slot, when, seconds] of a frame; two more, reason and detail, of a failure. A day of a bay has
# 1728 of them, of which a capture adds twelve: they stay texts until somebody reads them.
_Row = list[Any]
_OF_A_FRAME = 3


@dataclass(slots=True)
class _Camera:
    """Outcomes by slot, in order, and the sum of those that are no longer kept."""

    recent: dict[str, _Row]
    last_success_before: datetime | None = None
    failures_before: int = 0

    def take(self, row: _Row, slots_kept: int) -> None:
        slot = row[0]
        newest = next(reversed(self.recent), "")
        if slot not in self.recent and len(self.recent) >= slots_kept and slot < next(iter(self.recent), ""):
            return  # summed up already, or from before there was anything to sum up
        self.recent[slot] = row
        if slot < newest:
            self.recent = dict(sorted(self.recent.items()))
        while len(self.recent) > slots_kept:
            oldest = self.recent.pop(next(iter(self.recent)))
            if len(oldest) == _OF_A_FRAME:
                self.last_success_before, self.failures_before = datetime.fromisoformat(oldest[1]), 0
            else:
                self.failures_before += 1

    def health(self, name: str) -> CameraHealth:
        outcomes = tuple(map(_outcome_of, self.recent.values()))
        taken = [one.at for one in outcomes if one.is_frame]
        if taken:
            newest_first = reversed(outcomes)
            failures = next(count for count, one in enumerate(newest_first) if one.is_frame)
            return CameraHealth(name, max(taken), failures, outcomes)
        return CameraHealth(name, self.last_success_before, self.failures_before + len(outcomes), outcomes)


class _State:
    """The file's content."""

    def __init__(self, bay_id: str) -> None:
        self.bay_id = bay_id
        self.updated_at: datetime | None = None
        self.last_slot: datetime | None = None
        self.cameras: dict[str, _Camera] = {}

    def take(self, batch: CaptureBatch, now: datetime, slots_kept: int) -> None:
        rows = dict(_rows(batch, now))
        for name, row in rows.items():
            self.cameras.setdefault(name, _Camera({})).take(row, slots_kept)
        if self.last_slot is None or batch.slot >= self.last_slot:
            self.cameras = {name: self.cameras[name] for name in rows}
            self.last_slot = batch.slot
        self.updated_at = now

    def health(self) -> BayHealth:
        cameras = tuple(camera.health(name) for name, camera in self.cameras.items())
        return BayHealth(self.bay_id, self.updated_at, self.last_slot, cameras)

    def to_json(self) -> bytes:
        content = {
            "version": _VERSION,
            "bay_id": self.bay_id,
            "updated_at": _text_or_none(self.updated_at),
            "last_slot": _text_or_none(self.last_slot),
            "cameras": {
                name: {
                    "before": {
                        "last_success": _text_or_none(camera.last_success_before),
                        "failures_in_row": camera.failures_before,
                    },
                    "recent": list(camera.recent.values()),
                }
                for name, camera in self.cameras.items()
            },
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_json(cls, content: bytes, bay_id: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        values = json.loads(content)
        if values["version"] != _VERSION:
            raise ValueError(f"version {values['version']!r}, this program reads {_VERSION}")
        if values["bay_id"] != bay_id:
            raise ValueError(f"the health of bay {values['bay_id']!r}")
        state = cls(bay_id)
        state.updated_at = _moment_or_none(values["updated_at"])
        state.last_slot = _moment_or_none(values["last_slot"])
        for name, camera in values["cameras"].items():
            before = camera["before"]
            state.cameras[str(name)] = _Camera(
                {row[0]: row for row in map(_checked, camera["recent"])},
                _moment_or_none(before["last_success"]),
                int(before["failures_in_row"]),
            )
        return state


def _rows(batch: CaptureBatch, now: datetime) -> Iterator[tuple[str, _Row]]:
    slot = batch.slot.isoformat()
    for image in batch.images:
        yield image.camera_name, [slot, _when(image.captured_at.astimezone(UTC)), _seconds(image)]
    for failure in batch.failures:
        detail = failure.detail[:_DETAIL_SHOWN]
        yield failure.camera_name, [slot, _when(now), _seconds(failure), failure.reason.value, detail]


def _when(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _seconds(outcome: CapturedImage | CameraFailure) -> float | None:
    attempts: tuple[Attempt, ...] = outcome.attempts
    if not attempts:
        return None
    return attempts[-1].seconds if isinstance(outcome, CapturedImage) else sum(one.seconds for one in attempts)


def _checked(row: Any) -> _Row:
    """A row by its shape; its times and its reason are checked where they are read."""
    slot, at, _, *failure = row
    if not isinstance(slot, str) or not isinstance(at, str) or len(failure) not in (0, 2):
        raise ValueError(f"{row!r:.80} is no outcome")
    return list(row)


def _outcome_of(row: _Row) -> SlotOutcome:
    slot, at, seconds, *failure = row
    reason, detail = failure or (None, "")
    return SlotOutcome(
        datetime.fromisoformat(slot),
        datetime.fromisoformat(at),
        None if reason is None else FailureReason(reason),
        str(detail),
        None if seconds is None else float(seconds),
    )


def _read(path: Path, bay_id: str) -> _State | None:
    try:
        content = read_regular_file(path, _LARGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return _State.from_json(content, bay_id)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _not_ours(path, error) from error


def _not_ours(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(
        f"{path}: is no camera health of this version ({error!r}): move it away, the next capture begins a new one"
    )


def _read_or_set_aside(path: Path, bay_id: str) -> _State:
    """What the next capture builds on. A damaged file must not end the recording: it is kept beside the new one."""
    try:
        state = _read(path, bay_id)
    except ArtifactError as error:
        if not path.is_file():
            raise
        aside = path.with_name(f"{path.stem}.damaged.json")
        logger.warning("%s; it is moved to %s", error, aside)
        path.replace(aside)
        state = None
    return _State(bay_id) if state is None else state


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArtifactError(f"{path}: camera health cannot be written: {error.strerror or error}") from error


def _text_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
