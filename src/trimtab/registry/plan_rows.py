"""Plans as their rows tell them: where each stands, its epochs and its moves."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, RowMapping, Select, func, insert, select, update

from trimtab.database import tables
from trimtab.errors import UnknownPlan
from trimtab.registry.ledger import Change, plain
from trimtab.releases.compile import CONTROL, TREATMENT
from trimtab.releases.rollout import Plan, PlanFile, PlanStatus
from trimtab.routing.payload import UnitKind

PlanAction = Literal[
    "create", "start", "advance", "pause", "resume", "abort", "rollback", "kill", "take_back",
    "finish",
]  # fmt: skip
# A paused plan still divides traffic; only its ramp stands.
RUNNING: tuple[PlanStatus, ...] = ("running", "paused")


class PlanEpoch(msgspec.Struct, frozen=True, kw_only=True):
    """One allocation of a plan; shares by variant in 1/10,000, versions by variant."""

    epoch: int
    shares: dict[str, int]
    audience: Any  # JSON; no audience narrows a plan yet
    filters: Any  # the same
    unit: UnitKind
    seed: str
    variants: dict[str, str]
    metric_shas: dict[str, str]
    first_revision: int
    at: datetime

    @property
    def share(self) -> int:
        """Treatment's part in 1/10,000."""
        return self.shares[TREATMENT]


class PlanMove(msgspec.Struct, frozen=True, kw_only=True):
    """One change of where a plan stands; `step` counts from 0."""

    action: PlanAction
    status: PlanStatus
    generation: int | None
    step: int
    step_started_at: datetime | None
    at: datetime
    actor: str
    why: str
    evidence: Any  # JSON of the assessment that led to it, or {}
    revision: int | None


class PlanRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A plan and where it stands.

    Attributes:
        document: As people wrote it; shares in 1/10,000.
        document_sha: What approvals are bound to, beside the shas.
        plan: As frozen at its start; None for a draft. `plan_sha` is its hash.
        baseline: Sha of control; None for a draft.
        step: Index of the step it is in, from 0.
        step_started_at: Since when; a resume counts anew. None for a draft.
        epoch: Number of the newest epoch, `share` its treatment share; None for a draft.
        moved_at: When it last moved, `moved_by` whom, `why` their reason.
    """

    id: str
    environment: str
    prompt: str
    candidate: str
    baseline: str | None
    document: PlanFile
    document_sha: str
    plan: Plan | None
    plan_sha: str | None
    status: PlanStatus
    step: int
    step_started_at: datetime | None
    epoch: int | None
    share: int | None
    seed: str
    author: str
    created_at: datetime
    moved_at: datetime
    moved_by: str
    why: str


def find_plans(
    connection: Connection,
    *,
    ids: Collection[str] | None = None,
    environment: str | None = None,
    prompt: str | None = None,
    statuses: Collection[PlanStatus] | None = None,
) -> list[PlanRecord]:
    """The plans that fit, oldest first."""
    table = tables.plans
    query = select(table).order_by(table.c.created_at, table.c.id)
    if ids is not None:
        query = query.where(table.c.id.in_(ids))
    if environment is not None:
        query = query.where(table.c.environment == environment)
    if prompt is not None:
        query = query.where(table.c.prompt == prompt)
    if statuses is not None:
        query = query.where(table.c.status.in_(statuses))
    rows = connection.execute(query).mappings().all()
    if not rows:
        return []
    found = [row["id"] for row in rows]
    moves, epochs = newest_moves(connection, found), newest_epochs(connection, found)
    return [_record(row, moves[row["id"]], epochs.get(row["id"])) for row in rows]


def get_plan(connection: Connection, plan_id: str) -> PlanRecord:
    """One plan.

    Raises:
        UnknownPlan: There is none with this id.
    """
    found = find_plans(connection, ids=[plan_id])
    if not found:
        raise UnknownPlan(f'there is no plan "{plan_id}"; `trimtab rollout status` lists them')
    return found[0]


def running_plan(connection: Connection, environment: str, prompt: str) -> PlanRecord | None:
    """The plan that divides the prompt's traffic there, paused ones included."""
    found = find_plans(connection, environment=environment, prompt=prompt, statuses=RUNNING)
    return found[0] if found else None


def moves_of(connection: Connection, plan_id: str) -> list[PlanMove]:
    """The life of a plan, oldest first."""
    table = tables.plan_moves
    query = select(table).where(table.c.plan == plan_id).order_by(table.c.id)
    return [_move(row) for row in connection.execute(query).mappings()]


def epochs_of(connection: Connection, plan_ids: Collection[str]) -> dict[str, list[PlanEpoch]]:
    """The epochs of plans, first to last."""
    table = tables.epochs
    query = select(table).where(table.c.plan.in_(plan_ids)).order_by(table.c.plan, table.c.epoch)
    epochs: dict[str, list[PlanEpoch]] = {}
    for row in connection.execute(query).mappings():
        epochs.setdefault(row["plan"], []).append(_epoch(row))
    return epochs


def newest_moves(
    connection: Connection, plan_ids: Collection[str], *, at: datetime | None = None
) -> dict[str, PlanMove]:
    """The newest move of each plan; `at` a past time, None = now."""
    table = tables.plan_moves
    newest = select(func.max(table.c.id)).where(table.c.plan.in_(plan_ids))
    if at is not None:
        newest = newest.where(table.c.at <= at)
    query = select(table).where(table.c.id.in_(newest.group_by(table.c.plan)))
    return {row["plan"]: _move(row) for row in connection.execute(query).mappings()}


def newest_epochs(
    connection: Connection, plan_ids: Collection[str], *, at: datetime | None = None
) -> dict[str, PlanEpoch]:
    """The newest epoch of each plan; `at` a past time, None = now."""
    table = tables.epochs
    query: Select[tuple[object, ...]] = select(table).where(table.c.plan.in_(plan_ids))
    if at is not None:
        query = query.where(table.c.at <= at)
    rows = connection.execute(query.order_by(table.c.epoch)).mappings()
    return {row["plan"]: _epoch(row) for row in rows}


def add_plan_move(
    change: Change,
    plan_id: str,
    *,
    action: PlanAction,
    status: PlanStatus,
    step: int,
    step_started_at: datetime | None,
    actor: str,
    why: str,
    evidence: Mapping[str, object] | None = None,
    generation: int | None = None,
    revision: int | None = None,
) -> None:
    """Write a plan's next move down."""
    change.connection.execute(
        insert(tables.plan_moves).values(
            plan=plan_id,
            action=action,
            status=status,
            generation=generation,
            step=step,
            step_started_at=step_started_at,
            at=change.at,
            actor=actor,
            why=why,
            evidence=plain(dict(evidence or {})),
            revision=revision,
        )
    )
    change.connection.execute(
        update(tables.plans).where(tables.plans.c.id == plan_id).values(status=status)
    )


def add_epoch(
    change: Change,
    record: PlanRecord,
    *,
    share: int,
    metric_shas: Mapping[str, str],
) -> int:
    """The epoch in which treatment has `share`: the newest, or the next one if that differs."""
    if record.plan is None:
        raise ValueError(f"plan {record.id!r} has not started, so it has no epoch")
    fields: dict[str, object] = {
        "shares": {TREATMENT: share, CONTROL: 10_000 - share},
        "audience": None,
        "filters": None,
        "unit": record.plan.unit,
        "seed": record.seed,
        "variants": {TREATMENT: record.plan.candidate, CONTROL: record.plan.baseline},
        "metric_shas": dict(metric_shas),
    }
    newest = newest_epochs(change.connection, [record.id]).get(record.id)
    if newest and all(getattr(newest, name) == value for name, value in fields.items()):
        return newest.epoch
    epoch = newest.epoch + 1 if newest else 1
    change.connection.execute(
        insert(tables.epochs).values(
            plan=record.id,
            epoch=epoch,
            first_revision=change.publish(record.environment),
            at=change.at,
            **fields,
        )
    )
    return epoch


def end_plan(
    change: Change,
    record: PlanRecord,
    *,
    action: PlanAction,
    status: PlanStatus,
    generation: int,
    actor: str,
    why: str,
    evidence: Mapping[str, object] | None = None,
) -> None:
    """Take a running plan off the traffic, and publish that."""
    add_plan_move(
        change,
        record.id,
        action=action,
        status=status,
        step=record.step,
        step_started_at=record.step_started_at,
        actor=actor,
        why=why,
        evidence=evidence,
        generation=generation,
        revision=change.publish(record.environment),
    )


def _record(row: RowMapping, move: PlanMove, epoch: PlanEpoch | None) -> PlanRecord:
    """The record of a plan from its row, its newest move and its newest epoch."""
    frozen = row["frozen"]
    return PlanRecord(
        id=row["id"],
        environment=row["environment"],
        prompt=row["prompt"],
        candidate=row["candidate"],
        baseline=row["baseline"],
        document=msgspec.convert(row["document"], PlanFile),
        document_sha=row["document_sha"],
        plan=None if frozen is None else msgspec.convert(frozen, Plan),
        plan_sha=row["plan_sha"],
        status=move.status,
        step=move.step,
        step_started_at=move.step_started_at,
        epoch=epoch.epoch if epoch else None,
        share=epoch.share if epoch else None,
        seed=row["seed"],
        author=row["author"],
        created_at=row["created_at"],
        moved_at=move.at,
        moved_by=move.actor,
        why=move.why,
    )


def _move(row: RowMapping) -> PlanMove:
    """The record of a row."""
    return PlanMove(**{name: row[name] for name in PlanMove.__struct_fields__})


def _epoch(row: RowMapping) -> PlanEpoch:
    """The record of a row."""
    return PlanEpoch(**{name: row[name] for name in PlanEpoch.__struct_fields__})
