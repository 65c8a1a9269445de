"""Versions: found again by any reference, with their bodies and fragments."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, select

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.errors import BadReference, TrimtabError, UnknownPrompt, UnknownVersion
from trimtab.prompts.reference import Reference, parse_reference
from trimtab.prompts.version import Version, stored_version

# Decoded versions kept at hand; they are immutable and a few KiB each.
_KEPT = 4_096

LiveSha = Callable[[Connection, str, str], str | None]


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One registered version; `version` is its semver. The body is read by `Versions.body`."""

    prompt: str
    sha: str
    version: str
    tag: str | None
    kind: str
    author: str
    at: datetime
    meta: dict[str, Any]  # as registered


class Versions:
    """Finds versions; `registration.Registration` adds them."""

    def __init__(
        self, database: Database, *, environments: Collection[str], live_sha: LiveSha
    ) -> None:
        self._database = database
        self._environments = list(environments)
        self._live_sha = live_sha
        self._decoded: dict[str, Version] = {}

    def resolve(self, reference: str, *, environment: str | None = None) -> VersionRecord:
        """The version that `NAME@…` names; a bare `NAME` is what is live in `environment`.

        Raises:
            BadReference: It cannot be read, fits several versions, or needs an environment.
            UnknownPrompt: No prompt of this name.
            UnknownVersion: The prompt has no such version.
        """
        read = parse_reference(reference, environments=self._environments)
        with self._database.read() as connection:
            return self.find(connection, read, environment=environment)

    def find(
        self, connection: Connection, reference: Reference, *, environment: str | None
    ) -> VersionRecord:
        """The same for a reference that was read, inside a transaction."""
        table = tables.versions
        match reference.kind:
            case "sha":
                found = table.c.sha.startswith(reference.value, autoescape=True)
            case "semver":
                found = table.c.semver == reference.value
            case "tag":
                found = table.c.tag == reference.value
            case _:
                where = reference.value if reference.kind == "environment" else environment
                found = table.c.sha == self._live(connection, reference.prompt, where)
        query = select(table).where(table.c.prompt == reference.prompt, found).limit(2)
        rows = connection.execute(query).mappings().all()
        if not rows:
            raise self._not_found(connection, reference)
        if len(rows) > 1:
            shas = " and ".join(f"{row['sha'][:16]}…" for row in rows)
            raise BadReference(
                f'"{reference.prompt}@sha:{reference.value}" fits more than one version '
                f"({shas}, …); give more digits"
            )
        return _record(rows[0])

    def named(
        self, connection: Connection, prompt: str, named: str, *, environment: str | None
    ) -> VersionRecord:
        """The version of `prompt` that a request names: `1.4.0`, `sha:…`, a tag, a full sha."""
        text = named if "@" in named else f"{prompt}@{named}"
        if len(named) == 64 and all(digit in "0123456789abcdef" for digit in named):
            text = f"{prompt}@sha:{named}"
        reference = parse_reference(text, environments=self._environments)
        if reference.prompt != prompt:
            raise BadReference(
                f'"{named}" names prompt "{reference.prompt}", but the request is about '
                f'"{prompt}"; name a version of "{prompt}"'
            )
        return self.find(connection, reference, environment=environment)

    def versions(self, prompt: str) -> list[VersionRecord]:
        """All versions of a prompt, newest first."""
        table = tables.versions
        query = select(table).where(table.c.prompt == prompt).order_by(table.c.id.desc())
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        if not rows:
            raise unknown_prompt(prompt)
        return [_record(row) for row in rows]

    def prompts(self) -> list[str]:
        """The names of all prompts, sorted."""
        query = select(tables.prompts.c.name).order_by(tables.prompts.c.name)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def body(self, sha: str) -> bytes:
        """The canonical JSON whose sha256 is `sha` (full, lower-case hex)."""
        query = select(tables.versions.c.body).where(tables.versions.c.sha == sha).limit(1)
        with self._database.read() as connection:
            body = connection.execute(query).scalar()
        if body is None:
            raise UnknownVersion(f"no version has sha {sha!r}; push its prompt file first")
        return bytes(body)

    def load(self, connection: Connection, shas: Iterable[str]) -> dict[str, Version]:
        """The decoded versions of these shas."""
        wanted = set(shas)
        missing = [sha for sha in wanted if sha not in self._decoded]
        found: dict[str, Version] = {}
        if missing:
            table = tables.versions
            query = select(table.c.sha, table.c.body).where(table.c.sha.in_(missing))
            for sha, body in connection.execute(query):
                found[sha] = stored_version(sha, body)
        versions = {sha: found.get(sha) or self._decoded.get(sha) for sha in wanted}
        if lost := sorted(sha for sha, version in versions.items() if version is None):
            raise UnknownVersion(f"no version has sha {lost[0]!r}; push its prompt file first")
        return {sha: version for sha, version in versions.items() if version is not None}

    def with_fragments(self, shas: Iterable[str]) -> dict[str, Version]:
        """These versions and every fragment they include, transitively, by sha."""
        with self._database.read() as connection:
            found = self._closure(connection, shas)
        self._keep(found)
        return found

    def committed(self, connection: Connection, shas: Iterable[str]) -> dict[str, Version]:
        """These versions, read in a transaction that changes nothing, and kept for the next time.

        Only what a reader saw is kept: a change that is rolled back leaves nothing here.
        """
        found = self.load(connection, shas)
        self._keep(found)
        return found

    def _keep(self, found: Mapping[str, Version]) -> None:
        """Keep decoded versions; from time to time all are forgotten."""
        if len(self._decoded) > _KEPT:
            self._decoded = {}
        self._decoded.update(found)

    def fragments_of(self, sha: str) -> dict[str, Version]:
        """The fragments a version includes, transitively, by sha."""
        return {key: value for key, value in self.with_fragments([sha]).items() if key != sha}

    def _closure(self, connection: Connection, shas: Iterable[str]) -> dict[str, Version]:
        """Breadth first through `includes`; registration made sure that there are no cycles."""
        found: dict[str, Version] = {}
        front = set(shas)
        while front:
            layer = self.load(connection, front)
            found.update(layer)
            included = {sha for version in layer.values() for sha in version.includes.values()}
            front = included - set(found)
        return found

    def _live(self, connection: Connection, prompt: str, environment: str | None) -> str:
        """The sha that is live in the environment."""
        if environment is None:
            raise BadReference(
                f'"{prompt}" names no version; add one, as in "{prompt}@1.0.0" or "{prompt}@prod"'
            )
        sha = self._live_sha(connection, environment, prompt)
        if sha is None:
            raise UnknownVersion(
                f'"{prompt}" was never released in "{environment}"; name a version, as in '
                f'"{prompt}@1.0.0", or promote one'
            )
        return sha

    def _not_found(self, connection: Connection, reference: Reference) -> TrimtabError:
        """What to raise for a reference that names nothing."""
        rows = version_rows(connection, reference.prompt)
        if not rows:
            return unknown_prompt(reference.prompt)
        known = ", ".join(row["semver"] for row in rows[-10:])
        return UnknownVersion(
            f'"{reference.prompt}" has no version "{reference.value}"; the newest are {known}'
        )


def version_rows(connection: Connection, prompt: str) -> Sequence[RowMapping]:
    """The rows of a prompt's versions without their bodies, in the order of registration."""
    columns = [column for column in tables.versions.c if column.name != "body"]
    query = select(*columns).where(tables.versions.c.prompt == prompt)
    return connection.execute(query.order_by(tables.versions.c.id)).mappings().all()


def unknown_prompt(prompt: str) -> UnknownPrompt:
    """What to raise for a prompt that nobody registered."""
    return UnknownPrompt(f'there is no prompt "{prompt}"; push its file, or see `trimtab ls`')


def _record(row: RowMapping) -> VersionRecord:
    """The record of a row."""
    return VersionRecord(
        prompt=row["prompt"],
        sha=row["sha"],
        version=row["semver"],
        tag=row["tag"],
        kind=row["kind"],
        author=row["author"],
        at=row["at"],
        meta=row["meta"],
    )
