"""The release pointer of a prompt in an environment: its moves, and what they leave live."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from trimtab.errors import PlanRunning, StaleGeneration

MoveKind = Literal["promote", "rollback", "finish"]


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a prompt's pointer history in one environment.

    Attributes:
        generation: 1 for the first move, then one more each time.
        sha: What is live after the move.
        kind: `promote` by a person, `finish` by a completed rollout, `rollback` takes one back.
        at: When it was committed.
        actor: The principal who moved it.
        why: Their reason.
        taken_back: Sha that a rollback takes back, which was live before; else None.
    """

    generation: int
    sha: str
    kind: MoveKind
    at: datetime
    actor: str
    why: str
    taken_back: str | None = None

    def __post_init__(self) -> None:
        """Check that exactly the rollbacks take something back."""
        if (self.kind == "rollback") != (self.taken_back is not None):
            raise ValueError(f"move {self.generation} is a {self.kind} with {self.taken_back=}")


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A plan's candidate that was taken back while the pointer stood at `generation`."""

    generation: int
    sha: str


class PointerState(msgspec.Struct, frozen=True, kw_only=True):
    """Where the pointer stands after some moves.

    Attributes:
        live: The newest move's sha; None before the first.
        last_good: Newest earlier release that is unmarked and not live; what a rollback goes to.
        marked: Shas taken back here, as live version or as a plan's candidate, and not promoted
            since.
        generation: Number of the newest move; 0 before the first.
    """

    live: str | None = None
    last_good: str | None = None
    marked: frozenset[str] = frozenset()
    generation: int = 0


def replay(moves: Sequence[Move], marks: Sequence[Mark] = ()) -> PointerState:
    """The state after the moves, given oldest first.

    Args:
        moves: Of one pointer.
        marks: Candidates taken back by plans of the same prompt and environment, in any order. A
            plan leaves the pointer alone, so that each mark falls after its generation's move and
            before the next one.

    Raises:
        ValueError: Generations have a gap, or what was taken back was not what the history says.
    """
    taken_back: dict[int, set[str]] = {}
    for mark in marks:
        taken_back.setdefault(mark.generation, set()).add(mark.sha)
    live: str | None = None
    marked: set[str] = set()
    # In the order of each sha's newest release: the last one that fits is the last good one.
    released: dict[str, None] = {}
    for expected, move in enumerate(moves, start=1):
        if move.generation != expected:
            raise ValueError(f"move {move.generation} stands where move {expected} must")
        if move.taken_back is None:
            marked.discard(move.sha)
        elif move.taken_back != live:
            raise ValueError(f"move {expected} takes back {move.taken_back}, but {live} was live")
        else:
            marked.add(move.taken_back)
        live = move.sha
        if live in (candidates := taken_back.get(expected, set())):
            raise ValueError(f"candidate {live} is marked at move {expected}, which made it live")
        marked |= candidates
        released.pop(live, None)
        released[live] = None
    earlier = (sha for sha in reversed(released) if sha != live and sha not in marked)
    return PointerState(
        live=live,
        last_good=next(earlier, None),
        marked=frozenset(marked),
        generation=len(moves),
    )


def check_generation(moves: Sequence[Move], *, expected: int, prompt: str) -> None:
    """Check that the pointer stands where the caller saw it.

    Raises:
        StaleGeneration: It does not; the error carries the newest move.
    """
    generation = moves[-1].generation if moves else 0
    if expected == generation:
        return
    if not moves:
        raise StaleGeneration(
            f"prompt {prompt!r} was never released here, but generation {expected} was expected; "
            "expect 0",
            move={},
        )
    newest = moves[-1]
    raise StaleGeneration(
        f"prompt {prompt!r} stands at generation {generation}, not {expected}: {newest.actor} made "
        f"{newest.sha[:12]} live by {newest.kind} at {newest.at.isoformat()}; look again",
        move=msgspec.to_builtins(newest),
    )


def check_no_plan(plan_id: str | None, *, prompt: str, environment: str) -> None:
    """Check that no plan divides the prompt's traffic, for whoever wants to move its pointer.

    Raises:
        PlanRunning: One does.
    """
    if plan_id is not None:
        raise PlanRunning(
            f"plan {plan_id!r} divides the traffic of {prompt!r} in {environment!r}; "
            "finish or abort it first"
        )


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An environment's conditions for serving a version.

    Attributes:
        approvals: How many different people must approve.
        approver_not_author: Whether the version's author's own approval counts for nothing.
        suites: Evaluation suites the version must have passed.
        pinned_model: Whether the model must be a dated snapshot.
        strict_units: Whether a plan that misses its unit id raises.
        rank: Place on the way up, 0 first; a version comes from the next lower one.
    """

    approvals: int = 0
    approver_not_author: bool = False
    suites: list[str] = []
    pinned_model: bool = False
    strict_units: bool = False
    rank: int = 0

    def __post_init__(self) -> None:
        """Check that the counts can be met."""
        if self.approvals < 0 or self.rank < 0:
            raise ValueError(
                f"approvals {self.approvals} and rank {self.rank} must not be negative"
            )
