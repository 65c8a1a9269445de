"""Plans: written, approved, started; from then on `progress` moves them."""

from collections.abc import Callable, Collection

import msgspec
from sqlalchemy import Connection, insert, update

from trimtab.database import tables
from trimtab.database.engine import Database
from trimtab.errors import BadInput, Conflict, PlanError
from trimtab.events.totals import BaselineHistory, FoldPlan
from trimtab.experiments.metrics import find_metric
from trimtab.prompts.canonical import digest
from trimtab.registry.ledger import Change, Ledger
from trimtab.registry.plan_rows import (
    RUNNING,
    PlanEpoch,
    PlanMove,
    PlanRecord,
    add_epoch,
    add_plan_move,
    epochs_of,
    find_plans,
    get_plan,
    moves_of,
    running_plan,
)
from trimtab.registry.pointers import Pointers, newest_switch
from trimtab.registry.policies import ApprovalRecord, Policies, add_approval, approvals_of
from trimtab.registry.principals import Principal
from trimtab.registry.versions import VersionRecord, Versions
from trimtab.releases.promotion import missing, require
from trimtab.releases.release import check_no_plan
from trimtab.releases.rollout import (
    Plan,
    PlanFile,
    PlanStatus,
    document_sha,
    fold_plan,
    freeze,
    plan_sha,
)
from trimtab.releases.takeback import is_killed


class PlanDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A plan with all that happened to it.

    Attributes:
        approvals: All there are; those for another baseline count no more.
        missing: What a draft still needs to start, one sentence each.
    """

    plan: PlanRecord
    epochs: list[PlanEpoch]
    moves: list[PlanMove]
    approvals: list[ApprovalRecord]
    missing: list[str]


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that now divides traffic, and what its starter should know."""

    plan: PlanRecord
    warnings: list[str]


class Plans:
    """Writes plans down, collects approvals, starts them, and lists them."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        *,
        policies: Policies,
        versions: Versions,
        pointers: Pointers,
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._policies = policies
        self._versions = versions
        self._pointers = pointers
        self._new_id = new_id

    def create(self, actor: Principal, plan_file: PlanFile) -> PlanRecord:
        """Write a plan down as a draft; its candidate is fixed by sha from here on.

        Raises:
            PlanError: The prompt was never released there, or the candidate is live already.
        """
        environment, prompt = plan_file.environment, plan_file.prompt
        self._policies.of(environment)
        actor.require("operate", environment)
        with self._ledger.change() as change:
            candidate = self._versions.named(
                change.connection, prompt, plan_file.candidate, environment=environment
            )
            self._baseline(change.connection, environment, candidate)
            plan_id = self._new_id()
            change.connection.execute(
                insert(tables.plans).values(
                    id=plan_id,
                    environment=environment,
                    prompt=prompt,
                    candidate=candidate.sha,
                    document=msgspec.to_builtins(plan_file),
                    document_sha=document_sha(plan_file),
                    seed=plan_id,
                    status="draft",
                    author=actor.name,
                    created_at=change.at,
                )
            )
            add_plan_move(
                change,
                plan_id,
                action="create",
                status="draft",
                step=0,
                step_started_at=None,
                actor=actor.name,
                why=plan_file.why,
            )
            record = get_plan(change.connection, plan_id)
            _note(change, actor.name, "create_plan", record, why=plan_file.why)
            return record

    def approve(self, actor: Principal, plan_id: str, *, why: str = "") -> PlanDetail:
        """Consent to a draft: to this document, this candidate, and the baseline that is live now.

        Raises:
            Forbidden: The key lacks scope `approve`, or is the candidate's author's.
            Conflict: The plan is no draft, or the principal approved the same already.
        """
        with self._ledger.change() as change:
            record = get_plan(change.connection, plan_id)
            _check_draft(record)
            candidate = self._candidate(change.connection, record)
            baseline = self._baseline(change.connection, record.environment, candidate)
            given = approvals_of(change.connection, plan=plan_id)
            self._policies.check_approver(
                actor,
                environment=record.environment,
                author=candidate.author,
                approvals=binding(given, record, baseline=baseline),
            )
            consent = ApprovalRecord(
                actor=actor.name,
                at=change.at,
                why=why,
                shas=[baseline, candidate.sha],
                document_sha=record.document_sha,
            )
            add_approval(change, consent, plan=plan_id)
            _note(change, actor.name, "approve_plan", record, why=why, baseline=baseline)
            return self._detail(change.connection, record)

    def start(
        self,
        actor: Principal,
        plan_id: str,
        *,
        history: BaselineHistory | None = None,
        why: str = "",
    ) -> Started:
        """Freeze a draft and divide the traffic by its first step.

        Args:
            actor: Needs scope `operate` in the environment.
            plan_id: A draft.
            history: What the baseline did lately; quantile guardrails take thresholds from it.
            why: The reason, for the history.

        Raises:
            PolicyNotMet: The environment wants more of the candidate, or approvals of this plan.
            PlanRunning: Another plan divides the prompt's traffic there.
            PlanError: A threshold cannot be frozen for want of history.
            Conflict: The plan is no draft, or the prompt is killed there.
        """
        with self._ledger.change() as change:
            record = get_plan(change.connection, plan_id)
            actor.require("operate", record.environment)
            _check_draft(record)
            baseline = self._check_startable(change.connection, record)
            state = self._pointers.state(change.connection, record.environment, record.prompt)
            frozen = freeze(
                record.document,
                baseline_sha=baseline,
                candidate_sha=record.candidate,
                history=history,
                marked=state.marked,
            )
            started = self._freeze(change, record, frozen.plan, actor=actor.name, why=why)
            return Started(plan=started, warnings=frozen.warnings)

    def plans(
        self,
        *,
        environment: str | None = None,
        prompt: str | None = None,
        statuses: Collection[PlanStatus] | None = None,
    ) -> list[PlanRecord]:
        """The plans that fit, oldest first."""
        with self._database.read() as connection:
            return find_plans(connection, environment=environment, prompt=prompt, statuses=statuses)

    def running(self) -> list[PlanRecord]:
        """The plans that divide traffic now, paused ones included, oldest first."""
        return self.plans(statuses=RUNNING)

    def watched(self) -> list[tuple[PlanRecord, list[PlanEpoch]]]:
        """The same with their epochs: what an assessment needs."""
        with self._database.read() as connection:
            records = find_plans(connection, statuses=RUNNING)
            epochs = epochs_of(connection, [record.id for record in records])
        return [(record, epochs[record.id]) for record in records]

    def get(self, plan_id: str) -> PlanDetail:
        """One plan with its epochs, moves and approvals."""
        with self._database.read() as connection:
            return self._detail(connection, get_plan(connection, plan_id))

    def fold_plans(self, plan_ids: Collection[str]) -> dict[str, FoldPlan]:
        """What the fold counts for each of these plans; ids of no started plan are left out."""
        with self._database.read() as connection:
            epochs = epochs_of(connection, plan_ids)
            records = find_plans(connection, ids=plan_ids)
        return {
            record.id: fold_plan(
                record.plan,
                plan_id=record.id,
                epochs={row.epoch: row.share for row in epochs[record.id]},
            )
            for record in records
            if record.plan is not None
        }

    def _candidate(self, connection: Connection, record: PlanRecord) -> VersionRecord:
        """The version a plan is about."""
        return self._versions.named(
            connection, record.prompt, record.candidate, environment=record.environment
        )

    def _baseline(self, connection: Connection, environment: str, candidate: VersionRecord) -> str:
        """The live sha that a plan would keep as control."""
        prompt = candidate.prompt
        if candidate.kind == "fragment":
            raise BadInput(
                f'"{prompt}" is a fragment, which is served inside the prompts that include it; '
                "roll out one of these"
            )
        live = self._pointers.live_sha(connection, environment, prompt)
        if live is None:
            raise PlanError(
                f'"{prompt}" was never released in "{environment}", so a plan has no baseline; '
                "promote its first version"
            )
        if live == candidate.sha:
            raise PlanError(
                f'candidate {candidate.version} of "{prompt}" is live in "{environment}" already; '
                "name another version"
            )
        return live

    def _check_startable(self, connection: Connection, record: PlanRecord) -> str:
        """Refuse a start that rules forbid; gives the baseline."""
        environment, prompt = record.environment, record.prompt
        running = running_plan(connection, environment, prompt)
        check_no_plan(running.id if running else None, prompt=prompt, environment=environment)
        if is_killed(newest_switch(connection, environment, prompt)):
            raise Conflict(
                f'"{prompt}" is killed in "{environment}"; unkill it before a plan starts'
            )
        candidate = self._candidate(connection, record)
        baseline = self._baseline(connection, environment, candidate)
        approvals = binding(approvals_of(connection, plan=record.id), record, baseline=baseline)
        facts = self._policies.facts(
            connection, candidate, environment=environment, approvals=approvals
        )
        require(self._policies.of(environment), facts)
        return baseline

    def _freeze(
        self, change: Change, record: PlanRecord, plan: Plan, *, actor: str, why: str
    ) -> PlanRecord:
        """Write the frozen plan, its first epoch and its start."""
        sha = plan_sha(plan)
        change.connection.execute(
            update(tables.plans)
            .where(tables.plans.c.id == record.id)
            .values(frozen=msgspec.to_builtins(plan), plan_sha=sha, baseline=plan.baseline)
        )
        frozen = msgspec.structs.replace(record, plan=plan, plan_sha=sha, baseline=plan.baseline)
        add_epoch(change, frozen, share=plan.steps[0].share, metric_shas=metric_shas(plan))
        add_plan_move(
            change,
            record.id,
            action="start",
            status="running",
            step=0,
            step_started_at=change.at,
            actor=actor,
            why=why,
            revision=change.publish(record.environment),
        )
        _note(
            change,
            actor,
            "start_plan",
            frozen,
            why=why,
            baseline=plan.baseline,
            share=plan.steps[0].share,
        )
        return get_plan(change.connection, record.id)

    def _detail(self, connection: Connection, record: PlanRecord) -> PlanDetail:
        """A plan with all that happened to it."""
        return PlanDetail(
            plan=record,
            epochs=epochs_of(connection, [record.id]).get(record.id, []),
            moves=moves_of(connection, record.id),
            approvals=approvals_of(connection, plan=record.id),
            missing=self._missing(connection, record) if record.status == "draft" else [],
        )

    def _missing(self, connection: Connection, record: PlanRecord) -> list[str]:
        """What a draft still needs of the policy, with the baseline that is live now."""
        live = self._pointers.live_sha(connection, record.environment, record.prompt)
        given = approvals_of(connection, plan=record.id)
        facts = self._policies.facts(
            connection,
            self._candidate(connection, record),
            environment=record.environment,
            approvals=binding(given, record, baseline=live),
        )
        return missing(self._policies.of(record.environment), facts)


def binding(
    approvals: Collection[ApprovalRecord], record: PlanRecord, *, baseline: str | None
) -> list[ApprovalRecord]:
    """The approvals that are bound to this very document and these very versions."""
    return [
        consent
        for consent in approvals
        if consent.document_sha == record.document_sha
        and consent.shas == [baseline, record.candidate]
    ]


def metric_shas(plan: Plan) -> dict[str, str]:
    """Identity of each metric's definition that the plan watches: its title is not part of it."""
    shas = {}
    for guardrail in plan.guardrails:
        definition = msgspec.structs.asdict(find_metric(guardrail.metric))
        shas[guardrail.metric] = digest({**definition, "title": None})
    return shas


def _check_draft(record: PlanRecord) -> None:
    """Refuse what only drafts allow."""
    if record.status != "draft":
        raise Conflict(
            f'plan "{record.id}" is {record.status}, no draft; write a new one with '
            "`trimtab rollout new`"
        )


def _note(
    change: Change, actor: str, action: str, record: PlanRecord, *, why: str, **facts: object
) -> None:
    """Add a row about a plan to the audit log."""
    change.record(
        actor,
        action,
        environment=record.environment,
        prompt=record.prompt,
        details={
            "plan": record.id,
            "candidate": record.candidate,
            "document_sha": record.document_sha,
            "plan_sha": record.plan_sha,
            "why": why,
            **facts,
        },
    )
