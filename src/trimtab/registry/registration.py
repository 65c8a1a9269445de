"""Registration: each (prompt, sha) once, its fragments first, its number from the diff."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from trimtab.database import tables
from trimtab.errors import BadInput, Conflict, IdentityError, UnknownVersion
from trimtab.prompts.canonical import digest
from trimtab.prompts.reference import check_name, check_tag
from trimtab.prompts.semver import parse_semver
from trimtab.prompts.version import Version, suggest_semver
from trimtab.registry.ledger import Change, Ledger, plain
from trimtab.registry.principals import Principal
from trimtab.registry.versions import Versions, version_rows


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version to register; `meta` is what people say of it (description, owner, links, …)."""

    prompt: str
    version: Version
    semver: str | None = None
    tag: str | None = None
    meta: dict[str, Any] = {}  # JSON of any shape, shown and never read


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """Where a registration led; `created` is False if the version was there already."""

    prompt: str
    sha: str
    version: str
    tag: str | None
    created: bool


class Registration:
    """Registers versions."""

    def __init__(
        self, ledger: Ledger, versions: Versions, *, environments: Collection[str]
    ) -> None:
        self._ledger = ledger
        self._versions = versions
        self._environments = list(environments)

    def register(
        self,
        actor: Principal,
        *,
        prompt: str,
        version: Version,
        semver: str | None = None,
        tag: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Registered:
        """Register one version; the same (prompt, sha) again gives back what is there.

        Args:
            actor: Becomes the author; needs scope `author`.
            prompt: The prompt's name.
            version: What to register; its `includes` must be registered fragments.
            semver: Overrides the one suggested from the diff to the highest one there.
            tag: A name for it, unique in the prompt; given again with another tag, it changes.
            meta: What people say of it.
        """
        new = NewVersion(
            prompt=prompt, version=version, semver=semver, tag=tag, meta=dict(meta or {})
        )
        return self.register_set(actor, [new])[0]

    def register_set(self, actor: Principal, items: Sequence[NewVersion]) -> list[Registered]:
        """Register a whole folder in one transaction; answers stand in the order of `items`."""
        actor.require("author")
        for item in items:
            self._check(item)
        with self._ledger.change() as change:
            done = {
                id(item): self._register(change, actor, item) for item in fragments_first(items)
            }
        return [done[id(item)] for item in items]

    def _check(self, item: NewVersion) -> None:
        """Refuse names and shas that are not what they say."""
        check_name(item.prompt)
        if item.tag is not None:
            check_tag(item.tag, environments=self._environments)
        if item.semver is not None:
            parse_semver(item.semver)
        if digest(item.version.identity) != item.version.sha:
            raise IdentityError(
                f'the version given for "{item.prompt}" says sha {item.version.sha[:12]}…, its '
                "content has another; make it with `version_from_identity`"
            )

    def _register(self, change: Change, actor: Principal, item: NewVersion) -> Registered:
        """Register one, or find it."""
        connection = change.connection
        rows = version_rows(connection, item.prompt)
        known = next((row for row in rows if row["sha"] == item.version.sha), None)
        if known is not None:
            return self._register_again(change, actor, item, known)
        self._check_includes(connection, item)
        semver = item.semver or self._suggest(connection, rows, item)
        _check_free(rows, item, semver=semver)
        if not rows:
            connection.execute(
                insert(tables.prompts).values(
                    name=item.prompt, created_at=change.at, created_by=actor.name
                )
            )
        connection.execute(
            insert(tables.versions).values(
                prompt=item.prompt,
                sha=item.version.sha,
                semver=semver,
                tag=item.tag,
                kind=item.version.kind,
                body=item.version.body(),
                meta=plain(item.meta),
                author=actor.name,
                at=change.at,
            )
        )
        change.record(
            actor.name,
            "register",
            prompt=item.prompt,
            details={"sha": item.version.sha, "version": semver, "tag": item.tag},
        )
        return _registered(item, semver=semver, tag=item.tag, created=True)

    def _register_again(
        self, change: Change, actor: Principal, item: NewVersion, known: RowMapping
    ) -> Registered:
        """What is there stays; only its tag may change."""
        if item.semver not in {None, known["semver"]}:
            raise Conflict(
                f'this content of "{item.prompt}" is registered as {known["semver"]}, not '
                f"{item.semver}; a version keeps its number: change the prompt, or the number"
            )
        tag = item.tag or known["tag"]
        if tag != known["tag"]:
            _check_free(version_rows(change.connection, item.prompt), item, semver=None)
            self._retag(change, actor, item)
        return _registered(item, semver=known["semver"], tag=tag, created=False)

    def _retag(self, change: Change, actor: Principal, item: NewVersion) -> None:
        """Give a version another tag, and publish it where the prompt was released."""
        table = tables.versions
        change.connection.execute(
            update(table)
            .where(table.c.prompt == item.prompt, table.c.sha == item.version.sha)
            .values(tag=item.tag)
        )
        details = {"sha": item.version.sha, "tag": item.tag}
        change.record(actor.name, "tag", prompt=item.prompt, details=details)
        shown = select(tables.releases.c.environment).where(tables.releases.c.prompt == item.prompt)
        for environment in set(change.connection.execute(shown).scalars()):
            change.publish(environment)

    def _check_includes(self, connection: Connection, item: NewVersion) -> None:
        """Every include must be a registered fragment."""
        includes = item.version.includes
        table = tables.versions
        query = select(table.c.sha, table.c.kind).where(table.c.sha.in_(includes.values()))
        kinds = {row.sha: row.kind for row in connection.execute(query)}
        for name, sha in includes.items():
            if sha not in kinds:
                raise UnknownVersion(
                    f'"{item.prompt}" includes "{name}" with sha {sha[:12]}…, which is not '
                    "registered; push the fragment first, or the whole folder at once"
                )
            if kinds[sha] != "fragment":
                raise BadInput(
                    f'"{item.prompt}" includes "{name}", which is a {kinds[sha]}; only fragments '
                    "can be included (kind: fragment)"
                )

    def _suggest(self, connection: Connection, rows: Sequence[RowMapping], item: NewVersion) -> str:
        """The next number, by the diff to the highest one."""
        if not rows:
            return suggest_semver(None, item.version, previous_semver=None)
        highest = max(rows, key=lambda row: parse_semver(row["semver"]).precedence)
        previous = self._versions.load(connection, [highest["sha"]])[highest["sha"]]
        return suggest_semver(previous, item.version, previous_semver=highest["semver"])


def _check_free(rows: Sequence[RowMapping], item: NewVersion, *, semver: str | None) -> None:
    """Refuse a number or tag that another version of the prompt has."""
    for row in rows:
        if row["semver"] == semver:
            raise Conflict(
                f'"{item.prompt}" has a version {semver} with other content '
                f"(sha {row['sha'][:12]}…); give another number, or none to have one suggested"
            )
        if item.tag is not None and row["tag"] == item.tag:
            raise Conflict(
                f'tag "{item.tag}" of "{item.prompt}" belongs to version {row["semver"]}; '
                "choose another"
            )


def _registered(item: NewVersion, *, semver: str, tag: str | None, created: bool) -> Registered:
    """The answer to a registration."""
    return Registered(
        prompt=item.prompt, sha=item.version.sha, version=semver, tag=tag, created=created
    )


def fragments_first(items: Sequence[NewVersion]) -> list[NewVersion]:
    """The items in an order in which each comes after those it includes."""
    by_sha: dict[str, list[NewVersion]] = {}
    for item in items:
        by_sha.setdefault(item.version.sha, []).append(item)
    ordered: dict[int, NewVersion] = {}

    def place(item: NewVersion) -> None:
        if id(item) in ordered:
            return
        for sha in item.version.includes.values():
            for included in by_sha.get(sha, []):
                place(included)
        ordered[id(item)] = item

    for item in items:
        place(item)
    return list(ordered.values())
