"""Rows of the evidence database: loaded once a commit, changed in memory, written back together."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from trimtab.events.tally import Entry, FirstCount, Minute, Side, Stay, Unit
from trimtab.stats.quantiles import BucketHistogram

TABLES = """
CREATE TABLE IF NOT EXISTS unit_totals (
  unit BLOB, plan_id TEXT, epoch INTEGER, variant TEXT, first_at TEXT,
  environment TEXT, prompt TEXT, n_requests INTEGER, state TEXT,
  PRIMARY KEY (unit, plan_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epoch_totals (
  plan_id TEXT, epoch INTEGER, variant TEXT, segment TEXT, n_units INTEGER, new_units INTEGER,
  n_requests INTEGER, switched INTEGER, counts TEXT, latency_ms BLOB,
  PRIMARY KEY (plan_id, epoch, variant, segment)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS minute_totals (
  environment TEXT, prompt TEXT, minute TEXT, plan_id TEXT, epoch INTEGER, variant TEXT, sha TEXT,
  model TEXT, segment TEXT, version TEXT, n_requests INTEGER, n_failed INTEGER, k_failed INTEGER,
  n_flagged INTEGER, k_flagged INTEGER, n_latency INTEGER, latency_ms REAL, input_tokens INTEGER,
  output_tokens INTEGER, n_cost INTEGER, cost_usd REAL,
  PRIMARY KEY (environment, prompt, minute, plan_id, epoch, variant, sha, model, segment)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hour_histograms (
  environment TEXT, prompt TEXT, hour TEXT, plan_id TEXT, epoch INTEGER, variant TEXT, sha TEXT,
  model TEXT, segment TEXT, latency_ms BLOB,
  PRIMARY KEY (environment, prompt, hour, plan_id, epoch, variant, sha, model, segment)
  ) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcome_totals (
  plan_id TEXT, epoch INTEGER, variant TEXT, name TEXT, n INTEGER, n_value INTEGER, total REAL,
  PRIMARY KEY (plan_id, epoch, variant, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unjoined (
  environment TEXT, reason TEXT, n INTEGER, PRIMARY KEY (environment, reason)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
  id BLOB PRIMARY KEY, due_ms INTEGER, tries INTEGER, entry TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending_due ON pending (due_ms);
CREATE TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offsets (journal TEXT PRIMARY KEY, folded INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS commits (
  seq INTEGER PRIMARY KEY, journal TEXT, start INTEGER, "end" INTEGER);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
"""

_json = msgspec.json.Encoder().encode


class MinuteKey(NamedTuple):
    """Which minute (or hour) of what; '' and 0 stand for no plan."""

    environment: str
    prompt: str
    at: str
    plan_id: str
    epoch: int
    variant: str
    sha: str
    model: str


class OutcomeKey(NamedTuple):
    """Which outcome of which side."""

    plan_id: str
    epoch: int
    variant: str
    name: str


class Counts(msgspec.Struct, kw_only=True):
    """The maps of a side, as JSON in one column."""

    k: dict[str, int]
    n: dict[str, int]
    first_k: dict[str, dict[int, int]]
    sums: dict[str, tuple[int, float, float, float]]


class UnitState(msgspec.Struct, kw_only=True):
    """The maps of a unit, as JSON in one column."""

    stays: dict[int, Stay]
    counted: dict[str, list[FirstCount]] = {}


_counts = msgspec.json.Decoder(Counts).decode
_state = msgspec.json.Decoder(UnitState).decode


def id_bytes(text: str) -> bytes:
    """An event id or unit key as stored: its 16 bytes."""
    return bytes.fromhex(text.replace("-", ""))


# Any: what a column holds is known by the statement alone.
def side_of(row: Sequence[Any]) -> Side:
    """A side from the columns n_units … latency_ms of `epoch_totals`."""
    maps = _counts(row[4])
    return Side(
        n_units=row[0],
        new_units=row[1],
        n_requests=row[2],
        switched=row[3],
        k=maps.k,
        n=maps.n,
        first_k=maps.first_k,
        sums=maps.sums,
        latency_ms=BucketHistogram.decode(row[5]),
    )


# Any: as above.
def unit_of(row: Sequence[Any]) -> Unit:
    """A unit from the columns epoch … state of `unit_totals`."""
    state = _state(row[6])
    return Unit(
        epoch=row[0],
        variant=row[1],
        first_at=row[2],
        environment=row[3],
        prompt=row[4],
        n_requests=row[5],
        stays=state.stays,
        counted=state.counted,
    )


class Rows:
    """The rows of one transaction, by key; each is read at its first use and kept until `save`."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor
        self._units: dict[tuple[str, str], Unit | None] = {}
        self._sides: dict[tuple[str, int, str], Side] = {}
        self._minutes: dict[MinuteKey, Minute] = {}
        self._hours: dict[MinuteKey, BucketHistogram] = {}
        self._counters: dict[str, int] = {}

    def is_first(self, event_id: str) -> bool:
        """Whether this id was never folded; from now on it was."""
        add = "INSERT OR IGNORE INTO seen VALUES (?)"
        return self._cursor.execute(add, (id_bytes(event_id),)).rowcount == 1

    def folded(self, journal: str) -> int:
        """How far a journal was folded, in bytes."""
        read = "SELECT folded FROM offsets WHERE journal = ?"
        row = self._cursor.execute(read, (journal,)).fetchone()
        return 0 if row is None else int(row[0])

    def unit(self, plan_id: str, unit_key: str) -> Unit | None:
        """A unit's row in a plan; None before its first exposure."""
        key = (plan_id, unit_key)
        if key in self._units:
            return self._units[key]
        row = self._cursor.execute(
            "SELECT epoch, variant, first_at, environment, prompt, n_requests, state"
            " FROM unit_totals WHERE unit = ? AND plan_id = ?",
            (id_bytes(unit_key), plan_id),
        ).fetchone()
        unit = None if row is None else unit_of(row)
        self._units[key] = unit
        return unit

    def open_unit(self, plan_id: str, unit_key: str, unit: Unit) -> Unit:
        """Enter a unit that had no row."""
        self._units[plan_id, unit_key] = unit
        return unit

    def side(self, plan_id: str, epoch: int, variant: str) -> Side:
        """Totals of one side, empty at first."""
        key = (plan_id, epoch, variant)
        if key not in self._sides:
            row = self._cursor.execute(
                "SELECT n_units, new_units, n_requests, switched, counts, latency_ms"
                " FROM epoch_totals"
                " WHERE plan_id = ? AND epoch = ? AND variant = ? AND segment = ''",
                key,
            ).fetchone()
            self._sides[key] = Side() if row is None else side_of(row)
        return self._sides[key]

    def minute(self, key: MinuteKey) -> Minute:
        """Sums of one minute, empty at first."""
        if key not in self._minutes:
            row = self._cursor.execute(
                "SELECT version, n_requests, n_failed, k_failed, n_flagged, k_flagged, n_latency,"
                " latency_ms, input_tokens, output_tokens, n_cost, cost_usd"
                " FROM minute_totals WHERE environment = ? AND prompt = ? AND minute = ?"
                " AND plan_id = ? AND epoch = ? AND variant = ? AND sha = ?"
                " AND model = ? AND segment = ''",
                key,
            ).fetchone()
            found = {} if row is None else dict(zip(Minute.__struct_fields__, row, strict=True))
            self._minutes[key] = Minute(**found)
        return self._minutes[key]

    def hour(self, key: MinuteKey) -> BucketHistogram:
        """Latencies of one hour, empty at first."""
        if key not in self._hours:
            row = self._cursor.execute(
                "SELECT latency_ms FROM hour_histograms WHERE environment = ? AND prompt = ?"
                " AND hour = ? AND plan_id = ? AND epoch = ? AND variant = ? AND sha = ?"
                " AND model = ? AND segment = ''",
                key,
            ).fetchone()
            self._hours[key] = BucketHistogram.decode(b"" if row is None else row[0])
        return self._hours[key]

    def count(self, name: str, *, times: int = 1) -> None:
        """Add to a counter of the fold."""
        self._counters[name] = self._counters.get(name, 0) + times

    def wait(self, entry: Entry) -> None:
        """Keep an outcome until it finds its variant."""
        self._cursor.execute(
            "INSERT INTO pending VALUES (?, 0, 0, ?)",
            (id_bytes(entry.event_id), _json(entry).decode()),
        )

    def advance(self, journal: str, *, start: int, end: int, seq: int | None) -> None:
        """Move the journal's offset; a piece that follows the last commit is one with it."""
        cursor = self._cursor
        cursor.execute("INSERT OR REPLACE INTO offsets VALUES (?, ?)", (journal, end))
        last = cursor.execute(
            'SELECT seq, journal, "end" FROM commits ORDER BY seq DESC LIMIT 1'
        ).fetchone()
        continues = last is not None and last[1:] == (journal, start) and seq in {None, last[0]}
        if continues:
            cursor.execute('UPDATE commits SET "end" = ? WHERE seq = ?', (end, last[0]))
        else:
            cursor.execute("INSERT INTO commits VALUES (?, ?, ?, ?)", (seq, journal, start, end))

    def save(self) -> None:
        """Write back every row that was read."""
        many = self._cursor.executemany
        many("INSERT OR REPLACE INTO unit_totals VALUES (?,?,?,?,?,?,?,?,?)", self._unit_rows())
        many("INSERT OR REPLACE INTO epoch_totals VALUES (?,?,?,?,?,?,?,?,?,?)", self._side_rows())
        many(
            "INSERT OR REPLACE INTO minute_totals"
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            ((*key, "", *msgspec.structs.astuple(row)) for key, row in self._minutes.items()),
        )
        many(
            "INSERT OR REPLACE INTO hour_histograms VALUES (?,?,?,?,?,?,?,?,?,?)",
            ((*key, "", row.encode()) for key, row in self._hours.items()),
        )
        many(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            self._counters.items(),
        )

    def _unit_rows(self) -> Iterable[tuple[object, ...]]:
        for (plan_id, unit_key), unit in self._units.items():
            if unit is not None:
                state = _json(UnitState(stays=unit.stays, counted=unit.counted)).decode()
                first = (unit.epoch, unit.variant, unit.first_at, unit.environment, unit.prompt)
                yield (id_bytes(unit_key), plan_id, *first, unit.n_requests, state)

    def _side_rows(self) -> Iterable[tuple[object, ...]]:
        for key, side in self._sides.items():
            counts = Counts(k=side.k, n=side.n, first_k=side.first_k, sums=side.sums)
            totals = (side.n_units, side.new_units, side.n_requests, side.switched)
            yield (*key, "", *totals, _json(counts).decode(), side.latency_ms.encode())
