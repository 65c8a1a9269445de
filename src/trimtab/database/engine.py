"""The database's engine: one writer at a time, readers that never wait for it."""

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError
from sqlalchemy.pool import ConnectionPoolEntry

from trimtab.errors import ConfigError

# How long a writer of another process may hold the file before ours gives up.
BUSY_TIMEOUT_MS = 10_000
# Readers beyond this many at once wait for a free connection.
READERS = 8


class Database:
    """An open SQLite database in WAL mode; `open_database` makes one, `close` ends it.

    Writers of this process take turns (a lock, then `BEGIN IMMEDIATE`, which holds for other
    processes too); readers see the last commit and wait for nobody.
    """

    def __init__(self, *, path: Path, writer: Engine, reader: Engine) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._turn = threading.Lock()
        # A database that nobody closed lets go of its file when it is collected.
        weakref.finalize(self, _dispose, writer, reader)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: commits at the end, rolls back on any exception.

        Not re-entrant: a second `write` inside the first would wait for itself.
        """
        with self._turn, self._writer.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads one consistent state; writing in it is an error."""
        with self._reader.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Give back all connections; the database cannot be used afterwards."""
        self._reader.dispose()
        self._writer.dispose()

    def __enter__(self) -> Self:
        """Nothing happens here; `close` comes at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def _dispose(*engines: Engine) -> None:
    for engine in engines:
        engine.dispose()


def open_database(where: str | Path) -> Database:
    """Open the database file at `where` (a path or a `sqlite:///…` URL), made if absent.

    The file is readable by its owner only: it holds the installation's secret. Tables come with
    `migrate.upgrade`.

    Raises:
        ConfigError: The folder does not exist, the file is no database, or the URL names another
            database system.
    """
    path = _path_of(where)
    if not path.parent.is_dir():
        raise ConfigError(
            f"cannot open database {str(path)!r}: there is no folder {str(path.parent)!r}; "
            "create it, or name another file"
        )
    try:
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot open database {str(path)!r}: {error.strerror}") from error
    database = Database(
        path=path,
        writer=_engine(path, begin="BEGIN IMMEDIATE", pool_size=1, read_only=False),
        reader=_engine(path, begin="BEGIN", pool_size=READERS, read_only=True),
    )
    _try_out(database)
    return database


def _path_of(where: str | Path) -> Path:
    """The file that a path or URL names."""
    if isinstance(where, Path) or "://" not in where:
        return Path(where)
    try:
        url = make_url(where)
    except ArgumentError as error:
        raise ConfigError(
            f"cannot read database URL {where!r}; write a path or sqlite:///PATH"
        ) from error
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ConfigError(
            f"database URL {url.render_as_string()!r} is not a SQLite file; "
            "write a path or sqlite:///PATH"
        )
    return Path(url.database)


def _engine(path: Path, *, begin: str, pool_size: int, read_only: bool) -> Engine:
    """An engine whose transactions open with `begin`, on connections set up for WAL."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        _set_up(connection, read_only=read_only)

    @event.listens_for(engine, "begin")
    def take(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _set_up(connection: DBAPIConnection, *, read_only: bool) -> None:
    """Leave transactions to us, and set what SQLite keeps per connection."""
    if not isinstance(connection, sqlite3.Connection):
        raise TypeError(f"want a sqlite3 connection, got {type(connection).__name__}")
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"query_only = {'ON' if read_only else 'OFF'}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _try_out(database: Database) -> None:
    """Open the file once, so that a wrong one is named here and not at the first query."""
    try:
        with database.write():
            pass
    except DatabaseError as error:
        database.close()
        raise ConfigError(
            f"cannot open database {str(database.path)!r}: {error.orig}; name a file made by "
            "`trimtab init`"
        ) from error
