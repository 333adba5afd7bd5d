"""What an observer says of itself with each capture: spool, replicator, inference server, its cameras' clocks.

These are on the observer's host, which no other host can ask. One small JSON file per bay and subject on the store,
`{root}/health/{bay_id}/{observer,brightness}.json`, is replaced with each capture, whole or not at all. A note
that grows old says something too: the bay captures nothing, or its observer does not reach the store.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from artifacts.spool import Spool
from bay_observation.errors import ArtifactError
from bay_observation.files import read_regular_file, write_atomically
from capture_async.health import health_guard, health_path

Note = TypeVar("Note")
Subject = Literal["observer", "brightness"]

_LIMIT_S = 10.0  # a shared storage that hangs holds up no capture, no task and no page for longer
_LARGEST = 200_000  # bytes; a hundred cameras take 5000


@dataclass(frozen=True, slots=True)
class ObserverNote:
    """An observer at the time of a capture.

    Attributes:
        at: when it was written (aware, UTC, by the observer's clock).
        spool: whether this host has a spool (`SPOOL_PATH`).
        pending: artifacts that wait in it for the store.
        oldest_s: seconds for which the first of them has waited; None where none does.
        aside: artifacts that were set aside, for a person to look at.
        replicator: whether a process publishes what waits; None without a spool.
        inference_server: whether a server has the bay's models; else each task loads them.
        clock_offsets: seconds by which a camera's clock is ahead of the observer's, of those cameras that say.
    """

    at: datetime
    spool: bool = False
    pending: int = 0
    oldest_s: float | None = None
    aside: int = 0
    replicator: bool | None = None
    inference_server: bool = False
    clock_offsets: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BrightnessNote:
    """Mean grey (0 to 255) of each frame of a slot (aware, UTC), by camera; of those that can be read."""

    slot: datetime
    greys: Mapping[str, float]


def observer_note(
    spool: Spool | None, bay_id: str, now: datetime, *, inference_server: bool, clock_offsets: Mapping[str, float]
) -> ObserverNote:
    """Look at this host. Blocks on files.

    Args:
        spool: of this host; None where it has none.
        bay_id: the bay.
        now: the time (aware).
        inference_server: see `ObserverNote`.
        clock_offsets: see `ObserverNote`.

    Raises:
        SpoolError: the spool cannot be used.
    """
    note = ObserverNote(now, inference_server=inference_server, clock_offsets=dict(clock_offsets))
    if spool is None:
        return note
    backlog = spool.backlog(bay_id)
    return replace(
        note,
        spool=True,
        pending=backlog.pending,
        oldest_s=None if backlog.since is None else max(0.0, (now - backlog.since).total_seconds()),
        aside=backlog.aside,
        replicator=spool.has_replicator(),
    )


def write_observer_note(root: Path, bay_id: str, note: ObserverNote) -> None:
    """Replace a bay's note.

    Raises:
        ArtifactError: it cannot be written.
    """
    _write(root, bay_id, "observer", asdict(note) | {"at": note.at.isoformat()})


def read_observer_note(root: Path | str | None, bay_id: str) -> ObserverNote | None:
    """A bay's newest note; None before the first.

    Raises:
        ArtifactError: the file cannot be read, or holds something else.
    """
    return _read(root, bay_id, "observer", lambda values: ObserverNote(**values | {"at": _moment(values["at"])}))


def write_brightness(root: Path, bay_id: str, note: BrightnessNote) -> None:
    """Replace what is known of the brightness of a bay's frames, unless that is of a later slot.

    Raises:
        ArtifactError: it cannot be written.
    """
    try:
        known = read_brightness(root, bay_id)
    except ArtifactError:
        known = None  # damaged: replaced
    if known is not None and known.slot > note.slot:
        return
    greys = {name: round(grey, 1) for name, grey in note.greys.items()}
    _write(root, bay_id, "brightness", {"slot": note.slot.isoformat(), "greys": greys})


def read_brightness(root: Path | str | None, bay_id: str) -> BrightnessNote | None:
    """How bright the newest frames were; None before the first.

    Raises:
        ArtifactError: the file cannot be read, or holds something else.
    """
    return _read(root, bay_id, "brightness", lambda values: BrightnessNote(_moment(values["slot"]), values["greys"]))


def _path(root: Path | str | None, bay_id: str, subject: Subject) -> Path:
    return health_path(root, bay_id).with_name(f"{subject}.json")


def _write(root: Path, bay_id: str, subject: Subject, values: Mapping[str, Any]) -> None:
    path = _path(root, bay_id, subject)
    try:
        content = json.dumps(values, ensure_ascii=False).encode() + b"\n"
        health_guard(path).call(lambda: write_atomically(path, content), _LIMIT_S)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written: {error.strerror or error}") from error


def _read(root: Path | str | None, bay_id: str, subject: Subject, make: Callable[[Any], Note]) -> Note | None:
    path = _path(root, bay_id, subject)
    try:
        content = health_guard(path).call(lambda: read_regular_file(path, _LARGEST), _LIMIT_S)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return make(json.loads(content))
    except (ValueError, TypeError, KeyError) as error:
        raise ArtifactError(f"{path}: is no note of this version ({error!r}): the next capture replaces it") from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment
