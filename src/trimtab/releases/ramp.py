"""The ramp: what a running rollout does next, from its position and its guardrails."""

from datetime import datetime
from typing import Literal

import msgspec

from trimtab.releases.guardrails import Assessment, Reading
from trimtab.releases.rollout import Plan

ActionKind = Literal["hold", "advance", "roll_back", "finish", "pause"]


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rollout stands.

    Attributes:
        step: Index into the plan's steps, from 0.
        epoch: The allocation epoch in force.
        step_started_at: When the step's share was published.
        n_treated_in_step: Distinct treated units exposed in this step.
    """

    step: int
    epoch: int
    step_started_at: datetime
    n_treated_in_step: int


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, and why in one sentence with the numbers used.

    Attributes:
        kind: `hold` waits for the next tick, `pause` for a person; `finish` gives the candidate
            all traffic.
        why: For the audit log and the page.
        guardrail: Text of the rule that decided, if one did.
        step: Index of the step to go to; `advance` only.
    """

    kind: ActionKind
    why: str
    guardrail: str | None = None
    step: int | None = None


def next_action(plan: Plan, position: Position, assessment: Assessment, *, now: datetime) -> Action:
    """Advance, hold, finish, or take the candidate back.

    A step is over when its hold has passed and enough units were treated; then a plan advances
    unless a rule forbids it: a breach at any moment, a fault, missing data, harm within the
    tolerance that the plan does not accept, or, with `advance_on: pass`, a tolerance not yet shown
    to be kept. The last step's end is the last test, for at 100 % there is no control.

    Raises:
        ValueError: The position or the assessment is not one of this plan and moment.
    """
    if not 0 <= position.step < len(plan.steps):
        raise ValueError(f"step {position.step} of a plan with {len(plan.steps)}")
    if position.epoch != assessment.epoch:
        raise ValueError(f"assessed epoch {assessment.epoch}, but {position.epoch} is in force")
    breached = [each for each in assessment.readings if each.verdict == "breach"]
    if breached:
        return _taken_back(plan, max(breached, key=lambda each: each.log10_e_breach))
    where = _where(plan, position)
    if assessment.verdict in ("fault", "no_data"):
        worst = next(each for each in assessment.readings if each.verdict == assessment.verdict)
        return _hold(where, f"{worst.metric}: {worst.reason}", worst)
    if waiting := _waiting(plan, position, now=now):
        return Action(kind="hold", why=f"{where}: {waiting}")
    if (stop := _objection(plan, assessment)) is not None:
        return _hold(where, f"{stop.metric}: {stop.reason}", stop)
    done = f"{where}: {_progress(plan, position, now=now)} and no guardrail is breached"
    if position.step + 1 == len(plan.steps):
        return Action(kind="finish", why=f"{done}; it was the last step")
    following = plan.steps[position.step + 1].share / 100
    return Action(kind="advance", why=f"{done}; going to {following:g} %", step=position.step + 1)


def _taken_back(plan: Plan, reading: Reading) -> Action:
    kind: ActionKind = "roll_back" if plan.on_breach == "rollback" else "pause"
    why = f"guardrail {reading.text} is breached: {reading.reason}"
    return Action(kind=kind, why=why, guardrail=reading.text)


def _objection(plan: Plan, assessment: Assessment) -> Reading | None:
    """The first reading that keeps a finished step from being left."""
    for reading in assessment.readings:
        if reading.harm_shown and plan.tolerated_harm == "hold":
            return reading
        if plan.advance_on == "pass" and not reading.within_shown:
            return reading
    return None


def _hold(where: str, reason: str, reading: Reading) -> Action:
    return Action(kind="hold", why=f"{where}: {reason}", guardrail=reading.text)


def _where(plan: Plan, position: Position) -> str:
    share = plan.steps[position.step].share / 100
    return f"step {position.step + 1} of {len(plan.steps)} at {share:g} %"


def _waiting(plan: Plan, position: Position, *, now: datetime) -> str | None:
    """What the step still lacks."""
    step = plan.steps[position.step]
    held_s = (now - position.step_started_at).total_seconds()
    if held_s >= step.hold_s and position.n_treated_in_step >= step.min_treated:
        return None
    return _progress(plan, position, now=now)


def _progress(plan: Plan, position: Position, *, now: datetime) -> str:
    step = plan.steps[position.step]
    held_s = (now - position.step_started_at).total_seconds()
    return (
        f"{held_s:.1f} of {step.hold_s:g} s held, "
        f"{position.n_treated_in_step} of {step.min_treated} units treated"
    )
