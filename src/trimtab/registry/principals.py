"""Principals: API keys, what they may do and where; secrets are kept as sha256 only."""

import hashlib
import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Literal, get_args

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.errors import (
    BadInput,
    Conflict,
    Forbidden,
    KeyMismatch,
    NotFound,
    Unauthorized,
    UnknownEnvironment,
)
from trimtab.registry.ledger import Change, Ledger

Scope = Literal["decide", "render", "read", "author", "approve", "operate", "pin", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
# Keys of applications: they belong to exactly one environment.
ONE_ENVIRONMENT: frozenset[Scope] = frozenset({"decide", "render"})
# Scopes that hold everywhere: keys are the project's, and what is read tells of all environments.
WHOLE_PROJECT: frozenset[Scope] = frozenset({"admin", "read"})
# Actors that are no keys: the ramp's controller, and trimtab itself (init, adopted policies).
RESERVED_NAMES = frozenset({"autopilot", "trimtab"})
# A secret made elsewhere must still be beyond guessing.
MIN_SECRET_LENGTH = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts; `environments` None means all of them."""

    name: str
    scopes: frozenset[Scope]
    environments: frozenset[str] | None
    key_id: str

    @property
    def environment(self) -> str | None:
        """The one environment of an application's key; None for keys of several."""
        if self.environments is None or len(self.environments) != 1:
            return None
        return next(iter(self.environments))

    def require(self, scope: Scope, environment: str | None = None) -> None:
        """Do nothing if the principal may; else say what is missing.

        Raises:
            Forbidden: The key lacks the scope.
            KeyMismatch: It has it, but not in this environment.
        """
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes)) or "none"
            raise Forbidden(
                f'key "{self.name}" lacks scope "{scope}" (it has: {has}); '
                f'use a key with "{scope}", or ask an admin for one'
            )
        if environment is None or self.environments is None:
            return
        if environment not in self.environments:
            where = ", ".join(sorted(self.environments))
            raise KeyMismatch(
                f'key "{self.name}" belongs to {where}, not to environment "{environment}"; '
                f'use a key of "{environment}"'
            )


AUTOPILOT = Principal(
    name="autopilot",
    scopes=frozenset({"read", "operate"}),
    environments=None,
    key_id="",
)


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What may be shown of a key: everything but its secret."""

    id: str
    name: str
    scopes: list[Scope]
    environments: list[str] | None
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


class Principals:
    """Makes, checks and revokes keys."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        *,
        environments: Collection[str],
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._environments = list(environments)
        self._new_id = new_id
        self._new_secret = new_secret
        # Known secrets by digest, so that a request costs no query; emptied when a key changes.
        self._known: dict[str, Principal] = {}

    def create_key(
        self,
        actor: Principal,
        *,
        name: str,
        scopes: Collection[Scope],
        environments: Collection[str] | None = None,
        secret: str | None = None,
    ) -> str:
        """Make a key and give its secret, which nobody can be told again.

        Args:
            actor: Who makes it; needs scope `admin`.
            name: The principal in every row the key will write; unique among unrevoked keys.
            scopes: One or more; `decide` stands alone, for such keys may be public.
            environments: None means all; `decide` and `render` take exactly one.
            secret: A secret made elsewhere, of at least 16 characters.
        """
        actor.require("admin")
        with self._ledger.change() as change:
            secret = self.add(
                change,
                by=actor.name,
                name=name,
                scopes=scopes,
                environments=environments,
                secret=secret,
            )
        self._known = {}
        return secret

    def add(
        self,
        change: Change,
        *,
        by: str,
        name: str,
        scopes: Collection[Scope],
        environments: Collection[str] | None,
        secret: str | None = None,
    ) -> str:
        """The same inside a change that is already open and allowed."""
        self._check(name, scopes=scopes, environments=environments, secret=secret)
        if _active(change.connection, name) is not None:
            raise Conflict(f'a key named "{name}" exists; revoke it first, or choose another name')
        secret = secret or self._new_secret()
        digest = _sha256(secret)
        if change.connection.execute(
            select(tables.keys.c.id).where(tables.keys.c.secret_sha256 == digest)
        ).first():
            raise Conflict(f'the secret given for key "{name}" was used before; make a new one')
        facts = {
            "id": self._new_id(),
            "name": name,
            "scopes": [scope for scope in SCOPES if scope in scopes],
            "environments": None if environments is None else sorted(set(environments)),
        }
        change.connection.execute(
            insert(tables.keys).values(
                **facts, secret_sha256=digest, created_at=change.at, created_by=by
            )
        )
        change.record(by, "create_key", details=facts)
        return secret

    def authenticate(self, secret: str | None) -> Principal:
        """The principal of a secret.

        Raises:
            Unauthorized: No secret, one that is not known, or a revoked key's.
        """
        if not secret:
            raise Unauthorized("no key was given; send `Authorization: Bearer KEY`")
        digest = _sha256(secret)
        known = self._known
        if digest in known:
            return known[digest]
        with self._database.read() as connection:
            row = (
                connection.execute(select(tables.keys).where(tables.keys.c.secret_sha256 == digest))
                .mappings()
                .first()
            )
        if row is None:
            raise Unauthorized(
                "the key is not known to this server; check that it was copied whole and belongs "
                "to this installation"
            )
        if row["revoked_at"] is not None:
            raise Unauthorized(f'key "{row["name"]}" was revoked; ask an admin for a new one')
        principal = _principal(row)
        known[digest] = principal
        return principal

    def revoke(self, actor: Principal, name: str) -> KeyInfo:
        """End the key of this name; needs scope `admin`. What it did stays under its name."""
        actor.require("admin")
        with self._ledger.change() as change:
            row = _active(change.connection, name)
            if row is None:
                raise NotFound(f'there is no key named "{name}" that could be revoked')
            change.connection.execute(
                update(tables.keys)
                .where(tables.keys.c.id == row["id"])
                .values(revoked_at=change.at, revoked_by=actor.name)
            )
            change.record(actor.name, "revoke_key", details={"id": row["id"], "name": name})
        self._known = {}
        return msgspec.structs.replace(_info(row), revoked_at=change.at)

    def list_keys(self) -> list[KeyInfo]:
        """All keys, revoked ones included, oldest first."""
        query = select(tables.keys).order_by(tables.keys.c.created_at, tables.keys.c.name)
        with self._database.read() as connection:
            return [_info(row) for row in connection.execute(query).mappings()]

    def _check(
        self,
        name: str,
        *,
        scopes: Collection[Scope],
        environments: Collection[str] | None,
        secret: str | None,
    ) -> None:
        """Refuse a key that says something no key can be."""
        if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
            raise BadInput(
                f"{name!r} cannot name a key; use 1 to 64 letters, digits, '.', '_', '@', '-', "
                f"beginning with a letter or digit, and none of {', '.join(sorted(RESERVED_NAMES))}"
            )
        if unknown := sorted(set(scopes) - set(SCOPES)):
            raise BadInput(f"unknown scopes {unknown}; choose from {', '.join(SCOPES)}")
        if not scopes:
            raise BadInput(f'key "{name}" has no scope; choose from {", ".join(SCOPES)}')
        if "decide" in scopes and len(set(scopes)) > 1:
            raise BadInput(
                f'key "{name}" has scope "decide", which may be public, beside others; '
                "make a key of its own for it"
            )
        if secret is not None and len(secret) < MIN_SECRET_LENGTH:
            raise BadInput(
                f'the secret of key "{name}" has {len(secret)} characters, want at least '
                f"{MIN_SECRET_LENGTH}; leave it out to have one made"
            )
        self._check_environments(name, scopes=scopes, environments=environments)

    def _check_environments(
        self, name: str, *, scopes: Collection[Scope], environments: Collection[str] | None
    ) -> None:
        """Refuse environments that do not exist or do not fit the scopes."""
        known = ", ".join(self._environments)
        for environment in environments or []:
            if environment not in self._environments:
                raise UnknownEnvironment(
                    f'there is no environment "{environment}"; choose from {known}'
                )
        if environments is not None and not environments:
            raise BadInput(f'key "{name}" has no environment; name some of {known}, or all')
        if environments is not None and (whole := sorted(WHOLE_PROJECT & set(scopes))):
            raise BadInput(
                f'key "{name}" has scope {" and ".join(whole)}, which hold for the whole project, '
                f"and names environments; leave these out, or the scope"
            )
        count = None if environments is None else len(set(environments))
        if ONE_ENVIRONMENT & set(scopes) and count != 1:
            raise BadInput(
                f'key "{name}" has scope "decide" or "render" and must belong to exactly one '
                f"environment, got {'all' if count is None else count}; name one of {known}"
            )


def _sha256(secret: str) -> str:
    """What is stored of a secret; secrets are random, so a plain hash gives nothing away."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _active(connection: Connection, name: str) -> RowMapping | None:
    """The unrevoked key of this name."""
    table = tables.keys
    query = select(table).where(table.c.name == name, table.c.revoked_at.is_(None))
    return connection.execute(query).mappings().first()


def _principal(row: RowMapping) -> Principal:
    """The principal of a key's row."""
    where = row["environments"]
    return Principal(
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        environments=None if where is None else frozenset(where),
        key_id=row["id"],
    )


def _info(row: RowMapping) -> KeyInfo:
    """What may be shown of a key's row."""
    return KeyInfo(**{name: row[name] for name in KeyInfo.__struct_fields__})
