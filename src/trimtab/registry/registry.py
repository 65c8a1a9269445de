"""The registry as one thing: its parts, wired to one database."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import insert, select, update

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.errors import Conflict
from trimtab.registry.audit import AuditLog
from trimtab.registry.eval_runs import EvalRuns
from trimtab.registry.idempotency import Idempotency
from trimtab.registry.ledger import Change, Ledger, Listener
from trimtab.registry.plans import Plans
from trimtab.registry.pointers import Pointers
from trimtab.registry.policies import Policies
from trimtab.registry.principals import Principals, Scope
from trimtab.registry.progress import Progress
from trimtab.registry.promotions import Promotions
from trimtab.registry.publish import Publisher
from trimtab.registry.registration import Registration
from trimtab.registry.status import StatusBoard
from trimtab.registry.takebacks import TakeBacks
from trimtab.registry.versions import Versions
from trimtab.releases.release import Policy

# The actor of what trimtab does by itself: the first keys, policies taken from the settings.
ITSELF = "trimtab"
PEOPLE: dict[str, tuple[Scope, ...]] = {
    "admin": ("read", "author", "operate", "admin"),
    "approver": ("read", "approve"),
}
APPLICATIONS: dict[str, Scope] = {"app": "render", "client": "decide"}


class InitialKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The first keys: secrets by name, which nobody can be told again.

    `admin` (read, author, operate, admin), `approver` (read, approve), and for each environment
    `app-ENV` (render) and `client-ENV` (decide).
    """

    lineage: str
    secrets: dict[str, str]


class Registry:
    """All that is known and decided; parts are attributes, each a small thing of its own.

    Args:
        database: Open and upgraded.
        policies: By environment.
        clock: Gives the time, aware and in UTC.
        new_id: Gives a fresh id, for plans, promotions, keys, runs and the lineage.
        new_secret: Gives a fresh secret that cannot be guessed.
        pinned_models: Models that the team declares pinned, as `provider/name`, `*` matches.
    """

    def __init__(
        self,
        database: Database,
        *,
        policies: Mapping[str, Policy],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
        pinned_models: Collection[str] = (),
    ) -> None:
        self._database = database
        self._new_id = new_id
        self._new_secret = new_secret
        self._facts: dict[str, str] = {}
        self.ledger = Ledger(database, clock=clock)
        self.audit = AuditLog(database)
        self.idempotency = Idempotency(database, clock=clock)
        self.principals = Principals(
            database, self.ledger, environments=policies, new_id=new_id, new_secret=new_secret
        )
        pointers = Pointers()
        self.versions = Versions(database, environments=policies, live_sha=pointers.live_sha)
        self.registration = Registration(self.ledger, self.versions, environments=policies)
        self.policies = Policies(
            policies, versions=self.versions, pointers=pointers, pinned_models=pinned_models
        )
        self._wire_movers(pointers)
        self.publisher = Publisher(
            database, policies=self.policies, versions=self.versions, pointers=pointers
        )
        self.board = StatusBoard(database, policies=self.policies, pointers=pointers, clock=clock)

    def _wire_movers(self, pointers: Pointers) -> None:
        """The parts that move pointers and plans, on top of those that know what stands."""
        self.promotions = Promotions(
            self._database,
            self.ledger,
            policies=self.policies,
            versions=self.versions,
            pointers=pointers,
            new_id=self._new_id,
        )
        self.eval_runs = EvalRuns(
            self._database,
            self.ledger,
            versions=self.versions,
            promotions=self.promotions,
            new_id=self._new_id,
        )
        self.takebacks = TakeBacks(self.ledger, policies=self.policies, pointers=pointers)
        self.plans = Plans(
            self._database,
            self.ledger,
            policies=self.policies,
            versions=self.versions,
            pointers=pointers,
            new_id=self._new_id,
        )
        self.progress = Progress(self.ledger, pointers=pointers)

    @property
    def lineage(self) -> str:
        """The installation's random id, within which revisions can be compared."""
        return self._fact("lineage")

    @property
    def installation_secret(self) -> str:
        """The secret that unit ids are hashed with; it never leaves the server."""
        return self._fact("installation_secret")

    def on_publish(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after every commit that publishes; the answer takes it off again."""
        return self.ledger.on_publish(listener)

    def initialise(self) -> InitialKeys:
        """Give a fresh database its lineage, its secret, its first keys and first revisions.

        Raises:
            Conflict: It has them already.
        """
        with self.ledger.change() as change:
            if _meta(change, "lineage") is not None:
                raise Conflict(
                    f"{str(self._database.path)!r} is initialised already; its keys were shown "
                    "then, and an admin's key makes new ones"
                )
            lineage = self._new_id()
            _set_meta(change, "lineage", lineage)
            _set_meta(change, "installation_secret", self._new_secret())
            change.record(ITSELF, "initialise", details={"lineage": lineage})
            secrets = self._first_keys(change)
            self._adopt(change)
        return InitialKeys(lineage=lineage, secrets=secrets)

    def adopt_policies(self) -> list[str]:
        """Publish environments that are new or whose policy changed; gives their names.

        A policy is part of what an environment publishes, so whoever opens the registry with
        settings calls this once before anything is served.
        """
        with self.ledger.change() as change:
            return self._adopt(change)

    def _adopt(self, change: Change) -> list[str]:
        """The same inside an open change."""
        changed = []
        for environment, policy in self.policies.by_environment.items():
            text = msgspec.json.encode(policy, order="sorted").decode()
            if _meta(change, f"policy:{environment}") == text:
                continue
            _set_meta(change, f"policy:{environment}", text)
            change.record(
                ITSELF,
                "adopt_policy",
                environment=environment,
                details={"policy": policy},
            )
            change.publish(environment)
            changed.append(environment)
        return changed

    def _first_keys(self, change: Change) -> dict[str, str]:
        """Make the keys every installation begins with."""
        secrets = {
            name: self.principals.add(
                change, by=ITSELF, name=name, scopes=scopes, environments=None
            )
            for name, scopes in PEOPLE.items()
        }
        for environment in self.policies.by_environment:
            for role, scope in APPLICATIONS.items():
                name = f"{role}-{environment}"
                secrets[name] = self.principals.add(
                    change, by=ITSELF, name=name, scopes=[scope], environments=[environment]
                )
        return secrets

    def _fact(self, name: str) -> str:
        """A single fact of the installation, read once."""
        if name not in self._facts:
            with self._database.read() as connection:
                query = select(tables.meta.c.value).where(tables.meta.c.name == name)
                value = connection.execute(query).scalar()
            if value is None:
                raise Conflict(
                    f"{str(self._database.path)!r} is not initialised; run `trimtab init`"
                )
            self._facts[name] = value
        return self._facts[name]


def _meta(change: Change, name: str) -> str | None:
    """A single fact, inside a change."""
    query = select(tables.meta.c.value).where(tables.meta.c.name == name)
    return change.connection.execute(query).scalar()


def _set_meta(change: Change, name: str, value: str) -> None:
    """Write a single fact, new or again."""
    table = tables.meta
    if _meta(change, name) is None:
        change.connection.execute(insert(table).values(name=name, value=value))
    else:
        change.connection.execute(update(table).where(table.c.name == name).values(value=value))
