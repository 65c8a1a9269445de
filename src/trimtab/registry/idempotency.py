"""Idempotency keys: a write that is sent twice happens once and is answered alike."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.errors import BadInput, Conflict
from trimtab.registry.principals import Principal

# How long an answer is kept: longer than any sender keeps trying.
KEPT = timedelta(hours=24)
# A write that began this long ago and left no answer is taken for dead, and may be sent again.
ABANDONED = timedelta(seconds=60)
MAX_KEY_LENGTH = 256


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a write was answered."""

    status: int
    body: Any  # JSON of any shape


class Idempotency:
    """Remembers answers by principal and idempotency key."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def begin(self, principal: Principal, key: str, *, digest: str) -> Answer | None:
        """The answer this write got before; None: it is new, do it, then `finish` or `forget`.

        Args:
            principal: Who sends it; keys of two principals never meet.
            key: The sender's key, 1 to 256 characters.
            digest: Of method, path and body, so that one key cannot stand for two writes.

        Raises:
            Conflict: The key stands for another write, or the same one is still at work.
        """
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            raise BadInput(
                f"the idempotency key has {len(key)} characters, want 1 to {MAX_KEY_LENGTH}; "
                "a UUID does well"
            )
        table, now = tables.idempotency, self._clock()
        mine = (table.c.principal == principal.name) & (table.c.key == key)
        with self._database.write() as connection:
            connection.execute(delete(table).where(table.c.at < now - KEPT))
            row = connection.execute(select(table).where(mine)).mappings().first()
            if row is None:
                connection.execute(
                    insert(table).values(principal=principal.name, key=key, digest=digest, at=now)
                )
                return None
            if row["digest"] != digest:
                raise Conflict(
                    f'idempotency key "{key}" was used for another request; use a fresh one'
                )
            if row["response"] is not None:
                return msgspec.convert(row["response"], Answer)
            if now - row["at"] < ABANDONED:
                raise Conflict(
                    f'the request with idempotency key "{key}" is still at work; '
                    "ask again in a second"
                )
            connection.execute(update(table).where(mine).values(at=now))
            return None

    def finish(self, principal: Principal, key: str, *, answer: Answer) -> None:
        """Keep the answer of a write that `begin` let through."""
        table = tables.idempotency
        with self._database.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.principal == principal.name, table.c.key == key)
                .values(response=msgspec.to_builtins(answer))
            )

    def forget(self, principal: Principal, key: str) -> None:
        """Let the same key be sent again: the write failed and changed nothing."""
        table = tables.idempotency
        with self._database.write() as connection:
            connection.execute(
                delete(table).where(
                    table.c.principal == principal.name,
                    table.c.key == key,
                    table.c.response.is_(None),
                )
            )
