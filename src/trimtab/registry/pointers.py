"""Release pointers and kill switches as their rows tell them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Connection, RowMapping, func, insert, select

from trimtab.database import tables
from trimtab.registry.ledger import Change
from trimtab.releases.release import Mark, Move, MoveKind, PointerState, replay
from trimtab.releases.takeback import Switch

# Moves of a plan that are a verdict on its candidate: a person's, and the autopilot's.
TAKING_BACK = ("rollback", "take_back")


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One pointer's moves, oldest first, and the candidates that plans took back beside them."""

    moves: list[Move]
    marks: list[Mark]

    @property
    def state(self) -> PointerState:
        """Where the pointer stands."""
        return replay(self.moves, self.marks)


class Releases(msgspec.Struct, frozen=True, kw_only=True):
    """The moves of every pointer of an environment, as far as row `last_id`."""

    last_id: int = 0
    moves: dict[str, list[Move]] = {}


class Pointers:
    """Reads the moves of release pointers; rows never change, so each is read once."""

    def __init__(self) -> None:
        # By environment; replaced whole, never changed, since several threads read.
        self._kept: dict[str, Releases] = {}

    def moves(self, connection: Connection, environment: str, prompt: str) -> list[Move]:
        """One pointer's moves, oldest first, those of an open change included.

        A reading transaction may be told of moves committed since it began.
        """
        kept = self._kept.get(environment, Releases())
        table = tables.releases
        query = select(table).where(
            table.c.environment == environment,
            table.c.prompt == prompt,
            table.c.id > kept.last_id,
        )
        rows = connection.execute(query.order_by(table.c.id)).mappings()
        return [*kept.moves.get(prompt, []), *map(_move, rows)]

    def history(self, connection: Connection, environment: str, prompt: str) -> History:
        """One pointer's moves and marks, those of an open change included."""
        marks = marks_until(connection, environment, None, prompt=prompt)
        return History(
            moves=self.moves(connection, environment, prompt), marks=marks.get(prompt, [])
        )

    def state(self, connection: Connection, environment: str, prompt: str) -> PointerState:
        """Where one pointer stands."""
        return self.history(connection, environment, prompt).state

    def live_sha(self, connection: Connection, environment: str, prompt: str) -> str | None:
        """The sha that is live; None if nothing was released there."""
        table = tables.releases
        query = (
            select(table.c.sha)
            .where(table.c.environment == environment, table.c.prompt == prompt)
            .order_by(table.c.generation.desc())
            .limit(1)
        )
        return connection.execute(query).scalar()

    def committed(self, connection: Connection, environment: str) -> Mapping[str, Sequence[Move]]:
        """All pointers of an environment by prompt, read in a transaction that changes nothing.

        What it reads is kept: calling it inside a change would keep rows that may be rolled back.
        """
        kept = self._seen_by(connection, environment)
        table = tables.releases
        query = select(table).where(table.c.environment == environment, table.c.id > kept.last_id)
        rows = connection.execute(query.order_by(table.c.id)).mappings().all()
        if not rows:
            return kept.moves
        moves = dict(kept.moves)
        for row in rows:
            moves[row["prompt"]] = [*moves.get(row["prompt"], []), _move(row)]
        if kept is self._kept.get(environment, kept):
            self._kept[environment] = Releases(last_id=rows[-1]["id"], moves=moves)
        return moves

    def _seen_by(self, connection: Connection, environment: str) -> Releases:
        """What is kept; nothing of it in a transaction that began before the newest move of it.

        Such a one would else make a payload of its own, older revision with moves that came later.
        """
        kept = self._kept.get(environment)
        if kept is None:
            return Releases()
        newest = select(tables.releases.c.id).where(tables.releases.c.id == kept.last_id)
        return kept if connection.execute(newest).scalar() is not None else Releases()


def moves_until(connection: Connection, environment: str, at: datetime) -> dict[str, list[Move]]:
    """All pointers of an environment as they stood at a past time."""
    table = tables.releases
    query = select(table).where(table.c.environment == environment, table.c.at <= at)
    moves: dict[str, list[Move]] = {}
    for row in connection.execute(query.order_by(table.c.id)).mappings():
        moves.setdefault(row["prompt"], []).append(_move(row))
    return moves


def marks_until(
    connection: Connection, environment: str, at: datetime | None, *, prompt: str | None = None
) -> dict[str, list[Mark]]:
    """The candidates that plans of an environment took back, by prompt; `at` None = now.

    A kill and a plain abort say nothing of the candidate, so they leave no mark.
    """
    moves, plans = tables.plan_moves, tables.plans
    query = (
        select(plans.c.prompt, plans.c.candidate, moves.c.generation)
        .join(plans, plans.c.id == moves.c.plan)
        .where(plans.c.environment == environment, moves.c.action.in_(TAKING_BACK))
    )
    if at is not None:
        query = query.where(moves.c.at <= at)
    if prompt is not None:
        query = query.where(plans.c.prompt == prompt)
    marks: dict[str, list[Mark]] = {}
    for name, sha, generation in connection.execute(query.order_by(moves.c.id)):
        marks.setdefault(name, []).append(Mark(generation=generation, sha=sha))
    return marks


def taken_back_since(
    connection: Connection, *, environment: str, prompt: str, sha: str, since: datetime
) -> bool:
    """Whether a plan took this candidate back there later than `since`."""
    moves, plans = tables.plan_moves, tables.plans
    query = (
        select(moves.c.id)
        .join(plans, plans.c.id == moves.c.plan)
        .where(
            plans.c.environment == environment,
            plans.c.prompt == prompt,
            plans.c.candidate == sha,
            moves.c.action.in_(TAKING_BACK),
            moves.c.at > since,
        )
    )
    return connection.execute(query.limit(1)).first() is not None


def add_move(
    change: Change,
    *,
    environment: str,
    prompt: str,
    sha: str,
    kind: MoveKind,
    generation: int,
    actor: str,
    why: str,
    taken_back: str | None = None,
    promotion: str | None = None,
    plan: str | None = None,
) -> Move:
    """Move a pointer inside a change, and publish the environment."""
    move = Move(
        generation=generation,
        sha=sha,
        kind=kind,
        at=change.at,
        actor=actor,
        why=why,
        taken_back=taken_back,
    )
    change.connection.execute(
        insert(tables.releases).values(
            environment=environment,
            prompt=prompt,
            promotion=promotion,
            plan=plan,
            revision=change.publish(environment),
            **msgspec.structs.asdict(move),
        )
    )
    return move


def newest_switch(connection: Connection, environment: str, prompt: str) -> Switch | None:
    """The newest turn of a prompt's kill switch."""
    table = tables.switches
    query = (
        select(table)
        .where(table.c.environment == environment, table.c.prompt == prompt)
        .order_by(table.c.id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _switch(row)


def switches_until(
    connection: Connection, environment: str, at: datetime | None
) -> dict[str, Switch]:
    """The newest turns of all kill switches of an environment, by prompt; `at` None = now."""
    table = tables.switches
    newest = select(func.max(table.c.id)).where(table.c.environment == environment)
    if at is not None:
        newest = newest.where(table.c.at <= at)
    query = select(table).where(table.c.id.in_(newest.group_by(table.c.prompt)))
    return {row["prompt"]: _switch(row) for row in connection.execute(query).mappings()}


def _move(row: RowMapping) -> Move:
    """The record of a row."""
    return Move(**{name: row[name] for name in Move.__struct_fields__})


def _switch(row: RowMapping) -> Switch:
    """The record of a row."""
    return Switch(**{name: row[name] for name in Switch.__struct_fields__})
