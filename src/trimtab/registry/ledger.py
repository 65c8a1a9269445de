"""The ledger: every change is one transaction with its time, its audit rows and its revisions."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.prompts.canonical import LARGEST_INTEGER
from trimtab.registry.audit import GENESIS, row_hash

_LOG = logging.getLogger(__name__)
_MICROSECOND = timedelta(microseconds=1)


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A revision that is committed; `committed` is the system's monotonic clock in seconds."""

    environment: str
    revision: int
    published_at: datetime
    committed: float


Listener = Callable[[Published], None]


class Change:
    """One writing transaction: what it says in the audit log and which environments it changes.

    Attributes:
        connection: The open transaction.
        at: The change's time: the clock's, but strictly later than that of any change before.
    """

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self.connection = connection
        table = tables.audit
        last = connection.execute(
            select(table.c.seq, table.c.hash, table.c.at).order_by(table.c.seq.desc()).limit(1)
        ).first()
        self._count: int = last.seq if last else 0
        self._head: str = last.hash if last else GENESIS
        self.at: datetime = max(now, last.at + _MICROSECOND) if last else now
        self._revisions: dict[str, int] = {}

    def record(
        self,
        actor: str,
        action: str,
        *,
        environment: str | None = None,
        prompt: str | None = None,
        details: Mapping[str, object],
    ) -> None:
        """Add a row to the audit log; `details` may hold records and infinite numbers."""
        row = {
            "seq": self._count + 1,
            "at": self.at,
            "actor": actor,
            "action": action,
            "environment": environment,
            "prompt": prompt,
            "details": plain(dict(details)),
            "prev_hash": self._head,
        }
        row["hash"] = row_hash(row)
        self.connection.execute(insert(tables.audit).values(row))
        self._count, self._head = self._count + 1, str(row["hash"])

    def publish(self, environment: str) -> int:
        """The revision of `environment` that this change publishes; one, however often asked."""
        if environment not in self._revisions:
            newest = newest_revision(self.connection, environment)
            self._revisions[environment] = newest + 1
        return self._revisions[environment]

    def seal(self) -> dict[str, int]:
        """Write the revisions with the audit chain as it now stands; the ledger calls it last."""
        for environment, revision in self._revisions.items():
            self.connection.execute(
                insert(tables.revisions).values(
                    environment=environment,
                    revision=revision,
                    published_at=self.at,
                    audit_count=self._count,
                    audit_head=self._head,
                )
            )
        return dict(self._revisions)


class Ledger:
    """Opens changes and tells listeners what was published."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._clock = clock
        self._monotonic = monotonic
        self._listeners: list[Listener] = []
        self._counting = threading.Lock()
        self._changes = 0

    @property
    def changes(self) -> int:
        """How many changes this process has committed; listeners hear of one that counts already.

        What was read after asking holds as long as the number stays.
        """
        return self._changes

    def on_publish(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every commit that publishes; the answer takes it off again.

        It is called in the thread of the change, outside the transaction: it should be quick, may
        read and change the registry, and may see two threads' revisions out of order. What it
        raises is logged: the change is committed already.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """A change: all of it is committed at the end of the block, or nothing on an exception."""
        with self._database.write() as connection:
            change = Change(connection, now=self._clock())
            yield change
            revisions = change.seal()
        committed = self._monotonic()
        with self._counting:
            self._changes += 1
        for environment, revision in revisions.items():
            self._tell(
                Published(
                    environment=environment,
                    revision=revision,
                    published_at=change.at,
                    committed=committed,
                )
            )

    def _tell(self, published: Published) -> None:
        """Tell every listener."""
        for listener in list(self._listeners):
            try:
                listener(published)
            except Exception:  # noqa: BLE001  # the commit stands, whatever a listener raises
                _LOG.exception(
                    "a listener failed on revision %d of %s",
                    published.revision,
                    published.environment,
                )


def newest_revision(connection: Connection, environment: str) -> int:
    """The environment's newest revision; 0 if nothing was published yet."""
    table = tables.revisions
    query = select(func.max(table.c.revision)).where(table.c.environment == environment)
    return connection.execute(query).scalar() or 0


def plain(value: object) -> Any:  # noqa: ANN401  # a JSON value of any shape
    """The JSON value of records and mappings; numbers JSON readers would change become text."""
    return _safe(msgspec.to_builtins(value))


def _safe(value: Any) -> Any:  # noqa: ANN401  # the same
    """The same for a value of built-in types; an e-value may be infinite, or beyond 2^53."""
    match value:
        case bool():
            return value
        case int() | float() if not abs(value) <= LARGEST_INTEGER:
            return str(value)
        case dict():
            return {str(key): _safe(item) for key, item in value.items()}
        case list() | tuple():
            return [_safe(item) for item in value]
        case _:
            return value
