"""The history's database: where it is, its schema, and what its errors mean.

SQLite serves one host. A set-up with several hosts names PostgreSQL. A login may be part
of the address, so that errors name host, port and database and nothing else.

Alembic migrates the schema (`migrations/`, part of the installed package). A new SQLite gets
the newest one at once; an older one is brought up to date at first use, in one exclusive
transaction for which other processes wait. PostgreSQL has other users and perhaps another owner: there a person runs
`bay-observation history migrate`, and until then every other call fails with that remedy.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError as BadUrlError
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError

from bay_observation import settings
from bay_observation.errors import ConfigError, HistoryError, HistoryUnavailableError, NotObservedError
from tracking.history.schema import SCHEMA_VERSION, VERSION_TABLE, metadata

if TYPE_CHECKING:
    from alembic.config import Config

LOCK_PATIENCE_S = 300.0
"""How long a writer waits for another one of its bay."""

_FILE = "history.db"
_CONNECT_S = 10
# A writer whose host lost the network must not keep its bay's lock for TCP's two hours.
_POSTGRESQL = {
    "connect_timeout": _CONNECT_S,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "application_name": "bay-observation",
}
# First key of the advisory locks: the bytes "bays". The second is the bay's.
_LOCK_SPACE = int.from_bytes(b"bays", "big")
_LOCK_NOT_AVAILABLE = "55P03"
_READ_ONLY_FAULTS = ("readonly", "read-only")
_DAMAGED = ("not a database", "malformed")


def database_url(data_root: Path) -> str:
    """`HISTORY_DB`, or SQLite in the file `history.db` of the data root."""
    return settings.HISTORY_DB.read() or f"sqlite:///{data_root / _FILE}"


class Database:
    """One history database. Nothing is opened before it is asked for something.

    Args:
        url: an SQLAlchemy address: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST:PORT/NAME`.

    Raises:
        ConfigError: it is no such address.
        HistoryUnavailableError: the driver for it is not installed.
    """

    def __init__(self, url: str | URL) -> None:
        self._url = _parsed(url)
        self.location = _without_login(self._url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = self._made()
        # Several statements of one answer see one state; SQLite's transactions always do.
        one_state = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._readers = self._engine.execution_options(**one_state)
        self._checked = False
        self._shared: ContextVar[Connection | None] = ContextVar("shared", default=None)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the history; within `together`, the one of that.

        Raises:
            NotObservedError: nothing was written yet.
            HistoryUnavailableError: the database cannot be used.
        """
        with self._errors():
            if self.is_sqlite and not self._file().exists():
                raise NotObservedError(
                    f"no history yet: {self.location} appears with the first batch that is tracked;"
                    " is DATA_PATH that of the bay, or HISTORY_DB to be set?"
                )
            self._check()
            if (shared := self._shared.get()) is not None:
                yield shared
                return
            with self._readers.connect() as connection, connection.begin():
                yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within, all reading of this thread is of one transaction.

        Raises:
            NotObservedError: nothing was written yet.
            HistoryUnavailableError: the database cannot be used.
        """
        with self.reading() as connection:
            token = self._shared.set(connection)
            try:
                yield
            finally:
                self._shared.reset(token)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection to write with, outside of any transaction.

        Raises:
            HistoryUnavailableError: the database cannot be used.
        """
        with self._errors():
            self._check()
            with self._engine.execution_options(writes=True).connect() as connection:
                yield connection

    @contextmanager
    def exclusive(self, bay_id: str) -> Iterator[Connection]:
        """The same, as the bay's only writer.

        In PostgreSQL by an advisory lock of the session: it works between hosts, whatever the
        shared storage is, and ends with the connection, so that a writer that is killed leaves
        none. (A pooler that hands out transactions, as pgbouncer can, breaks it: connect past it.)
        SQLite is one host's; there the lock of the artifact store (`artifacts.exclusive`)
        keeps writers of a bay apart, and every transaction that writes locks the file.

        Raises:
            HistoryError: another process held the bay for `LOCK_PATIENCE_S`.
            HistoryUnavailableError: the database cannot be used.
        """
        with self.writing() as connection:
            if not self.is_sqlite:
                connection.detach()  # closing it then ends the session, and with it the lock
                self._lock(connection, bay_id)
            yield connection

    def migrate(self) -> str | None:
        """Bring the schema up to date; returns the version before, None for an empty database.

        Raises:
            HistoryUnavailableError: the database cannot be used, or is newer than this code.
        """
        with self._errors():
            if self.is_sqlite:
                self._make_folder()
            with self._engine.execution_options(writes=True).connect() as connection, connection.begin():
                if not self.is_sqlite:
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_SPACE, 0)))
                before = _version(connection)
                self._refuse_newer(before)
                if before is None and self.is_sqlite and not sa.inspect(connection).get_table_names():
                    _create(connection)
                elif before != SCHEMA_VERSION:
                    _upgrade(connection)
            self._checked = True
            return before

    def close(self) -> None:
        """Close what is open."""
        self._engine.dispose()

    # -- inside --------------------------------------------------------------------------------

    def _made(self) -> Engine:
        try:
            if self.is_sqlite:
                engine = sa.create_engine(self._url, connect_args={"timeout": LOCK_PATIENCE_S})
                sa.event.listen(engine, "connect", _leave_transactions_to_us)
                sa.event.listen(engine, "begin", _begin)
                return engine
            engine = sa.create_engine(self._url, connect_args=_POSTGRESQL, pool_pre_ping=True)
            sa.event.listen(engine, "connect", _set_up)
            return engine
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise HistoryUnavailableError(
                f"history {self.location}: no driver: pip install 'bay-observation[postgres]' on this host"
            ) from error

    def _file(self) -> Path:
        return Path(self._url.database or "")

    def _make_folder(self) -> None:
        folder = self._file().parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HistoryUnavailableError(f"{folder}: cannot be made: {error.strerror or error}") from error

    def _check(self) -> None:
        if self._checked:
            return
        if self.is_sqlite and not self._file().exists():
            self.migrate()
            return
        with self._engine.connect() as connection:
            version = _version(connection)
        self._refuse_newer(version)
        if version != SCHEMA_VERSION:
            if not self.is_sqlite:
                raise HistoryUnavailableError(
                    f"history {self.location}: its schema is {version or 'not there'}, this version needs"
                    f" {SCHEMA_VERSION}: run `bay-observation history migrate`"
                )
            self.migrate()
        self._checked = True

    def _refuse_newer(self, version: str | None) -> None:
        if version is not None and version > SCHEMA_VERSION:
            raise HistoryUnavailableError(
                f"history {self.location}: its schema is {version}, this version knows up to {SCHEMA_VERSION}:"
                " install the version of bay-observation that wrote it"
            )

    def _lock(self, connection: Connection, bay_id: str) -> None:
        key = crc32(bay_id.encode()) - 2**31  # PostgreSQL's int4 has a sign
        try:
            connection.exec_driver_sql(f"SET lock_timeout = {int(1000 * LOCK_PATIENCE_S)}")
            connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK_SPACE, key)))
            connection.exec_driver_sql("SET lock_timeout = 0")
            connection.commit()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            raise HistoryError(
                f"history {self.location}: bay {bay_id} is held by another process for {LOCK_PATIENCE_S:g} s:"
                " is one stuck?"
            ) from error

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise HistoryUnavailableError(f"history {self.location}: {_reason(error)}") from error
        except SQLAlchemyError as error:
            raise HistoryUnavailableError(f"history {self.location}: {error}") from error


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (BadUrlError, ValueError):
        # Neither the text nor the cause is repeated: there may be a password in them.
        raise ConfigError(
            "HISTORY_DB is no database address: write sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"
        ) from None
    backend = parsed.drivername.partition("+")[0]
    if backend in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise ConfigError(
            f"HISTORY_DB: a history lives in sqlite:///FILE or postgresql://..., not in {_without_login(parsed)}"
        )
    return parsed


def _without_login(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f"sqlite:///{url.database}"
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"


def _reason(error: DBAPIError) -> str:
    said = " ".join(str(error.orig).split())
    if any(word in said for word in _READ_ONLY_FAULTS):
        return f"{said}: it must be writable by this user"
    if any(word in said for word in _DAMAGED):
        return (
            f"{said}: the file is damaged: put a backup in its place, or move it away and run"
            " `bay-observation history rebuild BAY` for each bay, which makes it of the artifacts that are kept"
        )
    if isinstance(error.orig, sqlite3.Error):
        return f"{said}: can its file be written, is there room on its disk, and does no other program hold it?"
    return f"{said or type(error.orig).__name__}: is the server up, and are address and login right?"


def _leave_transactions_to_us(connection: Any, _: Any) -> None:
    # The driver begins transactions late, after the first reads; a writer must lock before it reads.
    connection.isolation_level = None


def _set_up(connection: Any, _: Any) -> None:
    connection.autocommit = True
    # Times then come as they are handed on: to convert each takes longer than to read it.
    connection.execute("SET TIME ZONE 'UTC'")
    # No answer takes so long that starting other processes for it pays.
    connection.execute("SET max_parallel_workers_per_gather = 0")
    connection.autocommit = False


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: Connection) -> str | None:
    """Of the schema; None where there is none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant


def _create(connection: Connection) -> None:
    """What the migrations make of an empty SQLite, without alembic: in a quarter of the time."""
    metadata.create_all(connection, checkfirst=False)
    # As alembic makes it.
    version = sa.Column("version_num", sa.String(32), nullable=False)
    kept = sa.Table(
        VERSION_TABLE, sa.MetaData(), version, sa.PrimaryKeyConstraint(version, name=f"{VERSION_TABLE}_pkc")
    )
    kept.create(connection, checkfirst=False)
    connection.execute(kept.insert().values(version_num=SCHEMA_VERSION))


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(_migrations(connection), "head")


def _migrations(connection: Connection) -> "Config":
    from alembic.config import Config

    config = Config()  # of no file: alembic then leaves the process's logging alone
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
