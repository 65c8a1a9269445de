"""The audit log: what was decided, by whom and why, in a chain of hashes from the first row."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, select

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.prompts.canonical import digest

# What the first row names as the hash before it.
GENESIS = "0" * 64
# Rows read at once while the chain is checked.
_BATCH = 1_000


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; `hash` covers every other field, `prev_hash` included."""

    seq: int
    at: datetime
    actor: str
    action: str
    environment: str | None
    prompt: str | None
    details: dict[str, Any]  # facts of any shape, by the action
    prev_hash: str
    hash: str


class AuditBreak(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where the chain does not hold; `seq` is the row that should stand there."""

    seq: int
    problem: str


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What reading the whole chain found: rows that hold, the last one's hash, the first break."""

    count: int
    head: str
    broken: AuditBreak | None = None


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and `Z`: the one form in which times are hashed."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def row_hash(row: Mapping[str, Any]) -> str:
    """The sha256 of a row: of the canonical JSON of all its fields but `hash`."""
    facts = {name: row[name] for name in AuditRow.__struct_fields__ if name != "hash"}
    return digest({**facts, "at": timestamp(row["at"])})


class AuditLog:
    """Reads the audit log; rows are added by `ledger.Change` alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(
        self,
        *,
        limit: int = 100,
        environment: str | None = None,
        prompt: str | None = None,
        action: str | None = None,
        before_seq: int | None = None,
    ) -> list[AuditRow]:
        """The newest rows first, at most `limit`; `before_seq` pages on."""
        table = tables.audit
        query = select(table).order_by(table.c.seq.desc()).limit(limit)
        wanted = {"environment": environment, "prompt": prompt, "action": action}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(table.c[name] == value)
        if before_seq is not None:
            query = query.where(table.c.seq < before_seq)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query).mappings()]

    def verify(self, *, count: int | None = None, head: str | None = None) -> AuditCheck:
        """Read the whole chain and say where it breaks first, if it does.

        Every published revision noted the chain's length and head; these notes are held against
        it too, so that a cut end shows.

        Args:
            count: A length the chain had at some time, from a payload kept elsewhere.
            head: The hash it had then.
        """
        with self._database.read() as connection:
            notes = _notes(connection)
            if count is not None and head is not None:
                notes.setdefault(count, []).append(head)
            return _walk(connection, notes=notes)


def _record(row: RowMapping) -> AuditRow:
    """The record of a row."""
    return AuditRow(**{name: row[name] for name in AuditRow.__struct_fields__})


def _notes(connection: Connection) -> dict[int, list[str]]:
    """The heads that revisions noted, by the chain's length."""
    table = tables.revisions
    notes: dict[int, list[str]] = {}
    for count, head in connection.execute(select(table.c.audit_count, table.c.audit_head)):
        notes.setdefault(count, []).append(head)
    return notes


def _walk(connection: Connection, *, notes: Mapping[int, list[str]]) -> AuditCheck:
    """Follow the chain from the first row to the last, or to the first break."""
    count, head = 0, GENESIS
    query = select(tables.audit).order_by(tables.audit.c.seq)
    rows = connection.execution_options(yield_per=_BATCH).execute(query).mappings()
    for row in rows:
        if problem := _problem(row, seq=count + 1, head=head, noted=notes.get(count + 1, [])):
            broken = AuditBreak(seq=count + 1, problem=problem)
            return AuditCheck(count=count, head=head, broken=broken)
        count, head = row["seq"], row["hash"]
    if (longest := max(notes, default=0)) > count:
        problem = f"the chain ends after row {count}, but a revision noted {longest} rows"
        return AuditCheck(count=count, head=head, broken=AuditBreak(seq=count + 1, problem=problem))
    return AuditCheck(count=count, head=head)


def _problem(row: RowMapping, *, seq: int, head: str, noted: list[str]) -> str | None:
    """What is wrong with the row that should be number `seq`; None if nothing is."""
    if row["seq"] != seq:
        return f"row {seq} is missing; the next one is {row['seq']}"
    if row["prev_hash"] != head:
        return f"row {seq} follows {row['prev_hash'][:12]}…, the row before has {head[:12]}…"
    if (found := row_hash(dict(row))) != row["hash"]:
        return f"row {seq} was changed: it says {row['hash'][:12]}…, its facts {found[:12]}…"
    if other := [note for note in noted if note != row["hash"]]:
        return f"row {seq} has {row['hash'][:12]}…, but a revision noted {other[0][:12]}…"
    return None
