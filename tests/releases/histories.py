"""Pointer histories for tests, and an independent model of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from trimtab.releases.release import Mark, Move, MoveKind, replay

START = datetime(2026, 1, 1, tzinfo=UTC)


def history(*steps: str) -> list[Move]:
    """The moves of a life (see there) in which no plan takes a candidate back."""
    moves, marks = life(*steps)
    assert not marks
    return moves


def life(*steps: str) -> tuple[list[Move], list[Mark]]:
    """Moves and marks from short words.

    "A" promotes A, "+A" finishes a rollout of it, "-A" takes A back as a plan's candidate, "back"
    rolls back. A rollback without anywhere to go is left out, and so is a plan of what is live.
    """
    moves: list[Move] = []
    marks: list[Mark] = []
    for step in steps:
        state = replay(moves, marks)
        if step.startswith("-"):
            if state.live not in {None, step[1:]}:
                marks.append(Mark(generation=state.generation, sha=step[1:]))
            continue
        if step == "back" and state.last_good is None:
            continue
        kind: MoveKind = "promote"
        if step == "back":
            kind = "rollback"
        elif step.startswith("+"):
            kind = "finish"
        moves.append(
            Move(
                generation=len(moves) + 1,
                sha=(state.last_good or "") if step == "back" else step.removeprefix("+"),
                kind=kind,
                at=START + timedelta(minutes=len(moves)),
                actor="ann",
                why="because",
                taken_back=state.live if step == "back" else None,
            )
        )
    return moves, marks


def naive_state(
    moves: list[Move], marks: Sequence[Mark] = ()
) -> tuple[str | None, str | None, set[str]]:
    """Live, last good and marked, each found by looking at the whole history backwards."""
    if not moves:
        return None, None, set()
    live = moves[-1].sha
    shas = {move.sha for move in moves} | {mark.sha for mark in marks}
    marked = {sha for sha in shas if is_marked(sha, moves, marks)}
    for move in reversed(moves[:-1]):
        if move.sha != live and move.sha not in marked:
            return live, move.sha, marked
    return live, None, marked


def is_marked(sha: str, moves: list[Move], marks: Sequence[Mark] = ()) -> bool:
    """Whether the last word on a sha was that it is taken back, not a promotion to it."""
    backs = [float(move.generation) for move in moves if move.taken_back == sha]
    # A plan ends between two moves of the pointer.
    backs += [mark.generation + 0.5 for mark in marks if mark.sha == sha]
    forths = [move.generation for move in moves if move.sha == sha and move.kind != "rollback"]
    return max(backs, default=0) > max(forths, default=0)
