"""What an environment's policy asks of a version before it serves it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from trimtab.errors import Conflict, PolicyNotMet
from trimtab.releases.release import Mark, Move, Policy, replay

PromotionStatus = Literal["pending", "live", "refused"]
Standing = Literal["live", "released", "taken_back", "never"]


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """One person's yes to one promotion, or to one plan and the versions it can serve."""

    actor: str
    at: datetime


class PromotionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a version when it is to be served in an environment.

    Attributes:
        prompt: The prompt.
        version: The version as people call it.
        environment: Where it is to be served.
        author: The principal who registered the version.
        model: Its model pin; None for a version without a model.
        model_is_pinned: Whether that is a dated snapshot (true without a model).
        approvals: Approvals of this promotion or plan.
        suites_passed: Suites that this very sha has passed.
        lower_environment: The environment of the next lower rank; None for the lowest.
        lower_standing: How the version stands there (`standing`); not read for the lowest.
    """

    prompt: str
    version: str
    environment: str
    author: str
    model: str | None = None
    model_is_pinned: bool = True
    approvals: list[Approval] = []
    suites_passed: frozenset[str] = frozenset()
    lower_environment: str | None = None
    lower_standing: Standing = "never"


def standing(moves: Sequence[Move], sha: str, *, marks: Sequence[Mark] = ()) -> Standing:
    """How a version stands in an environment, from the prompt's history there (`replay`)."""
    state = replay(moves, marks)
    if state.live == sha:
        return "live"
    if sha in state.marked:
        return "taken_back"
    return "released" if any(move.sha == sha for move in moves) else "never"


def lower_environment(ranks: dict[str, int], environment: str) -> str | None:
    """The environment of the next lower rank; None for the lowest.

    Args:
        ranks: Rank by environment; of two with the same rank the first by name is taken.
        environment: The one asked for.
    """
    below = [name for name in sorted(ranks) if ranks[name] < ranks[environment]]
    return max(below, key=lambda name: ranks[name], default=None)


def counted_approvals(policy: Policy, facts: PromotionFacts) -> int:
    """How many approvals count: one a person, the author's own only where the policy lets it."""
    actors = {approval.actor for approval in facts.approvals}
    if policy.approver_not_author:
        actors.discard(facts.author)
    return len(actors)


def missing(policy: Policy, facts: PromotionFacts) -> list[str]:
    """What a version still needs in an environment, one sentence each; empty = it may be served."""
    wants = [_wanted_below(facts), _wanted_pin(policy, facts)]
    wants += [
        f'suite "{suite}" has not passed for {facts.prompt}@{facts.version}; run `trimtab eval`'
        for suite in policy.suites
        if suite not in facts.suites_passed
    ]
    wants.append(_wanted_approvals(policy, facts))
    return [want for want in wants if want]


def _wanted_below(facts: PromotionFacts) -> str | None:
    lower = facts.lower_environment
    if lower is None or facts.lower_standing in {"live", "released"}:
        return None
    name = f"{facts.prompt}@{facts.version}"
    if facts.lower_standing == "taken_back":
        return f"{name} was taken back in {lower}; promote it there again first"
    return f"{name} was never released in {lower}; promote it there first"


def _wanted_pin(policy: Policy, facts: PromotionFacts) -> str | None:
    if not policy.pinned_model or facts.model_is_pinned:
        return None
    return (
        f'{facts.prompt}@{facts.version} calls "{facts.model}", an alias that moves; '
        f"{facts.environment} takes dated snapshots only"
    )


def _wanted_approvals(policy: Policy, facts: PromotionFacts) -> str | None:
    lacking = policy.approvals - counted_approvals(policy, facts)
    if lacking <= 0:
        return None
    people = "approval" if lacking == 1 else "approvals"
    whose = f" by someone other than {facts.author}" if policy.approver_not_author else ""
    return f"{facts.environment} needs {lacking} more {people}{whose}"


def require(policy: Policy, facts: PromotionFacts) -> None:
    """Check that nothing is missing.

    Raises:
        PolicyNotMet: Something is; the message holds every sentence of `missing`.
    """
    if wants := missing(policy, facts):
        raise PolicyNotMet(
            f"{facts.prompt}@{facts.version} cannot be served in {facts.environment} yet: "
            + "; ".join(wants)
        )


def next_status(status: PromotionStatus, *, refused: bool, wants: Sequence[str]) -> PromotionStatus:
    """Where a promotion goes from here: `pending` until nothing is missing, then `live`.

    Args:
        status: Where it is.
        refused: Whether someone with the right to has said no.
        wants: What is `missing` now.

    Raises:
        Conflict: It is `live` or `refused` already, and stays so.
    """
    if status != "pending":
        raise Conflict(f"promotion is {status} already; request a new one")
    if refused:
        return "refused"
    return "pending" if wants else "live"
