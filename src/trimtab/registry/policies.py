"""Policies: what each environment asks of a version, and what is known about one."""

from collections.abc import Collection, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Select, insert, select

from trimtab.database import tables
from trimtab.errors import Conflict, Forbidden, UnknownEnvironment
from trimtab.prompts.model_pin import is_pinned
from trimtab.registry.ledger import Change
from trimtab.registry.pointers import Pointers
from trimtab.registry.principals import Principal
from trimtab.registry.versions import VersionRecord, Versions
from trimtab.releases.promotion import (
    Approval,
    PromotionFacts,
    lower_environment,
    standing,
)
from trimtab.releases.release import Policy


class ApprovalRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Consent of one principal to these shas, and to this plan document if there is one."""

    actor: str
    at: datetime
    why: str
    shas: list[str]
    document_sha: str | None = None


class Policies:
    """Environments in the order of their rank, and the facts their policies ask for."""

    def __init__(
        self,
        policies: Mapping[str, Policy],
        *,
        versions: Versions,
        pointers: Pointers,
        pinned_models: Collection[str] = (),
    ) -> None:
        self.by_environment = dict(sorted(policies.items(), key=lambda item: item[1].rank))
        self._versions = versions
        self._pointers = pointers
        self._pinned_models = list(pinned_models)

    def of(self, environment: str) -> Policy:
        """The policy of an environment.

        Raises:
            UnknownEnvironment: There is none of this name.
        """
        policy = self.by_environment.get(environment)
        if policy is None:
            known = ", ".join(self.by_environment)
            raise UnknownEnvironment(
                f'there is no environment "{environment}"; choose from {known}'
            )
        return policy

    def facts(
        self,
        connection: Connection,
        version: VersionRecord,
        *,
        environment: str,
        approvals: Collection[ApprovalRecord],
    ) -> PromotionFacts:
        """What is known of a version that is to be served in the environment."""
        model = self._versions.load(connection, [version.sha])[version.sha].model
        ranks = {name: policy.rank for name, policy in self.by_environment.items()}
        lower = lower_environment(ranks, environment)
        facts = PromotionFacts(
            prompt=version.prompt,
            version=version.version,
            environment=environment,
            author=version.author,
            model=model,
            model_is_pinned=model is None or is_pinned(model, pinned_models=self._pinned_models),
            approvals=[Approval(actor=consent.actor, at=consent.at) for consent in approvals],
            suites_passed=_suites_passed(connection, version),
            lower_environment=lower,
        )
        if lower is None:
            return facts
        history = self._pointers.history(connection, lower, version.prompt)
        stands = standing(history.moves, version.sha, marks=history.marks)
        return msgspec.structs.replace(facts, lower_standing=stands)

    def check_approver(
        self,
        actor: Principal,
        *,
        environment: str,
        author: str,
        approvals: Collection[ApprovalRecord],
    ) -> None:
        """Refuse a consent that could not count.

        Raises:
            Forbidden: The key lacks scope `approve`, or the policy wants someone else.
            Conflict: The principal consented to the same already.
        """
        policy = self.of(environment)
        actor.require("approve", environment)
        if policy.approver_not_author and actor.name == author:
            raise Forbidden(
                f'"{actor.name}" registered this version, and "{environment}" wants the approval '
                "of someone else; ask a colleague with scope approve"
            )
        if any(consent.actor == actor.name for consent in approvals):
            raise Conflict(
                f'"{actor.name}" has approved this already; the other approvals must come from '
                "other people"
            )


def approvals_of(
    connection: Connection, *, promotion: str | None = None, plan: str | None = None
) -> list[ApprovalRecord]:
    """The approvals of a promotion or of a plan, oldest first."""
    table = tables.approvals
    column, value = (table.c.promotion, promotion) if plan is None else (table.c.plan, plan)
    query: Select[tuple[object, ...]] = select(table).where(column == value).order_by(table.c.id)
    return [
        ApprovalRecord(**{name: row[name] for name in ApprovalRecord.__struct_fields__})
        for row in connection.execute(query).mappings()
    ]


def add_approval(
    change: Change,
    consent: ApprovalRecord,
    *,
    promotion: str | None = None,
    plan: str | None = None,
) -> None:
    """Write an approval down."""
    change.connection.execute(
        insert(tables.approvals).values(
            promotion=promotion, plan=plan, **msgspec.structs.asdict(consent)
        )
    )


def _suites_passed(connection: Connection, version: VersionRecord) -> frozenset[str]:
    """The suites whose newest run on exactly this version of the prompt passed."""
    table = tables.eval_runs
    query = (
        select(table.c.suite, table.c.verdict)
        .where(table.c.prompt == version.prompt, table.c.sha == version.sha)
        .order_by(table.c.at, table.c.id)
    )
    newest: dict[str, str] = {row.suite: row.verdict for row in connection.execute(query)}
    return frozenset(suite for suite, verdict in newest.items() if verdict == "pass")
