"""The kinds of differences between both sides, and one difference."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What differs. The old side is what the new one is held against."""

    SLOT_MISSING = "slot missing"
    SLOT_EXTRA = "slot extra"
    SLOT_DOUBLED = "slot doubled"
    SLOTS_SHIFTED = "slots shifted"
    FRAME_MISSING = "frame missing"
    FRAME_EXTRA = "frame extra"
    FRAME_TIME = "frame of another time"
    FRAME_REPEATED = "frame repeated"
    CAMERAS_SWAPPED = "cameras swapped"
    BOXES_OFF = "boxes elsewhere"
    FLOOR_SHIFTED = "floor shifted"
    FLOOR_MIRRORED = "floor mirrored"
    FLOOR_SCALED = "floor scaled"
    CLASS_RENAMED = "class renamed"
    STAGE_RENAMED = "stage renamed"
    BLOCK_MISSED = "block missed"
    BLOCK_EXTRA = "block extra"
    BLOCK_DISPLACED = "block displaced"
    BLOCK_SIZE = "block of another size"
    BLOCK_HEIGHT = "block of another height"
    BLOCK_TURNED = "block turned"
    BLOCK_CLASS = "block of another class"
    BLOCK_STAGE = "block at another stage"
    IDENTITY = "identity differs"
    MOVE_MISSED = "move missed"
    MOVE_EXTRA = "move extra"
    MOVE_TIME = "move at another time"
    MOVE_ELSEWHERE = "move to elsewhere"
    ARRIVAL_TIME = "arrival at another time"
    EXIT_TIME = "exit at another time"
    LATE = "done later"


SYSTEMATIC = frozenset(
    {
        Kind.SLOT_DOUBLED,
        Kind.SLOTS_SHIFTED,
        Kind.CAMERAS_SWAPPED,
        Kind.BOXES_OFF,
        Kind.FLOOR_SHIFTED,
        Kind.FLOOR_MIRRORED,
        Kind.FLOOR_SCALED,
        Kind.CLASS_RENAMED,
        Kind.STAGE_RENAMED,
    }
)
"""Kinds that say the mapping or a setting is wrong: no bay with one of them is ready."""


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        kind: what differs.
        subject: of what: a camera, a block of the old side, of the new side; empty for the bay.
        since: first slot that shows it (aware, UTC); None where it is of the whole period.
        slots: how many slots show it.
        text: for a person.
    """

    kind: Kind
    subject: str
    since: datetime | None
    slots: int
    text: str
