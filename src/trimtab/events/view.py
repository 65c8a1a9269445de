"""The view: Parquet and journals as one table of events, in a DuckDB in memory."""

import os
import tempfile
import threading
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from trimtab.events.columns import COLUMNS, DAY, PLACE, json_columns, number_lines
from trimtab.events.journal import Chunk, list_journals, read_from
from trimtab.events.manifest import Manifest
from trimtab.events.schema import KINDS

THREADS = 2
CHUNK_BYTES = 8 * 2**20

_ALL = ", ".join(f'"{name}"' for name in (*COLUMNS, *PLACE, "day"))
_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    # Extensions would come from the network; what is used here is built in.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def connect(*, threads: int = THREADS) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory that loads nothing from the network."""
    connection = duckdb.connect(":memory:", config={**_SETTINGS, "threads": threads})
    connection.execute("SET lock_configuration = true")
    return connection


def load_numbered(
    connection: duckdb.DuckDBPyConnection, data: bytes, *, journal: str, start: int
) -> None:
    """Insert whole journal lines into the table `recent`; lines that are no events are skipped."""
    fd, path = tempfile.mkstemp(suffix=".jsonl")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(number_lines(data, start=start))
        connection.execute(
            f"INSERT INTO recent BY NAME SELECT *, $journal AS journal, {DAY} AS day"  # noqa: S608 - our own names
            " FROM read_json($path, format = 'newline_delimited', ignore_errors = true,"
            f" columns = {json_columns()}) WHERE day IS NOT NULL AND list_contains($kinds, kind)",
            {"journal": journal, "path": path, "kinds": list(KINDS)},
        )
    finally:
        Path(path).unlink()


def create_recent(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the empty table `recent`: all columns, then where each row came from."""
    types = {**COLUMNS, **PLACE, "day": "DATE"}
    columns = ", ".join(f'"{name}" {type_}' for name, type_ in types.items())
    connection.execute(f"CREATE TABLE recent ({columns})")


class EventView:
    """Every event that was acknowledged, once each, for SQL over the relation `events`.

    Rows of journals that are not compacted yet are kept in memory and read on from where the last
    question stopped; compacted ones are read from their Parquet files. Safe for threads: one
    question at a time.
    """

    def __init__(self, lake: Path, journals: Path) -> None:
        self._lake = lake
        self._journals = journals
        self._manifest = Manifest(lake / "manifest.jsonl")
        self._lock = threading.Lock()
        self._connection = connect()
        create_recent(self._connection)
        self._read_to: dict[str, int] = {}

    def close(self) -> None:
        """Free the memory."""
        with self._lock:
            self._connection.close()

    # Any: rows and values are as wide as SQL.
    def query(
        self,
        select: str,
        values: Mapping[str, Any] | None = None,
        *,
        kinds: Collection[str],
        where: str = "true",
        since: date | None = None,
        until: date | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of a SELECT over `events`, as dicts.

        Args:
            select: SQL with `$name` parameters.
            values: The parameters; `kinds`, `files`, `first_day`, `last_day` are taken.
            kinds: Kinds of events that `events` holds.
            where: Which rows it holds, before duplicates go; much quicker than in `select`.
            since: First day of it, by the date inside the event's id.
            until: Its last day.
        """
        first_day, last_day = since or date.min, until or date.max
        bound: dict[str, Any] = {"kinds": list(kinds), "first_day": first_day, "last_day": last_day}
        bound |= values or {}
        with self._lock:
            self._refresh()
            files = self._files(kinds, first_day, last_day)
            if files:
                bound["files"] = files
            relation = _events(where, parquet=bool(files))
            found = self._connection.execute(f"{relation} {select}", bound)
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _files(self, kinds: Collection[str], since: date, until: date) -> list[str]:
        first, last = since.isoformat(), until.isoformat()
        return [
            str(self._lake / file.path)
            for entry in self._manifest.read().values()
            for file in entry.files
            if file.kind in kinds and first <= file.day <= last
        ]

    def _refresh(self) -> None:
        """Read on in the journals; forget what has been compacted since."""
        for journal in list_journals(self._journals):
            if journal.name not in self._manifest.read():
                self._read_on(journal.name)
        # After the journals: one that vanished while they were read stands in the manifest now.
        gone = self._manifest.read().keys() & self._read_to.keys()
        for name in gone:
            self._connection.execute("DELETE FROM recent WHERE journal = ?", [name])
            del self._read_to[name]
        if gone:
            self._connection.execute("CHECKPOINT")  # else the memory of deleted rows is kept

    def _read_on(self, name: str) -> None:
        while (chunk := self._next(name)) is not None and chunk.data:
            load_numbered(self._connection, chunk.data, journal=name, start=chunk.start)
            self._read_to[name] = chunk.end

    def _next(self, name: str) -> Chunk | None:
        offset = self._read_to.get(name, 0)
        return read_from(self._journals, name, offset=offset, limit=CHUNK_BYTES)


def day_before(day: date) -> date:
    """The day before, or the first there is."""
    return day if day == date.min else day - timedelta(days=1)


def _events(where: str, *, parquet: bool) -> str:
    """The relation `events`: one row an id, the first received of its duplicates."""
    recent = (
        f"SELECT {_ALL} FROM recent"  # noqa: S608 - our own names
        " WHERE list_contains($kinds, kind) AND day BETWEEN $first_day AND $last_day"
    )
    compacted = (
        f" UNION ALL BY NAME SELECT {_ALL} FROM read_parquet($files, union_by_name = true,"  # noqa: S608 - our own names
        " hive_partitioning = true, hive_types = {'kind': VARCHAR, 'day': DATE})"
        if parquet
        else ""
    )
    return (
        f"WITH found AS ({recent}{compacted}), events AS (SELECT * FROM found WHERE {where} QUALIFY"  # noqa: S608 - our own names
        ' row_number() OVER (PARTITION BY event_id ORDER BY received_at, journal, "offset") = 1)'
    )
