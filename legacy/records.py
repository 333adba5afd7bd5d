"""What the old system knows of a batch, in this project's names, units and frames of reference."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

Ring = tuple[tuple[float, float], ...]

_LONGEST_WHAT, _LONGEST_WHERE = 400, 300
_MOST_KINDS = 300
_MORE_KINDS = "more kinds of faults than are listed: mend the first ones, then run it again"


@dataclass(frozen=True, slots=True)
class OldObject:
    """A detection: `box` is x and y of the top left and of the bottom right, pixels; `confidence` 0 to 1."""

    class_name: str
    confidence: float
    box: tuple[float, float, float, float]
    polygon: Ring | None = None
    stage: str | None = None
    stage_confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class OldFrame:
    """One camera's frame; `captured_at` is aware, UTC, None where the old side does not say."""

    camera: str
    captured_at: datetime | None
    objects: tuple[OldObject, ...]


@dataclass(frozen=True, slots=True)
class FloorBlock:
    """A block on the floor, of either side: centre, sides and height in metres, floor frame.

    `length` runs along `yaw`, which is in degrees counter-clockwise from x.
    """

    block_id: str
    class_name: str
    stage: str | None
    confidence: float
    x: float
    y: float
    length: float
    width: float
    yaw: float
    height: float


@dataclass(frozen=True, slots=True)
class OldBatch:
    """One slot (aware, UTC) of a bay; None where the record read holds nothing of the kind.

    `published_at` is when the old side was done with it.
    """

    bay_id: str
    slot: datetime
    frames: tuple[OldFrame, ...] | None = None
    blocks: tuple[FloorBlock, ...] | None = None
    published_at: datetime | None = None

    def joined(self, other: "OldBatch") -> "OldBatch":
        """This batch with what another record has of it; of a frame that both have, the later one counts."""
        frames = {frame.camera: frame for frame in (*(self.frames or ()), *(other.frames or ()))}
        return OldBatch(
            self.bay_id,
            self.slot,
            tuple(frames.values()) if frames or self.frames is not None or other.frames is not None else None,
            self.blocks if other.blocks is None else other.blocks,
            other.published_at or self.published_at,
        )


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not fit, how often, and where it was seen first."""

    what: str
    count: int
    first: str


@dataclass
class Problems:
    """What does not fit, counted by kind: a month of a wrong unit is one line.

    Texts of the old system are part of both; a terminal gets nothing of them that it would obey, nor endless ones.
    """

    _counts: Counter[str] = field(default_factory=Counter)
    _first: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, where: str) -> None:
        """Note a fault.

        Args:
            what: the fault and its remedy, in words that are the same for every one of its kind.
            where: key, line, field.
        """
        what = printable(what, _LONGEST_WHAT)
        if what not in self._counts and len(self._counts) >= _MOST_KINDS:
            what = _MORE_KINDS
        self._counts[what] += 1
        self._first.setdefault(what, printable(where, _LONGEST_WHERE))

    def __iter__(self) -> Iterator[Problem]:
        return iter([Problem(what, count, self._first[what]) for what, count in self._counts.items()])

    def __len__(self) -> int:
        return len(self._counts)


def printable(text: str, longest: int) -> str:
    """A text of the old system for a person: cut to a length, escaped where it does not print."""
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
