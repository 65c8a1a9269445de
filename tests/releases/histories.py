"""Pointer histories for tests, and an independent model of them."""

from datetime import UTC, datetime, timedelta

from trimtab.releases.release import Move, MoveKind, replay

START = datetime(2026, 1, 1, tzinfo=UTC)


def history(*steps: str) -> list[Move]:
    """Moves from short words: "A" promotes A, "+A" finishes a rollout of it, "back" rolls back.

    A rollback without anywhere to go is left out.
    """
    moves: list[Move] = []
    for step in steps:
        state = replay(moves)
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
    return moves


def naive_state(moves: list[Move]) -> tuple[str | None, str | None, set[str]]:
    """Live, last good and marked, each found by looking at the whole history backwards."""
    if not moves:
        return None, None, set()
    live = moves[-1].sha
    shas = {move.sha for move in moves}
    marked = {sha for sha in shas if is_marked(sha, moves)}
    for move in reversed(moves[:-1]):
        if move.sha != live and move.sha not in marked:
            return live, move.sha, marked
    return live, None, marked


def is_marked(sha: str, moves: list[Move]) -> bool:
    """Whether the last word on a sha was a rollback from it, not a promotion to it."""
    last_back = max((i for i, move in enumerate(moves) if move.taken_back == sha), default=-1)
    last_forth = max(
        (i for i, move in enumerate(moves) if move.sha == sha and move.kind != "rollback"),
        default=-1,
    )
    return last_back > last_forth
