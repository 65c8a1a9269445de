"""Simulated traffic of a rollout, counted in memory by the rules that the fold follows."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from trimtab.events.totals import BaselineHistory, EpochTotals, Series, SideTotals
from trimtab.releases.guardrails import Assessment, assess
from trimtab.releases.plan_file import PlanFile
from trimtab.releases.ramp import Action, Position, next_action
from trimtab.releases.rollout import Guardrail, Plan, Step, freeze, series
from trimtab.stats.quantiles import BucketHistogram

START = datetime(2026, 1, 1, tzinfo=UTC)
NO_LIMIT = float("inf")


@dataclass(frozen=True)
class Behaviour:
    """How a version answers; latency is lognormal around `latency_ms`."""

    flagged: float
    failed: float = 0.01
    latency_ms: float = 250.0
    sigma: float = 0.35


@dataclass
class SideCounts:
    """One side of one epoch while events arrive."""

    units: set[int] = field(default_factory=set)
    new_units: int = 0
    n_requests: int = 0
    switched: set[int] = field(default_factory=set)
    k: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    n: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    first_k: dict[str, dict[int, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    latency: BucketHistogram = field(default_factory=BucketHistogram)

    def totals(self) -> SideTotals:
        return SideTotals(
            n_units=len(self.units),
            new_units=self.new_units,
            n_requests=self.n_requests,
            switched=len(self.switched),
            k=dict(self.k),
            n=dict(self.n),
            first_k={name: dict(counts) for name, counts in self.first_k.items()},
            histograms={"latency_ms": self.latency.encode()},
        )


@dataclass
class Counter:
    """All epochs of a plan, and what is known of each unit."""

    counted: list[Series]
    shares: dict[int, int] = field(default_factory=dict)
    sides: dict[tuple[int, str], SideCounts] = field(
        default_factory=lambda: defaultdict(SideCounts)
    )
    seen: set[int] = field(default_factory=set)
    control_in: dict[tuple[str, int], int] = field(default_factory=dict)
    treated: set[tuple[str, int]] = field(default_factory=set)
    done: set[tuple[str, int, int]] = field(default_factory=set)

    def add(
        self, unit: int, variant: str, *, epoch: int, flagged: bool, failed: bool, latency_ms: float
    ) -> None:
        side = self.sides[epoch, variant]
        if unit not in self.seen:
            self.seen.add(unit)
            side.new_units += 1
        side.units.add(unit)
        side.n_requests += 1
        side.latency.add(latency_ms)
        facts = {"flagged": flagged, "failed": failed}
        for each in self.counted:
            if each.kind == "flagged" and failed:
                continue
            limit = each.treatment_over if variant == "treatment" else each.control_over
            is_true = latency_ms > (limit or NO_LIMIT) if limit else facts[each.kind]
            side.n[each.name] += 1
            if is_true:
                side.k[each.name] += 1
                self._first(side, each.name, unit, variant=variant, epoch=epoch)

    def _first(self, side: SideCounts, name: str, unit: int, *, variant: str, epoch: int) -> None:
        if (name, unit, epoch) in self.done:
            return
        self.done.add((name, unit, epoch))
        if (name, unit) in self.treated:
            return
        before = self.control_in.get((name, unit), 0)
        side.first_k[name][before] += 1
        if variant == "treatment":
            self.treated.add((name, unit))
        elif self.shares[epoch] > self.shares.get(before, 0):
            self.control_in[name, unit] = epoch

    def totals(self) -> list[EpochTotals]:
        return [
            EpochTotals(
                plan_id="p1",
                epoch=epoch,
                sides={
                    variant: self.sides[epoch, variant].totals()
                    for variant in ("treatment", "control")
                },
            )
            for epoch in sorted(self.shares)
        ]


@dataclass(frozen=True)
class Ending:
    """How a simulated rollout ended."""

    action: Action
    assessment: Assessment
    n_treated: int
    seconds: float


class Rollout:
    """A rollout under traffic of a fixed arrival rate, ticked every half second."""

    def __init__(
        self,
        plan: Plan,
        *,
        versions: Mapping[str, Behaviour],
        rng: np.random.Generator,
        rate: int = 100,
        repeat: float = 0.35,
    ) -> None:
        self.plan = plan
        self.versions = versions
        self.rng = rng
        self.rate = rate
        self.repeat = repeat
        self.counter = Counter(counted=series(plan), shares={1: plan.steps[0].share})
        self.hashes: list[float] = []
        self.waiting: list[int] = []
        self.treated_units: set[int] = set()

    def unit(self) -> int:
        """A conversation: a new one, or the second request of one that began before."""
        if self.waiting and self.rng.random() < self.repeat:
            return self.waiting.pop(int(self.rng.integers(len(self.waiting))))
        self.hashes.append(float(self.rng.random()))
        unit = len(self.hashes) - 1
        if self.rng.random() < 0.7:
            self.waiting.append(unit)
        return unit

    def request(self, epoch: int) -> None:
        unit = self.unit()
        is_treated = self.hashes[unit] * 10_000 < self.counter.shares[epoch]
        variant = "treatment" if is_treated else "control"
        if is_treated:
            self.treated_units.add(unit)
        version = self.versions[variant]
        self.counter.add(
            unit,
            variant,
            epoch=epoch,
            flagged=bool(self.rng.random() < version.flagged),
            failed=bool(self.rng.random() < version.failed),
            latency_ms=version.latency_ms * float(np.exp(version.sigma * self.rng.normal())),
        )

    def run(self, *, limit_s: float = 300.0) -> Ending:
        """Traffic and ticks until the plan is finished, taken back, or out of time."""
        step, started = 0, 0.0
        now = 0.0
        while True:
            now += 0.5
            for _ in range(self.rate // 2):
                self.request(step + 1)
            assessment = assess(
                self.plan,
                self.counter.totals(),
                epochs=self.counter.shares,
                current_epoch=step + 1,
            )
            position = Position(
                step=step,
                epoch=step + 1,
                step_started_at=START + timedelta(seconds=started),
                n_treated_in_step=assessment.n_treated,
            )
            action = next_action(
                self.plan, position, assessment, now=START + timedelta(seconds=now)
            )
            if action.kind in ("finish", "roll_back", "pause") or now >= limit_s:
                return Ending(
                    action=action,
                    assessment=assessment,
                    n_treated=len(self.treated_units),
                    seconds=now,
                )
            if action.step is not None:
                step, started = action.step, now
                self.counter.shares[step + 1] = self.plan.steps[step].share


def history_of(version: Behaviour, *, n: int, rng: np.random.Generator) -> BaselineHistory:
    """What the baseline did before the plan."""
    latencies = version.latency_ms * np.exp(version.sigma * rng.normal(size=n))
    return BaselineHistory(n_requests=n, latency_ms=BucketHistogram.of(latencies.tolist()).encode())


def demo_plan(history: BaselineHistory) -> Plan:
    """10/25/50 %, 5 s holds, three guardrails over alpha 5 %."""
    shares = ((1_000, 60), (2_500, 150), (5_000, 400))
    file = PlanFile(
        prompt="support.reply",
        environment="prod",
        candidate="1.2.0",
        unit="thread",
        steps=[Step(share=s, hold_s=5.0, min_treated=n) for s, n in shares],
        guardrails=["flagged_rate > 1.5x", "error_rate > 1.5x", "latency_p95 +25%"],
        tolerated_harm="continue",
    )
    return freeze(file, baseline_sha="a" * 64, candidate_sha="b" * 64, history=history).plan


def one_rule(rule: Guardrail) -> Plan:
    """A plan of one guardrail, to weigh evidence against."""
    return Plan(
        prompt="p",
        environment="prod",
        candidate="b" * 64,
        baseline="a" * 64,
        unit="request",
        alpha=rule.alpha,
        steps=[Step(share=5_000, hold_s=0.0, min_treated=1)],
        guardrails=[rule],
    )
