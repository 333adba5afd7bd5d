"""Whether the mapping reads what the old system has: `bay-observation legacy check`."""

import json
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bays import BayConfig
from legacy.mapping import Mapping
from legacy.records import OldBatch, Problems
from legacy.templates import OldNames
from tracking.history import scheduled_slots

_MOSTLY = 0.5
_MOST_MESSAGE_BYTES = 1_000_000


@dataclass
class BaySeen:
    """What was read of a bay: batches, frames, detections, blocks on the floor; first and last slot (UTC)."""

    batches: int = 0
    frames: int = 0
    objects: int = 0
    blocks: int = 0
    first: datetime | None = None
    last: datetime | None = None
    cameras: set[str] = field(default_factory=set)
    slots: set[datetime] = field(default_factory=set)
    stages: set[str] = field(default_factory=set)

    def take(self, batch: OldBatch) -> None:
        """Count a batch, or a part of one."""
        self.slots.add(batch.slot)
        self.batches = len(self.slots)
        self.first = min(self.first or batch.slot, batch.slot)
        self.last = max(self.last or batch.slot, batch.slot)
        for frame in batch.frames or ():
            self.frames += 1
            self.objects += len(frame.objects)
            self.cameras.add(frame.camera)
        self.blocks += len(batch.blocks or ())


@dataclass(frozen=True)
class CheckReport:
    """What was read, by bay, and what does not fit."""

    bays: AnyMapping[str, BaySeen]
    problems: Problems

    @property
    def fits(self) -> bool:
        """Whether something was read and nothing does not fit."""
        return bool(self.bays) and not len(self.problems)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "fits": self.fits,
            "bays": {
                bay_id: {
                    "batches": seen.batches,
                    "frames": seen.frames,
                    "objects": seen.objects,
                    "blocks": seen.blocks,
                    "first": None if seen.first is None else seen.first.isoformat(),
                    "last": None if seen.last is None else seen.last.isoformat(),
                    "cameras": sorted(seen.cameras),
                }
                for bay_id, seen in self.bays.items()
            },
            "problems": problem_list(self.problems),
        }

    def lines(self) -> Iterator[str]:
        """For a person."""
        for bay_id, seen in self.bays.items():
            yield (
                f"{bay_id}: {seen.batches} batches from {seen.first:%Y-%m-%d %H:%M} to {seen.last:%Y-%m-%d %H:%M} UTC,"
                f" {seen.frames} frames of {len(seen.cameras)} cameras, {seen.objects} detections, {seen.blocks} blocks"
            )
        yield from problem_lines(self.problems)
        yield "the mapping fits" if self.fits else "the mapping does not fit"


def check(batches: Iterable[OldBatch], bays: AnyMapping[str, BayConfig], problems: Problems) -> CheckReport:
    """Read everything, and look at it as a whole.

    Args:
        batches: of the old system, in any order and in parts.
        bays: those of the mapping.
        problems: those that reading notes; more are added.
    """
    seen: dict[str, BaySeen] = {}
    for batch in batches:
        seen.setdefault(batch.bay_id, BaySeen()).take(batch)
    if not seen and not len(problems):
        problems.add("nothing was read: no key is one of the mapping's (redis.key, floor.key)", "the whole source")
    for bay_id, found in seen.items():
        _look(bays[bay_id], found, problems)
    return CheckReport(seen, problems)


def check_message(mapping: Mapping, message: bytes, problems: Problems) -> None:
    """Look at a message of the old channel."""
    where = f"channel {mapping.redis.channel}"
    try:
        content = json.loads(message) if len(message) <= _MOST_MESSAGE_BYTES else None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        problems.add("a message is no JSON object: only such messages are written and read", where)
        return
    for key in ("batch_id", "status", "count"):
        path = getattr(mapping.message, key)
        if path is not None and _at(content, path) is None:
            problems.add(f"message.{key}: there is no {path}", where)
    batch = _at(content, mapping.message.batch_id)
    if batch is not None and (not isinstance(batch, str) or OldNames(mapping).slot({"batch_id": batch}) is None):
        problems.add("message.batch_id: names no batch of a bay of the mapping: batch_id.form, batch_id.time", where)


def problem_list(problems: Problems) -> list[dict[str, Any]]:
    """For JSON."""
    return [{"what": one.what, "count": one.count, "first": one.first} for one in problems]


def problem_lines(problems: Problems) -> Iterator[str]:
    """For a person."""
    for one in problems:
        yield f"does not fit, {one.count} times: {one.what}; first: {one.first}"


def _look(bay: BayConfig, seen: BaySeen, problems: Problems) -> None:
    assert seen.first is not None  # noqa: S101 - a batch was taken
    assert seen.last is not None  # noqa: S101
    scheduled = set(scheduled_slots(bay, seen.first, seen.last + timedelta(seconds=1)))
    where = f"bay {bay.bay_id}"
    for slot in sorted(seen.slots - scheduled):
        problems.add(
            "a batch's time is no slot of the bay's schedule: is batch_id.time right?", f"{where} {slot:%H:%M:%S}"
        )
    closed = sum(1 for slot in seen.slots if bay.closed(slot) is not None)
    if closed > _MOSTLY * len(seen.slots):
        problems.add(
            "most batches lie outside of the operating hours: is batch_id.time_zone right?",
            f"{where} {closed} of {len(seen.slots)}",
        )
    if seen.frames:
        for camera in sorted({camera.name for camera in bay.cameras} - seen.cameras):
            problems.add("a camera of the bay has no frame in any batch: is its old name right?", f"{where} {camera}")


def _at(content: Any, path: str) -> Any:
    for part in path.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content
