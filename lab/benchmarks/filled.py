"""A PostgreSQL filled with a year of bays, and a folder of such a server that is kept to be asked again.

The rows come by COPY into tables that were emptied in the same transaction, and the indexes
after them: PostgreSQL then writes no log of them, and sorts each index once.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg.sql import SQL, Identifier

from bay_observation.errors import SimulationError
from bays import load_bay
from lab.benchmarks import year
from lab.benchmarks.year import SLOTS_A_DAY, Rows, Year
from lab.services.postgresql import PostgreSQL
from tracking.history import History
from tracking.history.schema import SCHEMA_VERSION, metadata

START = datetime(2025, 1, 1, tzinfo=UTC)
"""First slot of every bay, unless another is asked for."""

BAY = "3bay_north"
"""The bay of which all are copies."""

FILLING = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "512MB",
    "autovacuum": "off",  # what is filled is vacuumed and analysed at the end
}
"""Settings of the server while it is filled. Questions are asked of PostgreSQL's defaults."""

_NOTE = "fill.json"
_TABLES = ("tracks", "positions", "events", "batches", "camera_failures")


@dataclass(frozen=True)
class Fill:
    """What a server was filled with.

    Attributes:
        bays: how many.
        blocks: that stand in each.
        start: first slot of every bay, as ISO 8601.
        days: that each was watched.
        seed: of the first bay; the others count on from it.
        years: how many of the bays have a year of their own; the others repeat one of them.
        schema: version of the history's schema.
        source: digest of the code that made the rows.
        tracks: how many blocks there ever were, by bay.
        rows: by table.
        seconds: that filling took.
    """

    bays: int
    blocks: int
    start: str
    days: int
    seed: int
    years: int
    schema: str
    source: str
    tracks: dict[str, int]
    rows: dict[str, int]
    seconds: float

    @classmethod
    def of(cls, folder: Path) -> Self:
        """That of a folder that was kept.

        Raises:
            SimulationError: there is none, it was not filled to its end, or by another version, or cannot be read.
        """
        note = folder / _NOTE
        if not note.exists():
            state = "was not filled to its end" if (folder / "data").exists() else "holds no filled server"
            raise SimulationError(f"{folder} {state}: fill an empty folder with --fill FOLDER")
        try:
            found = cls(**json.loads(note.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise SimulationError(f"{note} cannot be read: {error}: fill an empty folder with --fill FOLDER") from error
        if (found.schema, found.source) != (SCHEMA_VERSION, _source()):
            raise SimulationError(
                f"{folder} was filled by another version (schema {found.schema}, now {SCHEMA_VERSION};"
                f" rows by {found.source}, now {_source()}): fill an empty folder with --fill FOLDER"
            )
        return found

    def keep(self, folder: Path) -> None:
        """Note in the server's folder that it is filled."""
        (folder / _NOTE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def refuse_used(folder: Path) -> None:
    """A fill needs a folder of its own.

    Raises:
        SimulationError: there is something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SimulationError(f"{folder} is not empty: --fill needs a folder of its own")


def fill(
    server: PostgreSQL,
    *,
    bays: int,
    blocks: int,
    days: int,
    seed: int,
    start: datetime = START,
    years: int | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Fill:
    """Fill an empty server.

    Args:
        server: that runs with `FILLING`.
        bays: how many, all of them like `BAY`.
        blocks: that stand in each.
        days: that each is watched.
        seed: of the first bay.
        start: its first slot (aware).
        years: how many bays have a year of their own; the others repeat them, which costs less to make.
            All of them by default.
        on_progress: called with how far it came.
    """
    began = time.monotonic()
    with History(server.url) as history:
        history.database.migrate()
    bay, rows, many = load_bay(BAY), Rows(), min(bays, years or bays)
    lived = [
        Year(bay, _name(number), rows, seed=seed + number, blocks=blocks, start=start, days=days)
        for number in range(many)
    ]
    repeated = [(_name(number % many), _name(number)) for number in range(many, bays)]
    with psycopg.connect(server.url, autocommit=True) as connection:
        with connection.transaction():
            indexes = _without_indexes(connection)
            names = SQL(", ").join(Identifier(f"history_{table}") for table in _TABLES)
            connection.execute(SQL("TRUNCATE {}").format(names))
            for slot in range(days * SLOTS_A_DAY):
                for one in lived:
                    one.live(slot)
                if (slot + 1) % SLOTS_A_DAY == 0:
                    _copy(connection, rows.take(), repeated)
                if (slot + 1) % (30 * SLOTS_A_DAY) == 0:
                    on_progress(
                        f"{(slot + 1) // SLOTS_A_DAY} of {days} days filled in {time.monotonic() - began:.0f} s"
                    )
            for statement in indexes:
                connection.execute(statement.encode())
        on_progress(f"indexes made after {time.monotonic() - began:.0f} s")
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
        counted = {table: _count(connection, table) for table in _TABLES}
    tracks = {one.bay_id: one.tracks for one in lived}
    tracks |= {name: tracks[of] for of, name in repeated}
    return Fill(
        bays=bays,
        blocks=blocks,
        start=start.isoformat(),
        days=days,
        seed=seed,
        years=many,
        schema=SCHEMA_VERSION,
        source=_source(),
        tracks=tracks,
        rows=counted,
        seconds=time.monotonic() - began,
    )


def _name(number: int) -> str:
    return f"bay{number:02d}"


def _without_indexes(connection: psycopg.Connection[Any]) -> list[str]:
    """Drop what is no key, and hand back how to make it again."""
    asked = "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'ix_history_%'"
    found = connection.execute(asked).fetchall()
    for name, _ in found:
        connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))
    return [definition for _, definition in found]


def _copy(connection: psycopg.Connection[Any], rows: dict[str, list[str]], repeated: Sequence[tuple[str, str]]) -> None:
    """Write rows of all bays, and those of one bay again under the name of another."""
    for table, lines in rows.items():
        # By name: what a later version adds at the end of a table, and a filled yard does not have, stays null.
        columns = [column.name for column in metadata.tables[table].c][: lines[0].count("\t") + 1]
        names = SQL(", ").join(map(Identifier, columns))
        statement = SQL("COPY {} ({}) FROM STDIN (FREEZE)").format(Identifier(table), names)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write("\n".join(lines) + "\n")
            for of, name in repeated:
                own = "".join(f"{line}\n" for line in lines if line.startswith(f"{of}\t"))
                copy.write(own.replace(of, name))


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    statement = SQL("SELECT count(*) FROM {}").format(Identifier(f"history_{table}"))
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _source() -> str:
    """Of the rows: another `year.py` would make others."""
    return hashlib.sha256(Path(year.__file__).read_bytes()).hexdigest()[:12]
