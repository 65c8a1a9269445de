"""Progress of a running plan: the next step, a pause, and its three ends."""

from collections.abc import Mapping

from sqlalchemy import Connection

from trimtab.errors import Conflict
from trimtab.registry.ledger import Change, Ledger
from trimtab.registry.plan_rows import (
    RUNNING,
    PlanAction,
    PlanRecord,
    add_epoch,
    add_plan_move,
    end_plan,
    get_plan,
)
from trimtab.registry.plans import binding, metric_shas
from trimtab.registry.pointers import Pointers, add_move
from trimtab.registry.policies import approvals_of
from trimtab.registry.principals import Principal
from trimtab.releases.rollout import Plan, PlanStatus

Evidence = Mapping[str, object]


class Progress:
    """Moves running plans, for people and for the autopilot; all need scope `operate`."""

    def __init__(self, ledger: Ledger, *, pointers: Pointers) -> None:
        self._ledger = ledger
        self._pointers = pointers

    def advance(
        self,
        actor: Principal,
        plan_id: str,
        *,
        step: int | None = None,
        why: str = "",
        evidence: Evidence | None = None,
    ) -> PlanRecord:
        """Go to the next step; from the last one a person's call finishes the plan.

        Args:
            actor: Who does it.
            plan_id: A running plan.
            step: Index of the step to go to, from 0: a check against a call that came twice.
            why: The reason, for the history.
            evidence: The assessment that led to it; it goes into the audit row.

        Raises:
            Conflict: The plan is not running, or stands elsewhere than `step` says.
        """
        with self._ledger.change() as change:
            record, plan = _take(change.connection, plan_id, actor, statuses=("running",))
            following = record.step + 1
            if step is not None and step != following:
                raise Conflict(
                    f'plan "{plan_id}" is in step {record.step + 1} of {len(plan.steps)}, so step '
                    f"{step + 1} is not the next one; look again"
                )
            if following == len(plan.steps):
                return self._finish(change, record, actor=actor, why=why, evidence=evidence)
            share = plan.steps[following].share
            epoch = add_epoch(change, record, share=share, metric_shas=metric_shas(plan))
            add_plan_move(
                change,
                plan_id,
                action="advance",
                status="running",
                step=following,
                step_started_at=change.at,
                actor=actor.name,
                why=why,
                evidence=evidence,
                revision=change.publish(record.environment) if epoch != record.epoch else None,
            )
            facts = {"step": following, "share": share, "epoch": epoch}
            _note(change, actor, "advance_plan", record, why=why, evidence=evidence, facts=facts)
            return get_plan(change.connection, plan_id)

    def finish(
        self, actor: Principal, plan_id: str, *, why: str = "", evidence: Evidence | None = None
    ) -> PlanRecord:
        """Complete a running plan: the candidate becomes the release, in one transaction.

        The plan's approvals cover it; it is recorded as the actor acting for those who gave them.
        """
        with self._ledger.change() as change:
            record, _ = _take(change.connection, plan_id, actor, statuses=("running",))
            return self._finish(change, record, actor=actor, why=why, evidence=evidence)

    def take_back(
        self, actor: Principal, plan_id: str, *, why: str, evidence: Evidence | None = None
    ) -> PlanRecord:
        """End a plan because its candidate does harm: the baseline stays, for everybody."""
        return self._end(
            actor, plan_id, action="take_back", status="rolled_back", why=why, evidence=evidence
        )

    def abort(
        self, actor: Principal, plan_id: str, *, why: str = "", evidence: Evidence | None = None
    ) -> PlanRecord:
        """End a plan, or give a draft up, without a verdict: the baseline stays."""
        return self._end(
            actor, plan_id, action="abort", status="aborted", why=why, evidence=evidence
        )

    def pause(
        self, actor: Principal, plan_id: str, *, why: str = "", evidence: Evidence | None = None
    ) -> PlanRecord:
        """Stop the ramp where it is; the traffic stays divided, and guardrails still watch."""
        with self._ledger.change() as change:
            record, _ = _take(change.connection, plan_id, actor, statuses=("running",))
            add_plan_move(
                change,
                plan_id,
                action="pause",
                status="paused",
                step=record.step,
                step_started_at=record.step_started_at,
                actor=actor.name,
                why=why,
                evidence=evidence,
            )
            _note(change, actor, "pause_plan", record, why=why, evidence=evidence)
            return get_plan(change.connection, plan_id)

    def resume(self, actor: Principal, plan_id: str, *, why: str = "") -> PlanRecord:
        """Let the ramp go on: same seed, same share; the step's hold begins anew."""
        with self._ledger.change() as change:
            record, _ = _take(change.connection, plan_id, actor, statuses=("paused",))
            add_plan_move(
                change,
                plan_id,
                action="resume",
                status="running",
                step=record.step,
                step_started_at=change.at,
                actor=actor.name,
                why=why,
            )
            _note(change, actor, "resume_plan", record, why=why)
            return get_plan(change.connection, plan_id)

    def _end(
        self,
        actor: Principal,
        plan_id: str,
        *,
        action: PlanAction,
        status: PlanStatus,
        why: str,
        evidence: Evidence | None,
    ) -> PlanRecord:
        """Take a plan off the traffic without moving the pointer."""
        with self._ledger.change() as change:
            record = get_plan(change.connection, plan_id)
            if record.status == "draft" and action == "abort":
                return _give_up(change, record, actor=actor, why=why)
            record, _ = _take(change.connection, plan_id, actor, statuses=RUNNING)
            state = self._pointers.state(change.connection, record.environment, record.prompt)
            end_plan(
                change,
                record,
                action=action,
                status=status,
                generation=state.generation,
                actor=actor.name,
                why=why,
                evidence=evidence,
            )
            facts = {"live": state.live, "generation": state.generation}
            _note(change, actor, f"{action}_plan", record, why=why, evidence=evidence, facts=facts)
            return get_plan(change.connection, plan_id)

    def _finish(
        self,
        change: Change,
        record: PlanRecord,
        *,
        actor: Principal,
        why: str,
        evidence: Evidence | None,
    ) -> PlanRecord:
        """Complete the plan and move the pointer to its candidate."""
        given = approvals_of(change.connection, plan=record.id)
        counted = binding(given, record, baseline=record.baseline)
        approvers = [consent.actor for consent in counted]
        state = self._pointers.state(change.connection, record.environment, record.prompt)
        move = add_move(
            change,
            environment=record.environment,
            prompt=record.prompt,
            sha=record.candidate,
            kind="finish",
            generation=state.generation + 1,
            actor=actor.name,
            why=why,
            plan=record.id,
        )
        end_plan(
            change,
            record,
            action="finish",
            status="completed",
            generation=move.generation,
            actor=actor.name,
            why=why,
            evidence=evidence,
        )
        facts = {"live": move.sha, "generation": move.generation, "acting_for": approvers}
        _note(change, actor, "finish_plan", record, why=why, evidence=evidence, facts=facts)
        return get_plan(change.connection, record.id)


def _take(
    connection: Connection,
    plan_id: str,
    actor: Principal,
    *,
    statuses: tuple[PlanStatus, ...],
) -> tuple[PlanRecord, Plan]:
    """A started plan in one of these statuses, that the actor may move."""
    record = get_plan(connection, plan_id)
    actor.require("operate", record.environment)
    if record.plan is None or record.status not in statuses:
        raise Conflict(
            f'plan "{plan_id}" is {record.status}, want {" or ".join(statuses)}; '
            f"the last change was by {record.moved_by}: {record.why or 'no reason given'}"
        )
    return record, record.plan


def _give_up(change: Change, record: PlanRecord, *, actor: Principal, why: str) -> PlanRecord:
    """End a draft that never divided traffic."""
    actor.require("operate", record.environment)
    add_plan_move(
        change,
        record.id,
        action="abort",
        status="aborted",
        step=0,
        step_started_at=None,
        actor=actor.name,
        why=why,
    )
    _note(change, actor, "abort_plan", record, why=why)
    return get_plan(change.connection, record.id)


def _note(
    change: Change,
    actor: Principal,
    action: str,
    record: PlanRecord,
    *,
    why: str,
    evidence: Evidence | None = None,
    facts: Mapping[str, object] | None = None,
) -> None:
    """Add a row about a plan's progress to the audit log."""
    details = {
        "plan": record.id,
        "plan_sha": record.plan_sha,
        "candidate": record.candidate,
        "baseline": record.baseline,
        "why": why,
        **(facts or {}),
        "evidence": dict(evidence or {}),
    }
    change.record(
        actor.name,
        action,
        environment=record.environment,
        prompt=record.prompt,
        details=details,
    )
