"""The autopilot: reads evidence, lets the rules decide, acts, and writes down why."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from trimtab.autopilot.complaints import Complaints
from trimtab.errors import Conflict
from trimtab.events.evidence import Evidence
from trimtab.events.totals import EpochTotals
from trimtab.registry.plan_rows import PlanEpoch, PlanRecord
from trimtab.registry.principals import AUTOPILOT
from trimtab.registry.registry import Registry
from trimtab.releases.guardrails import Assessment, assess
from trimtab.releases.ramp import Action, Position, next_action

logger = logging.getLogger("trimtab")

Evident = dict[str, Any]  # JSON of a sight


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What the autopilot saw of a plan, and what the rules say to it.

    Attributes:
        n_treated: Distinct treated units exposed in the current step.
        action: What comes next, with the reason in one sentence.
    """

    at: datetime
    plan_id: str
    step: int
    epoch: int
    share: int
    n_treated: int
    assessment: Assessment
    action: Action


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The plans that divide traffic with their epochs, as of so many changes of the registry."""

    plans: list[tuple[PlanRecord, list[PlanEpoch]]]
    changes: int


class Controller:
    """Looks at every plan that divides traffic and carries out what the ramp rule says.

    It keeps nothing between ticks that is not in the registry or the evidence, so another process
    can go on where this one stopped.

    Args:
        registry: Holds the plans, and moves them.
        evidence: What they have counted.
        clock: Gives the time, aware and in UTC.
        behind_s: How long ago the evidence last held every event that had come in.
        complaints: Where failures go.
    """

    def __init__(
        self,
        registry: Registry,
        evidence: Evidence,
        *,
        clock: Callable[[], datetime],
        behind_s: Callable[[], float],
        complaints: Complaints | None = None,
    ) -> None:
        self._registry = registry
        self._evidence = evidence
        self._clock = clock
        self._behind_s = behind_s
        self._complaints = complaints or Complaints()
        self._watched = Watched(plans=[], changes=-1)

    def tick(self) -> list[Sight]:
        """Look at all plans that divide traffic once, and act; one that fails stops no other."""
        plans = [plan.id for plan, _ in self._watch().plans]
        if not plans:
            return []
        # Totals first: an epoch that begins in between is then known, and has no totals yet.
        totals = self._evidence.totals(plans)
        sights = []
        for record, epochs in self._watch().plans:
            about = f"the autopilot's look at plan {record.id}"
            try:
                sight = self._judge(record, epochs, totals.get(record.id, []))
                sights.append(sight)
                self._act(sight)
            except Exception as error:  # noqa: BLE001 - the other plans need their guard
                self._complaints.add(about, error)
            else:
                self._complaints.settle(about)
        return sights

    def look(self, record: PlanRecord) -> Sight | None:
        """The newest assessment of a started plan, and what the ramp rule says to it."""
        if record.plan is None:
            return None
        totals = self._evidence.totals([record.id])[record.id]
        return self._judge(record, self._registry.plans.get(record.id).epochs, totals)

    def _watch(self) -> Watched:
        """The plans that divide traffic, read again only after a change of the registry."""
        changes = self._registry.ledger.changes
        if self._watched.changes != changes:
            self._watched = Watched(plans=self._registry.plans.watched(), changes=changes)
        return self._watched

    def _judge(
        self, record: PlanRecord, epochs: Sequence[PlanEpoch], totals: Sequence[EpochTotals]
    ) -> Sight:
        if record.plan is None or record.epoch is None or record.step_started_at is None:
            raise ValueError(f"plan {record.id!r} is {record.status} and has never started")
        now = self._clock()
        shares = {epoch.epoch: epoch.share for epoch in epochs}
        assessment = assess(record.plan, totals, epochs=shares, current_epoch=record.epoch)
        position = Position(
            step=record.step,
            epoch=record.epoch,
            step_started_at=record.step_started_at,
            n_treated_in_step=assessment.n_treated,
            is_paused=record.status == "paused",
        )
        return Sight(
            at=now,
            plan_id=record.id,
            step=record.step,
            epoch=record.epoch,
            share=shares[record.epoch],
            n_treated=assessment.n_treated,
            assessment=assessment,
            action=next_action(
                record.plan, position, assessment, now=now, behind_s=self._behind_s()
            ),
        )

    def _act(self, sight: Sight) -> None:
        """Carry an action out; a plan that somebody moved since it was read is left to them."""
        if sight.action.kind == "hold":
            return
        try:
            self._move(sight, evidence_of(sight))
        except Conflict as conflict:
            logger.info("the autopilot left plan %s alone: %s", sight.plan_id, conflict)

    def _move(self, sight: Sight, evidence: Evident) -> None:
        progress, plan_id, why = self._registry.progress, sight.plan_id, sight.action.why
        match sight.action.kind:
            case "advance":
                step = sight.action.step
                progress.advance(AUTOPILOT, plan_id, step=step, why=why, evidence=evidence)
            case "finish":
                progress.finish(AUTOPILOT, plan_id, why=why, evidence=evidence)
            case "roll_back":
                progress.take_back(AUTOPILOT, plan_id, why=why, evidence=evidence)
            case "pause":
                progress.pause(AUTOPILOT, plan_id, why=why, evidence=evidence)


def evidence_of(sight: Sight) -> Evident:
    """What goes into the audit row of a decision: every number it was made from."""
    built: Evident = msgspec.to_builtins(sight)
    return built
