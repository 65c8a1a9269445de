"""The frozen plan of a rollout: steps, guardrails, and what the fold counts for it."""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from trimtab.errors import PlanError
from trimtab.events.totals import BaselineHistory, FoldPlan, Series
from trimtab.experiments.metrics import find_metric
from trimtab.prompts.canonical import digest
from trimtab.releases.plan_file import (
    AdvanceOn,
    OnBreach,
    PlanFile,
    Step,
    ToleratedHarm,
    document_sha,
    parse_guardrail,
    read_plan,
)
from trimtab.routing.payload import UnitKind
from trimtab.stats.quantiles import BucketHistogram

__all__ = [
    "FrozenPlan",
    "Guardrail",
    "Plan",
    "PlanFile",
    "PlanStatus",
    "Step",
    "document_sha",
    "fold_plan",
    "freeze",
    "plan_sha",
    "read_plan",
    "series",
]

PlanStatus = Literal["draft", "running", "paused", "completed", "rolled_back", "aborted"]
HISTORY_NEEDED = 500
"""Baseline requests without which no quantile is frozen: 25 of them lie above a p95."""

HISTORY_WANTED = 2_000
"""Baseline requests under which a plan with a frozen quantile starts with a warning."""

TOLERANCE_SUFFIX = ":tolerance"


class Guardrail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule as written, and what it froze to when the plan started.

    Attributes:
        text: As in the plan file, e.g. `flagged_rate > 1.5x`.
        metric: `flagged_rate`, `error_rate`, `latency_p95`.
        ratio: The tolerated ratio r of a rate (1.0 = `worse`), for rates.
        tolerance: The tolerated relative rise of a quantile (0.25 = +25 %), for quantiles.
        alpha: This guardrail's part of the plan's alpha.
        threshold: q, the baseline's quantile in the metric's unit, frozen at start; quantiles only.
        log_mde: Log of the rate ratio, treatment over control, that the tests look for first.
    """

    text: str
    metric: str
    alpha: float
    ratio: float = 1.0
    tolerance: float | None = None
    threshold: float | None = None
    log_mde: float = 0.6931471805599453


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rollout, frozen: its canonical JSON is hashed into the audit row. Shares in 1/10,000."""

    prompt: str
    environment: str
    candidate: str
    baseline: str
    unit: UnitKind
    alpha: float
    steps: list[Step]
    guardrails: list[Guardrail]
    on_breach: OnBreach = "rollback"
    tolerated_harm: ToleratedHarm = "hold"
    advance_on: AdvanceOn = "no_breach"
    why: str = ""


class FrozenPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan ready to start, and what its starter should know first."""

    plan: Plan
    warnings: list[str]


def freeze(
    plan_file: PlanFile,
    *,
    baseline_sha: str,
    candidate_sha: str,
    history: BaselineHistory | None,
    marked: Collection[str] = (),
) -> FrozenPlan:
    """The plan with everything fixed that its tests read: shas, parts of alpha, thresholds.

    Args:
        plan_file: As read.
        baseline_sha: The version that is live.
        candidate_sha: What the plan's reference stands for.
        history: What the baseline did lately; quantile guardrails take their threshold from it.
        marked: Shas taken back in the environment: such a candidate may be tried again, knowingly.

    Raises:
        PlanError: Candidate and baseline are one version, or a quantile guardrail has fewer than
            500 requests of history.
    """
    if candidate_sha == baseline_sha:
        raise PlanError(
            f'candidate "{plan_file.candidate}" is the version that is live already '
            f"({baseline_sha[:12]}); name another"
        )
    warnings = [_tried_before(plan_file)] if candidate_sha in marked else []
    alpha = plan_file.alpha / len(plan_file.guardrails)
    guardrails = [
        _frozen_guardrail(text, alpha=alpha, history=history, warnings=warnings)
        for text in plan_file.guardrails
    ]
    return FrozenPlan(
        plan=Plan(
            prompt=plan_file.prompt,
            environment=plan_file.environment,
            candidate=candidate_sha,
            baseline=baseline_sha,
            unit=plan_file.unit,
            alpha=plan_file.alpha,
            steps=plan_file.steps,
            guardrails=guardrails,
            on_breach=plan_file.on_breach,
            tolerated_harm=plan_file.tolerated_harm,
            advance_on=plan_file.advance_on,
            why=plan_file.why,
        ),
        warnings=warnings,
    )


def series(plan: Plan) -> list[Series]:
    """What the fold counts: one boolean a rate, two a quantile (over q; and beyond the tolerance).

    Names are those of the metrics; the second of a quantile ends in `:tolerance`.
    """
    out: list[Series] = []
    for guardrail in plan.guardrails:
        kind = find_metric(guardrail.metric).counts
        q = guardrail.threshold
        out.append(Series(name=guardrail.metric, kind=kind, treatment_over=q, control_over=q))
        if q is not None and guardrail.tolerance is not None:
            tolerated = q * (1.0 + guardrail.tolerance)
            name = guardrail.metric + TOLERANCE_SUFFIX
            out.append(Series(name=name, kind=kind, treatment_over=tolerated, control_over=q))
    return out


def fold_plan(plan: Plan, *, plan_id: str, epochs: Mapping[int, int]) -> FoldPlan:
    """What the fold needs to count for this plan; `epochs` maps an epoch to its share."""
    return FoldPlan(
        plan_id=plan_id,
        environment=plan.environment,
        unit=plan.unit,
        epochs=dict(epochs),
        series=series(plan),
    )


def plan_sha(plan: Plan) -> str:
    """Identity of the frozen plan: what the audit row keeps."""
    return digest(msgspec.to_builtins(plan))


def _tried_before(plan_file: PlanFile) -> str:
    return (
        f'candidate "{plan_file.candidate}" was taken back in {plan_file.environment} before; '
        "this plan tries it again, and completing it clears the mark"
    )


def _frozen_guardrail(
    text: str, *, alpha: float, history: BaselineHistory | None, warnings: list[str]
) -> Guardrail:
    rule = parse_guardrail(text)
    name = rule.metric.name
    if rule.metric.quantile is None:
        return Guardrail(text=text, metric=name, alpha=alpha, ratio=rule.ratio)
    histogram = BucketHistogram.decode(history.latency_ms if history else b"")
    n = len(histogram)
    if n < HISTORY_NEEDED:
        raise PlanError(
            f'guardrail "{text}" freezes the baseline\'s {name} from its history: that has {n} '
            f"requests and needs {HISTORY_NEEDED}; wait for more traffic or leave the rule out"
        )
    threshold = histogram.quantile(rule.metric.quantile)
    if not threshold:
        raise PlanError(
            f'guardrail "{text}": the baseline\'s {name} is 0 over {n} requests, of which no '
            "percentage can be tolerated; leave the rule out"
        )
    if n < HISTORY_WANTED:
        warnings.append(
            f"{name} is frozen at {threshold:.4g} ms from {n} requests of the baseline; from "
            f"{HISTORY_WANTED} on it is steadier"
        )
    return Guardrail(
        text=text, metric=name, alpha=alpha, tolerance=rule.tolerance, threshold=threshold
    )
