"""The evidence: an SQLite file of sums that the fold writes and every test and page reads.

The file is used through `sqlite3` itself: a commit touches thousands of rows, and each layer above
would double what one costs. It runs with `synchronous=NORMAL`: the death of a process loses
nothing, and after a power cut the last commits may be gone whole, totals, ids and offsets
together, so that the fold reads the same bytes of the journal again. Only before a journal is
deleted must its commits be on disk for sure: `sync`.
"""

import sqlite3
import threading
import weakref
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from trimtab.errors import ConfigError
from trimtab.events.door import utc_text
from trimtab.events.rollup import VersionRollup
from trimtab.events.rows import TABLES, Rows, side_of
from trimtab.events.totals import BaselineHistory, EpochTotals, SideTotals
from trimtab.stats.quantiles import BucketHistogram

FORMAT = 1
CACHE_KIB = 64_000
KEEP_SEEN = timedelta(days=9)
PURGE_SLICE = 2_000


class CommitRange(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes `[start, end)` of a journal that were folded in a row; `seq` orders all of them."""

    seq: int
    journal: str
    start: int
    end: int


class OutcomeTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What became known of one side: `n` outcomes, `n_value` of them with a value, their sum."""

    plan_id: str
    epoch: int
    variant: str
    name: str
    n: int
    n_value: int
    total: float


class Evidence:
    """The store. One process folds; any thread may read, and sees whole commits only.

    Raises:
        ConfigError: The file was written in another format.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._write_lock, self._read_lock = threading.Lock(), threading.Lock()
        # A store that nobody closed, or that could not be opened, lets go of its file all the same.
        self._writer = _connect(path)
        weakref.finalize(self, self._writer.close)
        self._prepare()
        self._reader = _connect(path)
        weakref.finalize(self, self._reader.close)
        self._reader.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Close the file."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._writer.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """A write transaction: all of it or nothing."""
        with self._write_lock:
            cursor = self._writer.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:  # a full disk has ended it already
                    cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def rows(self) -> Iterator[Rows]:
        """A write transaction over rows that are saved at its end."""
        with self.transaction() as cursor:
            rows = Rows(cursor)
            yield rows
            rows.save()

    def sync(self) -> None:
        """Put every commit on disk, so that a power cut cannot undo it."""
        with self._write_lock:
            self._writer.execute("PRAGMA wal_checkpoint(FULL)").fetchone()

    def forget_ids(self, newest: datetime) -> int:
        """Drop up to 2,000 ids made more than 9 days before `newest`; how many were dropped.

        The door keeps what is older than 8 days out of the totals, so that a lost id cannot make
        an event count twice.
        """
        oldest_ms = int((newest - KEEP_SEEN).timestamp() * 1000)
        with self.transaction() as cursor:
            return cursor.execute(
                "DELETE FROM seen WHERE id IN (SELECT id FROM seen WHERE id < ? LIMIT ?)",
                (oldest_ms.to_bytes(6, "big"), PURGE_SLICE),
            ).rowcount

    def totals(self, plan_ids: Collection[str]) -> dict[str, list[EpochTotals]]:
        """All epochs of these plans, oldest first; an empty list for a plan without events."""
        epochs: dict[tuple[str, int], dict[str, SideTotals]] = {}
        for plan_id, epoch, variant, *columns in self._read(
            "SELECT plan_id, epoch, variant, n_units, new_units, n_requests, switched, counts,"
            " latency_ms FROM epoch_totals WHERE segment = '' AND plan_id IN"
            " (SELECT value FROM json_each(?)) ORDER BY plan_id, epoch, variant",
            msgspec.json.encode(list(plan_ids)).decode(),
        ):
            epochs.setdefault((plan_id, epoch), {})[variant] = side_of(columns).totals()
        totals: dict[str, list[EpochTotals]] = {plan_id: [] for plan_id in plan_ids}
        for (plan_id, epoch), sides in epochs.items():
            totals[plan_id].append(EpochTotals(plan_id=plan_id, epoch=epoch, sides=sides))
        return totals

    def history(
        self, environment: str, prompt: str, sha: str, *, since: datetime
    ) -> BaselineHistory:
        """What a version did since the beginning of `since`'s hour, in plans and outside."""
        key = (environment, prompt, sha, utc_text(since)[:13])
        sums = self._read(
            "SELECT sum(n_latency), sum(k_flagged), sum(n_flagged), sum(k_failed), sum(n_failed)"
            " FROM minute_totals WHERE environment = ? AND prompt = ? AND sha = ?"
            " AND segment = '' AND minute >= ?",
            *key,
        )[0]
        latency_ms = BucketHistogram()
        for (blob,) in self._read(
            "SELECT latency_ms FROM hour_histograms WHERE environment = ? AND prompt = ?"
            " AND sha = ? AND segment = '' AND hour >= ?",
            *key,
        ):
            latency_ms.merge(BucketHistogram.decode(blob))
        n_requests, k_flagged, n_flagged, k_failed, n_failed = (n or 0 for n in sums)
        return BaselineHistory(
            n_requests=n_requests,
            latency_ms=latency_ms.encode() if n_requests else b"",
            k_flagged=k_flagged,
            n_flagged=n_flagged,
            k_failed=k_failed,
            n_failed=n_failed,
        )

    def rollup(
        self, environment: str, *, prompt: str | None = None, since: datetime | None = None
    ) -> list[VersionRollup]:
        """Sums by version since the beginning of `since`'s hour, most requests first."""
        key = (environment, prompt, prompt, "" if since is None else utc_text(since)[:13])
        histograms: dict[tuple[str, str], BucketHistogram] = {}
        for name, sha, blob in self._read(
            "SELECT prompt, sha, latency_ms FROM hour_histograms WHERE environment = ?"
            " AND (? IS NULL OR prompt = ?) AND segment = '' AND hour >= ?",
            *key,
        ):
            one = histograms.setdefault((name, sha), BucketHistogram())
            one.merge(BucketHistogram.decode(blob))
        rows = self._read(
            "SELECT prompt, max(version), sha, sum(n_requests), sum(latency_ms), sum(n_latency),"
            " sum(input_tokens), sum(output_tokens), sum(cost_usd), sum(n_cost), sum(k_flagged),"
            " sum(n_flagged), sum(k_failed), sum(n_failed) FROM minute_totals"
            " WHERE environment = ? AND (? IS NULL OR prompt = ?) AND segment = ''"
            " AND minute >= ? GROUP BY prompt, sha ORDER BY 4 DESC, prompt, sha",
            *key,
        )
        return [_rollup(row, histograms.get((row[0], row[2]))) for row in rows]

    def outcomes(self, plan_ids: Collection[str]) -> list[OutcomeTotals]:
        """Outcomes by side of these plans."""
        rows = self._read(
            "SELECT plan_id, epoch, variant, name, n, n_value, total FROM outcome_totals"
            " WHERE plan_id IN (SELECT value FROM json_each(?))"
            " ORDER BY plan_id, epoch, variant, name",
            msgspec.json.encode(list(plan_ids)).decode(),
        )
        fields = OutcomeTotals.__struct_fields__
        return [OutcomeTotals(**dict(zip(fields, row, strict=True))) for row in rows]

    def unjoined(self, environment: str | None = None) -> dict[str, int]:
        """Outcomes that found no variant, by reason."""
        return dict(
            self._read(
                "SELECT reason, sum(n) FROM unjoined WHERE ? IS NULL OR environment = ?"
                " GROUP BY reason ORDER BY reason",
                *(environment, environment),
            )
        )

    def n_pending(self) -> int:
        """Outcomes still looking for their variant."""
        return int(self._read("SELECT count(*) FROM pending")[0][0])

    def counters(self) -> dict[str, int]:
        """What the fold has counted since the beginning: events, duplicates, late, clock, …."""
        return dict(self._read("SELECT name, n FROM counters ORDER BY name"))

    def offsets(self) -> dict[str, int]:
        """How far each journal was folded, in bytes."""
        return dict(self._read("SELECT journal, folded FROM offsets"))

    def commits(self) -> list[CommitRange]:
        """All folded ranges in their order."""
        return [
            CommitRange(seq=seq, journal=journal, start=start, end=end)
            for seq, journal, start, end in self._read(
                'SELECT seq, journal, start, "end" FROM commits ORDER BY seq'
            )
        ]

    # Any: what a column holds is known by the statement alone.
    def _read(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._read_lock:
            return self._reader.execute(statement, values).fetchall()

    def _prepare(self) -> None:
        found = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if found not in {0, FORMAT}:
            raise ConfigError(
                f"{self.path} has format {found}, this version reads {FORMAT};"
                " move the file away: it is rebuilt from the events"
            )
        self._writer.executescript(TABLES)
        self._writer.execute(f"PRAGMA user_version = {FORMAT}")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for pragma in (
            "busy_timeout = 5000",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            f"cache_size = -{CACHE_KIB}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise ConfigError(
            f"{path} is damaged ({error}); delete it with its -wal and -shm beside it: the next"
            " start makes it anew from the events"
        ) from error
    return connection


def _rollup(row: Sequence[Any], latency_ms: BucketHistogram | None) -> VersionRollup:
    return VersionRollup(
        prompt=row[0],
        version=row[1],
        sha=row[2],
        n=row[3],
        mean_latency_ms=_ratio(row[4], row[5]),
        p95_latency_ms=None if latency_ms is None else latency_ms.quantile(0.95),
        input_tokens=row[6],
        output_tokens=row[7],
        cost_usd=row[8] if row[9] else None,
        flagged_rate=_ratio(row[10], row[11]),
        error_rate=_ratio(row[12], row[13]),
    )


def _ratio(k: float, n: float) -> float | None:
    return k / n if n else None
