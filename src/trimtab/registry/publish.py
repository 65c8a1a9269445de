"""Publishing: the facts of an environment's newest revision, its payload, and its bodies."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.errors import Conflict
from trimtab.registry.audit import timestamp
from trimtab.registry.pointers import Pointers
from trimtab.registry.policies import Policies
from trimtab.registry.situation import Label, PlanSituation, PromptSituation, labels, situation
from trimtab.registry.versions import Versions
from trimtab.releases.compile import compile_payload, needed_bodies
from trimtab.releases.facts import EnvironmentFacts, PlanFacts, PromptFacts, VersionFacts
from trimtab.routing.payload import AuditHead, Payload


class Publisher:
    """Reads what an environment serves now; compiles each revision once."""

    def __init__(
        self,
        database: Database,
        *,
        policies: Policies,
        versions: Versions,
        pointers: Pointers,
        lineage: str | None = None,
    ) -> None:
        self._database = database
        self._policies = policies
        self._versions = versions
        self._pointers = pointers
        self._lineage = lineage
        # By environment, the newest revision that was compiled; entries are replaced whole.
        self._compiled: dict[str, tuple[int, Payload]] = {}

    def revision(self, environment: str) -> int:
        """The newest published revision of an environment."""
        self._policies.of(environment)
        with self._database.read() as connection:
            return int(_newest(connection, environment)["revision"])

    def environment_facts(self, environment: str) -> EnvironmentFacts:
        """All that the payload of the newest revision is made of.

        Raises:
            UnknownEnvironment: There is none of this name.
            Conflict: Nothing was published there yet: its policy was not adopted.
        """
        self._policies.of(environment)
        with self._database.read() as connection:
            return self._facts(connection, environment, _newest(connection, environment))

    def payload(self, environment: str) -> Payload:
        """The payload of the newest revision, without bodies."""
        self._policies.of(environment)
        with self._database.read() as connection:
            newest = _newest(connection, environment)
            compiled = self._compiled.get(environment)
            if compiled is not None and compiled[0] == newest["revision"]:
                return compiled[1]
            facts = self._facts(connection, environment, newest)
        payload = compile_payload(facts)
        self._compiled[environment] = (facts.revision, payload)
        return payload

    def _facts(
        self, connection: Connection, environment: str, newest: RowMapping
    ) -> EnvironmentFacts:
        """The facts of the newest revision that the transaction sees."""
        prompts = situation(connection, environment, pointers=self._pointers)
        named = labels(connection, prompts)
        shas = {sha for prompt in prompts for sha in prompt.shas}
        loaded = self._versions.committed(connection, sorted(shas))
        facts = {sha: (version.model, version.sampling) for sha, version in loaded.items()}
        return EnvironmentFacts(
            lineage=self._read_lineage(connection),
            environment=environment,
            revision=newest["revision"],
            published_at=timestamp(newest["published_at"]),
            strict_units=self._policies.of(environment).strict_units,
            audit=AuditHead(count=newest["audit_count"], head=newest["audit_head"]),
            prompts=[_prompt(prompt, named, facts) for prompt in prompts],
        )

    def bodies_for(self, payload: Payload) -> dict[str, dict[str, Any]]:
        """The identity objects a rendering client needs for it, fragments included, by sha."""
        versions = self._versions.with_fragments(needed_bodies(payload))
        return {sha: version.identity for sha, version in sorted(versions.items())}

    def _read_lineage(self, connection: Connection) -> str:
        """The installation's lineage; it never changes while the database is open."""
        if self._lineage is None:
            query = select(tables.meta.c.value).where(tables.meta.c.name == "lineage")
            self._lineage = str(connection.execute(query).scalar_one())
        return self._lineage


def _newest(connection: Connection, environment: str) -> RowMapping:
    """The row of the newest revision."""
    table = tables.revisions
    query = select(table).where(table.c.environment == environment)
    row = connection.execute(query.order_by(table.c.revision.desc()).limit(1)).mappings().first()
    if row is None:
        raise Conflict(
            f'environment "{environment}" has published nothing yet; run `trimtab init`, or '
            "restart the server so that it adopts the policies"
        )
    return row


def _prompt(
    prompt: PromptSituation,
    named: Mapping[tuple[str, str], Label],
    models: Mapping[str, tuple[str | None, dict[str, Any]]],
) -> PromptFacts:
    """The facts of one prompt."""
    versions = {}
    for sha in prompt.shas:
        label, (model, sampling) = named[prompt.name, sha], models[sha]
        versions[sha] = VersionFacts(
            version=label.version, tag=label.tag, model=model, sampling=sampling
        )
    return PromptFacts(
        name=prompt.name,
        live=prompt.state.live,
        last_good=prompt.state.last_good,
        killed=prompt.killed,
        serving=prompt.serving,
        versions=versions,
        plan=None if prompt.plan is None else _plan(prompt.plan),
    )


def _plan(plan: PlanSituation) -> PlanFacts:
    """The facts of the plan that divides a prompt's traffic."""
    return PlanFacts(
        plan_id=plan.plan_id,
        epoch=plan.epoch.epoch,
        share=plan.epoch.share,
        unit=plan.epoch.unit,
        seed=plan.epoch.seed,
        baseline=plan.plan.baseline,
        candidate=plan.plan.candidate,
    )
