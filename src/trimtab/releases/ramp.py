"""The ramp: what a running rollout does next, from its position and its guardrails."""

from datetime import datetime
from math import isinf
from typing import Literal

import msgspec

from trimtab.releases.guardrails import Assessment, Reading
from trimtab.releases.rollout import Plan

ActionKind = Literal["hold", "advance", "roll_back", "finish", "pause"]

STALE_AFTER_S = 5.0
"""A ramp does not climb on evidence that lags further behind its events than this."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rollout stands.

    Attributes:
        step: Index into the plan's steps, from 0.
        epoch: The allocation epoch in force.
        step_started_at: When the step's share was published.
        n_treated_in_step: Distinct treated units exposed in this step.
        is_paused: A person, or a breach, stopped the ramp; the traffic is still divided.
    """

    step: int
    epoch: int
    step_started_at: datetime
    n_treated_in_step: int
    is_paused: bool = False


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


def next_action(
    plan: Plan,
    position: Position,
    assessment: Assessment,
    *,
    now: datetime,
    behind_s: float = 0.0,
) -> Action:
    """Advance, hold, finish, or take the candidate back.

    A step is over when its hold has passed and enough units were treated; then a plan advances
    unless a rule forbids it: a breach at any moment, a fault, missing data, harm within the
    tolerance that the plan does not accept, or, with `advance_on: pass`, a tolerance not yet shown
    to be kept. The last step's end is the last test, for at 100 % there is no control.
    A paused plan, and evidence that is behind, can still end in a breach, and in nothing else: what
    was counted counts, whatever is still missing.

    Args:
        plan: Frozen.
        position: Where it stands.
        assessment: Of this moment.
        now: The time.
        behind_s: How long ago the evidence last held every event that had come in.

    Raises:
        ValueError: The position or the assessment is not one of this plan and moment.
    """
    if not 0 <= position.step < len(plan.steps):
        raise ValueError(f"step {position.step} of a plan with {len(plan.steps)}")
    if position.epoch != assessment.epoch:
        raise ValueError(f"assessed epoch {assessment.epoch}, but {position.epoch} is in force")
    breached = [each for each in assessment.readings if each.verdict == "breach"]
    where = _where(plan, position)
    if breached:
        worst = max(breached, key=lambda each: each.log10_e_breach)
        return _taken_back(plan, worst, where=where, is_paused=position.is_paused)
    if (kept := _kept(plan, position, assessment, now=now, behind_s=behind_s)) is not None:
        return kept
    done = f"{where}: {_progress(plan, position, now=now)}, no guardrail breached"
    if position.step + 1 == len(plan.steps):
        return Action(kind="finish", why=f"{done}; it was the last step")
    following = plan.steps[position.step + 1].share / 100
    return Action(kind="advance", why=f"{done}; going to {following:g} %", step=position.step + 1)


def _taken_back(plan: Plan, reading: Reading, *, where: str, is_paused: bool) -> Action:
    why = f"guardrail {reading.text} is breached: {reading.reason}"
    if plan.on_breach == "rollback":
        return Action(kind="roll_back", why=why, guardrail=reading.text)
    if is_paused:
        return Action(kind="hold", why=f"{where}: paused; {why}", guardrail=reading.text)
    return Action(kind="pause", why=why, guardrail=reading.text)


def _kept(
    plan: Plan, position: Position, assessment: Assessment, *, now: datetime, behind_s: float
) -> Action | None:
    """Why the plan stays in its step, if it does; no rule is breached."""
    where = _where(plan, position)
    if position.is_paused:
        return Action(kind="hold", why=f"{where}: paused; only a breach is acted on")
    if behind_s > STALE_AFTER_S:
        since = (
            "has not been read to its end yet" if isinf(behind_s) else f"is {behind_s:.0f} s behind"
        )
        return Action(kind="hold", why=f"{where}: the evidence {since}")
    if assessment.verdict in ("fault", "no_data"):
        worst = next(each for each in assessment.readings if each.verdict == assessment.verdict)
        return _hold(where, f"{worst.metric}: {worst.reason}", worst)
    if waiting := _waiting(plan, position, now=now):
        return Action(kind="hold", why=f"{where}: {waiting}")
    if (stop := _objection(plan, assessment)) is not None:
        return _hold(where, f"{stop.metric}: {stop.reason}", stop)
    return None


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
        f"held for {held_s:.1f} s (at least {step.hold_s:g}), "
        f"{position.n_treated_in_step} units treated (at least {step.min_treated})"
    )
