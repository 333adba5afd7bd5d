"""Answers of the history for a person or a program: a table, JSON, CSV. Times are the bay's own, zone told."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.table import Table
from shapely import Polygon

_IDENTITIES = ("track_id", "block", "camera")
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
    """

    title: str
    zone: ZoneInfo
    columns: tuple[str, ...]
    rows: Sequence[Mapping[str, Any]]
    empty: str = "nothing"

    def to_table(self) -> Table:
        """For a terminal."""
        caption = None if self.rows else self.empty
        table = Table(
            title=f"{self.title} (times: {self.zone.key})", title_justify="left", box=SIMPLE_HEAD, caption=caption
        )
        for column in self.columns:
            numbers = any(isinstance(row[column], int | float | timedelta) for row in self.rows)
            whole = column in _IDENTITIES or any(isinstance(row[column], datetime) for row in self.rows)
            # What is too long goes on in the next line: half an id or half a stage tells nothing.
            table.add_column(
                column.replace("_", " "), justify="right" if numbers else "left", no_wrap=whole, overflow="fold"
            )
        for row in self.rows:
            table.add_row(*(self._shown(row[column]) for column in self.columns))
        return table

    def to_json(self) -> str:
        """One document: the zone, and a mapping for each row. Durations are seconds."""
        rows = [{name: self._plain(value) for name, value in row.items()} for row in self.rows]
        return json.dumps({"title": self.title, "timezone": self.zone.key, "rows": rows}, ensure_ascii=False, indent=1)

    def to_csv(self) -> str:
        """A line for each row below a line of names; what has parts of its own is JSON. Durations are seconds."""
        text = io.StringIO()
        names = list(self.rows[0]) if self.rows else list(self.columns)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        for row in self.rows:
            plain = (self._plain(row[name]) for name in names)
            writer.writerow([json.dumps(one) if isinstance(one, list | dict) else one for one in plain])
        return text.getvalue()

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
        if isinstance(value, Polygon):
            return [list(corner) for corner in value.exterior.coords[:-1]]
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, tuple):
            return list(value)
        return value
