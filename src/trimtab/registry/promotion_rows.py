"""Promotions as their rows tell them, with what each still needs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, select

from trimtab.database import tables
from trimtab.errors import NotFound, StaleGeneration
from trimtab.registry.pointers import Pointers
from trimtab.registry.policies import ApprovalRecord, Policies, approvals_of
from trimtab.registry.versions import VersionRecord, Versions
from trimtab.releases.promotion import PromotionStatus, missing
from trimtab.releases.release import Move, check_generation


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A request to make a version live, and what became of it.

    Attributes:
        missing: What it still needs while it is pending, one sentence each.
        generation: The move it led to; None unless live.
        reason: Why it was refused.
        evidence: What the requester gave for it, and once live what fulfilled the policy.
    """

    id: str
    environment: str
    prompt: str
    sha: str
    version: str
    expected_generation: int
    actor: str
    why: str
    status: PromotionStatus
    requested_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    reason: str | None
    generation: int | None
    evidence: Any  # JSON of any shape
    approvals: list[ApprovalRecord]
    missing: list[str]


def read_promotion(
    connection: Connection,
    promotion_id: str,
    *,
    policies: Policies,
    versions: Versions,
    pointers: Pointers,
) -> Promotion:
    """The record of a promotion; what is missing is told as of now.

    Raises:
        NotFound: There is none with this id.
    """
    query = select(tables.promotions).where(tables.promotions.c.id == promotion_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(
            f'there is no promotion "{promotion_id}"; `trimtab log` shows the recent ones'
        )
    environment, prompt = row["environment"], row["prompt"]
    version = versions.named(connection, prompt, row["sha"], environment=environment)
    approvals = approvals_of(connection, promotion=promotion_id)
    if row["status"] != "pending":
        return _record(row, version=version, approvals=approvals, wants=[])
    facts = policies.facts(connection, version, environment=environment, approvals=approvals)
    wants = missing(policies.of(environment), facts)
    moves = pointers.moves(connection, environment, prompt)
    stale = overtaken_by(moves, expected=row["expected_generation"], prompt=prompt)
    wants += [] if stale is None else [str(stale)]
    return _record(row, version=version, approvals=approvals, wants=wants)


def overtaken_by(moves: Sequence[Move], *, expected: int, prompt: str) -> StaleGeneration | None:
    """The error of a promotion that another move overtook; None if none did."""
    try:
        check_generation(moves, expected=expected, prompt=prompt)
    except StaleGeneration as stale:
        return stale
    return None


def _record(
    row: RowMapping, *, version: VersionRecord, approvals: list[ApprovalRecord], wants: list[str]
) -> Promotion:
    """The record of a row."""
    own = {"version", "approvals", "missing"}
    fields = {name: row[name] for name in Promotion.__struct_fields__ if name not in own}
    return Promotion(**fields, version=version.version, approvals=approvals, missing=wants)
