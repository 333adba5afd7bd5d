"""Answers of the history for a person or a program: a table, JSON, CSV. Times are the bay's own; the zone is named."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text
from shapely import Polygon

from bay_observation.errors import ConfigError
from tracking.history.coverage import AsOf, Coverage

_IDENTITIES = ("track_id", "others", "camera")
_TEXTS = ("reason",)
# Pieces of a cell, each of which stays in one line.
_WHOLE = re.compile(r".+")
_WORDS = re.compile(r"\S+\s*")
_NAMES = re.compile(r"(?:\S*?[^\s_-]{4,}[_-]+|\S+)\s*")
_LONGEST_WORD = 24
_BETWEEN = 2
_NOTHING = "–"


@dataclass(frozen=True)
class Answer:
    """Rows under the names of their columns.

    Attributes:
        title: what was asked, for a person.
        zone: of the bay.
        columns: those that a table shows, in order; JSON and CSV have every key of the rows.
        rows: values as the history has them.
        empty: what a person reads where there are no rows.
        spare: columns that a table leaves out together where there is no room, the first ones first.
        known: what the answer rests on; None where it rests on no slot.
        source: the database.
        durations: columns that are lengths of time even where no row has one.
    """

    title: str
    zone: ZoneInfo
    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    empty: str = "nothing"
    spare: tuple[tuple[str, ...], ...] = ()
    known: AsOf | Coverage | None = None
    source: str = ""
    durations: tuple[str, ...] = ()

    def to_table(self, width: int) -> Group:
        """For a terminal of so many characters.

        Words, ids and times stay whole: a long text goes on in the next line, a long name does so
        behind a `_` or `-`. Where even that is too wide, the columns of `spare` are left out, in
        their order, and the table says so.
        """
        shown = {name: [self._shown(row[name]) for row in self.rows] for name in self.columns}
        pieces = {name: self._pieces(name) for name in self.columns}
        least = {name: _least(name, cells, pieces[name]) for name, cells in shown.items()}
        kept = list(self.columns)
        for group in self.spare:
            if _total([least[name] for name in kept]) > width:
                kept = [name for name in kept if name not in group]
        widths = _spread({name: least[name] for name in kept}, {name: _widest(shown[name]) for name in kept}, width)
        table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        for name in kept:
            numbers = any(isinstance(row[name], int | float | timedelta) for row in self.rows)
            table.add_column(name.replace("_", " "), justify="right" if numbers else "left", width=widths[name])
        for number in range(len(self.rows)):
            lines = (_lines(shown[name][number], widths[name], pieces[name]) for name in kept)
            table.add_row(*(Text("\n".join(each)) for each in lines))
        above = Text(f"{self.title} (times: {self.zone.key})\n", "bold")
        return Group(above, table, *self._below([name for name in self.columns if name not in kept]))

    def to_json(self) -> str:
        """One document: what it rests on, the zone, units, and a mapping for each row."""
        document = {
            "title": self.title,
            "timezone": self.zone.key,
            "source": self.source,
            "known": None if self.known is None else self.known.to_dict(),
            "units": dict.fromkeys(self._durations(), "s"),
            "rows": [{name: self._plain(value) for name, value in row.items()} for row in self.rows],
        }
        return json.dumps(document, ensure_ascii=False, indent=1)

    def to_csv(self) -> str:
        """A line for each row below a line of names; nested values are JSON, durations seconds (`…_s`)."""
        text = io.StringIO()
        names = self._names()
        writer = csv.writer(text, lineterminator="\n")
        durations = self._durations()
        writer.writerow([f"{name}_s" if name in durations else name for name in names])
        for row in self.rows:
            plain = (self._plain(row[name]) for name in names)
            writer.writerow([json.dumps(one) if isinstance(one, list | dict) else one for one in plain])
        return text.getvalue()

    def write_parquet(self, path: Path) -> None:
        """Write the rows as a Parquet file: times with their zone, durations, outlines as WKT, nested values as JSON.

        Raises:
            ConfigError: polars is not installed, or the file cannot be written.
        """
        try:
            import polars as pl
        except ImportError:
            raise ConfigError(
                "--parquet needs polars, which the extra `observer` installs; --csv needs nothing"
            ) from None
        columns = {name: [self._typed(row[name]) for row in self.rows] for name in self._names()}
        try:
            pl.DataFrame(columns, strict=False).write_parquet(path)
        except OSError as error:
            raise ConfigError(f"--parquet {path}: cannot be written: {error.strerror or error}") from error

    def _names(self) -> list[str]:
        return list(self.rows[0]) if self.rows else list(self.columns)

    def _durations(self) -> list[str]:
        return [
            name
            for name in self._names()
            if name in self.durations or any(isinstance(row[name], timedelta) for row in self.rows)
        ]

    def _typed(self, value: object) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(self.zone)
        if isinstance(value, Polygon):
            return value.wkt
        if isinstance(value, Mapping | tuple):
            return json.dumps(self._plain(value), ensure_ascii=False)
        return value

    def _below(self, left_out: Sequence[str]) -> list[Text]:
        said = [] if self.rows else [self.empty]
        if left_out:
            names = ", ".join(name.replace("_", " ") for name in left_out)
            said.append(f"no room for {names}: widen the terminal, or ask with --json or --csv")
        if isinstance(self.known, Coverage):
            said.append(self.known.said(self.zone))
        if self.source:
            said.append(self.source)
        return [Text(one, "dim") for one in said]

    def _pieces(self, column: str) -> re.Pattern[str]:
        """What stays in one line of a column's cells."""
        if any(isinstance(row[column], datetime | timedelta) for row in self.rows):
            return _WHOLE
        return _WORDS if column in (*_IDENTITIES, *_TEXTS) else _NAMES

    def _shown(self, value: object) -> str:
        if value is None or value in ("", {}, ()):
            return _NOTHING
        if isinstance(value, datetime):
            return f"{value.astimezone(self.zone):%Y-%m-%d %H:%M}"
        if isinstance(value, timedelta):
            minutes = round(value.total_seconds() / 60)
            return f"{minutes // 60}:{minutes % 60:02d} h"
        if isinstance(value, float):
            return f"{value:.2f}"
        if isinstance(value, Mapping):
            return ", ".join(f"{key}: {one}" for key, one in sorted(value.items()))
        if isinstance(value, tuple):
            return ", ".join(map(str, value))
        return str(value)

    def _plain(self, value: object) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(self.zone).isoformat()
        if isinstance(value, timedelta):
            return value.total_seconds()
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Polygon):
            return [list(corner) for corner in value.exterior.coords[:-1]]
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, tuple):
            return list(value)
        return value


def _least(column: str, cells: Sequence[str], pieces: re.Pattern[str]) -> int:
    """The narrowest that a column may be."""
    words = column.split("_") + [piece for cell in cells for piece in pieces.findall(cell)]
    longest = max(len(word.rstrip()) for word in words)
    return min(longest, _LONGEST_WORD) if column in _TEXTS else longest


def _widest(cells: Sequence[str]) -> int:
    return max(map(len, cells), default=0)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * (len(widths) - 1)


def _spread(least: Mapping[str, int], wanted: Mapping[str, int], width: int) -> dict[str, int]:
    """Widths of columns: what is left over goes to those that want it, the first one first."""
    widths = dict(least)
    over = width - _total(list(least.values()))
    for name in least:
        more = max(0, min(over, wanted[name] - widths[name]))
        widths[name] += more
        over -= more
    return widths


def _lines(text: str, width: int, pieces: re.Pattern[str]) -> list[str]:
    """A cell in lines of at most so many characters, broken between its pieces only; a longer piece is cut."""
    lines = [""]
    for piece in pieces.findall(text):
        if lines[-1] and len(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]
