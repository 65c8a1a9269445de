"""Taking a version back: rollback and the kill switch, and what a second call means."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from trimtab.errors import NothingToRollBackTo
from trimtab.releases.release import Mark, Move, PointerState, check_generation, replay

# A second pair of hands, or a second click, in the same incident.
SECOND_CALL = timedelta(minutes=10)


def rollback_target(
    state: PointerState, *, prompt: str, environment: str, versions: Collection[str]
) -> str:
    """The sha a rollback goes to.

    Args:
        state: Where the pointer stands.
        prompt: Its prompt, for the message.
        environment: Its environment, for the message.
        versions: The prompt's registered versions, as people call them, for the message.

    Raises:
        NothingToRollBackTo: No earlier release is unmarked.
    """
    if state.last_good is not None:
        return state.last_good
    choice = ", ".join(versions) or "none"
    raise NothingToRollBackTo(
        f"prompt {prompt!r} has no earlier good release in {environment!r}; "
        f"promote one of its versions ({choice}) or kill it"
    )


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a prompt's kill switch in one environment.

    Attributes:
        kind: `kill` turns it on, `unkill` off.
        at: When it was committed.
        actor: The principal who turned it.
        why: Their reason.
        serving: What is served while it is on; None = the application's fallback.
    """

    kind: Literal["kill", "unkill"]
    at: datetime
    actor: str
    why: str
    serving: str | None = None


def kill_serving(state: PointerState, *, baseline: str | None) -> str | None:
    """What a kill serves: the running plan's baseline, else the last good release, else nothing.

    It is decided once, when the switch is turned: a promotion meanwhile would make the very
    version that was killed the last good one.

    Args:
        state: Where the pointer stands.
        baseline: Baseline of the plan that the kill aborts; None if none is running.
    """
    return baseline if baseline is not None else state.last_good


def is_killed(switch: Switch | None) -> bool:
    """Whether the newest turn of the kill switch leaves it on."""
    return switch is not None and switch.kind == "kill"


def serving_sha(state: PointerState, switch: Switch | None) -> str | None:
    """What everybody without a plan gets: live, or what the kill switch says; None = nothing.

    Args:
        state: Where the pointer stands.
        switch: Newest turn of the kill switch, if any.
    """
    return switch.serving if switch is not None and switch.kind == "kill" else state.live


class TakeBack(msgspec.Struct, frozen=True, kw_only=True):
    """A `rollback` call that was carried out, kept to answer the next one.

    Attributes:
        at: When it was committed.
        from_generation: Generation live at its receipt: what it took back.
        to_generation: Generation after it; the same if it aborted a plan and moved no pointer.
    """

    at: datetime
    from_generation: int
    to_generation: int


RollbackStep = Literal["already", "abort_plan", "move"]


def rollback_step(
    moves: Sequence[Move],
    newest: TakeBack | None,
    *,
    prompt: str,
    plan_running: bool,
    from_generation: int | None,
    again: bool,
    now: datetime,
    marks: Sequence[Mark] = (),
) -> RollbackStep:
    """What a `rollback` call has to do.

    A call is a second one, and changes nothing, if what it names is no longer live and marked, or
    if the same call was carried out within ten minutes and nothing has moved since.

    Args:
        moves: Pointer history, oldest first.
        newest: The newest rollback call of this prompt here that was carried out, if any.
        prompt: The prompt, for the message.
        plan_running: Whether a plan divides its traffic; then only the plan is aborted.
        from_generation: What the caller wants taken back; None = what is live at receipt.
        again: The caller means it although it was just done.
        now: Time of receipt.
        marks: Candidates that plans took back here.

    Raises:
        StaleGeneration: What the call names is no longer live, and was not taken back.
    """
    state = replay(moves, marks)
    if from_generation is not None and from_generation != state.generation:
        named = [move.sha for move in moves if move.generation == from_generation]
        if state.marked.issuperset(named) and named:
            return "already"
        check_generation(moves, expected=from_generation, prompt=prompt)
    if plan_running:
        return "abort_plan"
    is_second = (
        newest is not None
        and newest.to_generation == state.generation
        and now - newest.at < SECOND_CALL
        and from_generation in {None, newest.from_generation}
    )
    return "already" if is_second and not again else "move"


KillStep = Literal["already", "kill"]


def kill_step(
    moves: Sequence[Move],
    switch: Switch | None,
    *,
    prompt: str,
    from_generation: int | None,
) -> KillStep:
    """What a `kill` call has to do; a prompt that is killed stays as it was killed.

    Args:
        moves: Pointer history, oldest first.
        switch: Newest turn of the kill switch, if any.
        prompt: The prompt, for the message.
        from_generation: What the caller wants off; None = what is live at receipt.

    Raises:
        StaleGeneration: Another version went live since the caller looked.
    """
    if is_killed(switch):
        return "already"
    if from_generation is not None:
        check_generation(moves, expected=from_generation, prompt=prompt)
    return "kill"
