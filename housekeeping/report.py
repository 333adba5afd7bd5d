"""What housekeeping did, or would do: freed, kept, and how long the disk lasts."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from housekeeping.forecast import Forecast


@dataclass(frozen=True, slots=True)
class Freed:
    """What was deleted of one kind.

    Attributes:
        bay_id: of which bay; empty for what is of none.
        what: the kind, as "frames".
        count: files or rows.
        size: bytes; None where that is not known, as of rows.
    """

    bay_id: str
    what: str
    count: int
    size: int | None = None


@dataclass
class Report:
    """One run.

    Attributes:
        dry_run: nothing was deleted.
        freed: by bay and kind; kinds of which nothing went are left out.
        kept: what is older than its retention and was kept all the same, with the reason.
        faults: what could not be cleaned, with the reason.
        forecast: how long the store's disk lasts; None where that is not asked or not known.
    """

    dry_run: bool
    freed: list[Freed] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    forecast: Forecast | None = None

    def add(self, bay_id: str, what: str, count: int, size: int | None = None) -> None:
        """Note what was deleted, unless it is nothing."""
        if count:
            self.freed.append(Freed(bay_id, what, count, size))

    def take(self, other: "Report") -> None:
        """Add another run's freed, kept and faults."""
        self.freed += other.freed
        self.kept += other.kept
        self.faults += other.faults

    @property
    def size(self) -> int:
        """Bytes freed, of all whose size is known."""
        return sum(each.size or 0 for each in self.freed)

    def to_dict(self) -> dict[str, Any]:
        """JSON types."""
        return {**asdict(self), "size": self.size}

    def lines(self) -> Iterable[str]:
        """The report for people."""
        verb = "would be deleted" if self.dry_run else "deleted"
        for each in self.freed:
            size = "" if each.size is None else f", {_megabytes(each.size)}"
            yield f"{each.bay_id or '-'}: {each.count} {each.what} {verb}{size}"
        yield f"{_megabytes(self.size)} {'would be freed' if self.dry_run else 'freed'}"
        yield from (f"kept: {reason}" for reason in self.kept)
        yield from (f"NOT CLEANED: {reason}" for reason in self.faults)
        if self.forecast is not None:
            yield from self.forecast.lines()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size < 1e9 else f"{size / 1e9:.1f} GB"
