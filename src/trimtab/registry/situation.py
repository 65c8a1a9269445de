"""The situation of an environment, now or at a past time, from its rows of history."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, RowMapping, select

from trimtab.database import tables
from trimtab.registry.plan_rows import (
    RUNNING,
    PlanEpoch,
    PlanMove,
    newest_epochs,
    newest_moves,
)
from trimtab.registry.pointers import Pointers, marks_until, moves_until, switches_until
from trimtab.releases.release import Move, PointerState, replay
from trimtab.releases.rollout import Plan
from trimtab.releases.takeback import Switch, is_killed, serving_sha

# A payload names these beside what it serves, so that they can be pinned; clients keep their
# bodies, and a prompt that is changed for years must not make them grow.
RECENT_RELEASES = 10


class PlanSituation(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that divides a prompt's traffic: where it stands, and since when."""

    plan_id: str
    plan: Plan
    move: PlanMove
    epoch: PlanEpoch


class PromptSituation(msgspec.Struct, frozen=True, kw_only=True):
    """Where one prompt stands."""

    name: str
    moves: list[Move]
    state: PointerState
    switch: Switch | None
    plan: PlanSituation | None

    @property
    def killed(self) -> bool:
        """Whether the kill switch is on."""
        return is_killed(self.switch)

    @property
    def serving(self) -> str | None:
        """What everybody without a plan gets."""
        return serving_sha(self.state, self.switch)

    @property
    def shas(self) -> set[str]:
        """The versions that matter here: live, last good, served, planned, released of late."""
        released = dict.fromkeys(move.sha for move in reversed(self.moves))
        named = {*itertools.islice(released, RECENT_RELEASES)}
        named |= {sha for sha in (self.state.live, self.state.last_good, self.serving) if sha}
        if self.plan is not None:
            named |= {self.plan.plan.candidate, self.plan.plan.baseline}
        return named


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """How people call a version."""

    version: str
    tag: str | None


def situation(
    connection: Connection,
    environment: str,
    *,
    pointers: Pointers,
    at: datetime | None = None,
) -> list[PromptSituation]:
    """Every prompt that was released or killed there, by name.

    Args:
        connection: A reading transaction.
        environment: Which.
        pointers: Where moves are kept.
        at: A past time; None = now.
    """
    if at is None:
        moves: Mapping[str, Sequence[Move]] = pointers.committed(connection, environment)
    else:
        moves = moves_until(connection, environment, at)
    marks = marks_until(connection, environment, at)
    switches = switches_until(connection, environment, at)
    plans = _plans(connection, environment, at=at)
    return [
        PromptSituation(
            name=name,
            moves=list(moves.get(name, [])),
            state=replay(moves.get(name, []), marks.get(name, [])),
            switch=switches.get(name),
            plan=plans.get(name),
        )
        for name in sorted(set(moves) | set(switches))
    ]


def labels(
    connection: Connection, prompts: Sequence[PromptSituation]
) -> dict[tuple[str, str], Label]:
    """Semver and tag by (prompt, sha) for every version these prompts have to do with."""
    table = tables.versions
    shas = {sha for prompt in prompts for sha in prompt.shas}
    query = select(table.c.prompt, table.c.sha, table.c.semver, table.c.tag)
    rows = connection.execute(query.where(table.c.sha.in_(shas)))
    return {(row.prompt, row.sha): Label(version=row.semver, tag=row.tag) for row in rows}


def _plans(
    connection: Connection, environment: str, *, at: datetime | None
) -> dict[str, PlanSituation]:
    """The plans that divide or divided traffic, by prompt."""
    table = tables.plans
    query = select(table.c.id, table.c.prompt, table.c.frozen).where(
        table.c.environment == environment
    )
    query = query.where(table.c.status.in_(RUNNING) if at is None else table.c.created_at <= at)
    rows: dict[str, RowMapping] = {row["id"]: row for row in connection.execute(query).mappings()}
    if not rows:
        return {}
    moves = newest_moves(connection, rows.keys(), at=at)
    epochs = newest_epochs(connection, rows.keys(), at=at)
    return {
        row["prompt"]: PlanSituation(
            plan_id=plan_id,
            plan=msgspec.convert(row["frozen"], Plan),
            move=moves[plan_id],
            epoch=epochs[plan_id],
        )
        for plan_id, row in rows.items()
        if plan_id in moves and moves[plan_id].status in RUNNING
    }
