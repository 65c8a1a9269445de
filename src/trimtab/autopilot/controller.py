"""The autopilot: reads evidence, lets the rules decide, acts, and writes down why."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from trimtab.events.evidence import Evidence
from trimtab.registry.plan_rows import PlanEpoch, PlanRecord
from trimtab.registry.principals import AUTOPILOT
from trimtab.registry.registry import Registry
from trimtab.releases.guardrails import Assessment, assess
from trimtab.releases.ramp import Action, Position, next_action


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


class Controller:
    """Looks at every running plan and carries out what the ramp rule says.

    It keeps nothing between ticks: what it needs is in the registry and the evidence, so another
    process can go on where this one stopped.
    """

    def __init__(
        self, registry: Registry, evidence: Evidence, *, clock: Callable[[], datetime]
    ) -> None:
        self._registry = registry
        self._evidence = evidence
        self._clock = clock

    def tick(self) -> list[Sight]:
        """Look at all running plans once, and act."""
        records = [plan for plan in self._registry.plans.running() if plan.status == "running"]
        seen = [sight for sight in map(self.look, records) if sight is not None]
        for sight in seen:
            self._act(sight)
        return seen

    def look(self, record: PlanRecord) -> Sight | None:
        """The newest assessment of a started plan, and what the ramp rule says to it."""
        if record.plan is None or record.epoch is None or record.step_started_at is None:
            return None
        now = self._clock()
        # Totals first: an epoch that begins in between is then known, and has no totals yet.
        totals = self._evidence.totals([record.id]).get(record.id, [])
        epochs = self._registry.plans.get(record.id).epochs
        assessment = assess(
            record.plan,
            totals,
            epochs={epoch.epoch: epoch.share for epoch in epochs},
            current_epoch=record.epoch,
        )
        position = Position(
            step=record.step,
            epoch=record.epoch,
            step_started_at=record.step_started_at,
            n_treated_in_step=assessment.n_treated,
        )
        return Sight(
            at=now,
            plan_id=record.id,
            step=record.step,
            epoch=record.epoch,
            share=share_of(epochs, record.epoch),
            n_treated=assessment.n_treated,
            assessment=assessment,
            action=next_action(record.plan, position, assessment, now=now),
        )

    def _act(self, sight: Sight) -> None:
        progress, plan_id, why = self._registry.progress, sight.plan_id, sight.action.why
        evidence = evidence_of(sight)
        match sight.action.kind:
            case "advance":
                progress.advance(
                    AUTOPILOT, plan_id, step=sight.action.step, why=why, evidence=evidence
                )
            case "finish":
                progress.finish(AUTOPILOT, plan_id, why=why, evidence=evidence)
            case "roll_back":
                progress.take_back(AUTOPILOT, plan_id, why=why, evidence=evidence)
            case "pause":
                progress.pause(AUTOPILOT, plan_id, why=why, evidence=evidence)
            case "hold":
                return


def share_of(epochs: list[PlanEpoch], epoch: int) -> int:
    """Treatment's share in an epoch, in 1/10,000."""
    return next(row.share for row in epochs if row.epoch == epoch)


def evidence_of(sight: Sight) -> dict[str, Any]:
    """What goes into the audit row of a decision: every number it was made from."""
    built: dict[str, Any] = msgspec.to_builtins(sight)
    return built
