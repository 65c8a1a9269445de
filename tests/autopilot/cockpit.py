"""An autopilot over a real registry and real evidence, with traffic that a test sends itself."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.events.samples import Sender, Sent, lines_of, write_journal
from tests.registry.house import PROMPT, House
from trimtab.autopilot.controller import Controller, Sight
from trimtab.events.evidence import Evidence
from trimtab.events.fold import Fold
from trimtab.registry.plan_rows import PlanRecord
from trimtab.registry.plans import PlanDetail
from trimtab.releases.rollout import PlanFile, read_plan


class Cockpit:
    """Everything the autopilot's thread works with, in one folder; `house` is its registry."""

    def __init__(self, folder: Path, house: House) -> None:
        self.folder = folder
        self.house = house
        self.sender = Sender()
        self.monotonic = 0.0
        self.evidence: Evidence
        self.fold: Fold
        self.controller: Controller
        self.open()

    def open(self) -> None:
        """Open the evidence and make a controller, as a process does that starts."""
        self.evidence = Evidence(self.folder / "evidence.db")
        self.fold = Fold(
            self.evidence,
            self.folder / "journals",
            plans=self.house.registry.plans.fold_plans,
            monotonic=lambda: self.monotonic,
        )
        self.controller = Controller(
            self.house.registry,
            self.evidence,
            clock=self.house.clock,
            behind_s=self.fold.behind_s,
        )

    def restart(self) -> None:
        """Give everything up without a word and open it again."""
        self.evidence.close()
        self.house.close()
        self.house.open()
        self.open()

    def begin(self, *, prompt: str = PROMPT, on_breach: str = "rollback") -> PlanRecord:
        """A running plan from 1.0.0 to 1.1.0 in dev: 10 %, then 50 %."""
        self.house.push("One.", "Two.", prompt=prompt)
        self.house.promote("1.0.0", prompt=prompt)
        plans = self.house.registry.plans
        draft = plans.create(self.house.admin, plan_file(prompt, on_breach=on_breach))
        return plans.start(self.house.admin, draft.id).plan

    def send(self, plan: PlanRecord, *, flagged: float, treated: int = 80, epoch: int = 1) -> None:
        """Exposures and generations of new units; 5 % of the control's answers are flagged."""
        share = {1: 10, 2: 50}[epoch]
        n_control = treated * (100 - share) // share
        events = self._side(plan, "treatment", treated, flagged=flagged, epoch=epoch)
        events += self._side(plan, "control", n_control, flagged=0.05, epoch=epoch)
        write_journal(self.folder / "journals", _batches(events))
        self.monotonic += 1.0

    def tick(self) -> list[Sight]:
        """What the autopilot's thread does ten times a second."""
        self.fold.step()
        return self.controller.tick()

    def detail(self, plan: PlanRecord) -> PlanDetail:
        """How the plan stands."""
        return self.house.registry.plans.get(plan.id)

    def _side(
        self, plan: PlanRecord, variant: str, n: int, *, flagged: float, epoch: int
    ) -> list[Sent]:
        facts = {"plan_id": plan.id, "unit_kind": "thread", "prompt": plan.prompt}
        events: list[Sent] = []
        for number in range(n):
            unit = f"{plan.prompt}-{epoch}-{variant}-{number}"
            is_flagged = number < flagged * n
            events.append({**self.sender.exposure(unit, variant, epoch), **facts})
            call = self.sender.generation(unit, variant, epoch, flagged=is_flagged)
            events.append({**call, **facts})
        return events


def _batches(events: Sequence[Sent]) -> list[bytes]:
    lines: list[bytes] = []
    for start in range(0, len(events), 500):
        lines += lines_of(events[start : start + 500], environment="dev")
    return lines


def plan_file(prompt: str, *, on_breach: str) -> PlanFile:
    """Two steps under one guardrail that needs no history."""
    return read_plan(
        {
            "prompt": prompt,
            "environment": "dev",
            "candidate": "1.1.0",
            "unit": "thread",
            "steps": [
                {"share": 10, "hold_s": 5, "min_treated": 60},
                {"share": 50, "hold_s": 5, "min_treated": 100},
            ],
            "guardrails": ["flagged_rate > 1.5x"],
            "on_breach": on_breach,
        },
        where="plans/reply.yaml",
    )


def verdicts(sights: Sequence[Sight]) -> list[bytes]:
    """What was judged, without when."""
    return [msgspec.json.encode(sight.assessment) for sight in sights]
