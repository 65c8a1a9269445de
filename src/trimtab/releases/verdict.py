"""Verdicts: which one a guardrail's evidence comes to, and why, in a sentence for people."""

from math import exp, log
from typing import Literal

from trimtab.experiments.metrics import find_metric
from trimtab.releases.evidence import EValues, PlanEvidence, breach_series, tolerated_events
from trimtab.releases.rollout import Guardrail

Verdict = Literal["breach", "fault", "no_data", "inconclusive", "pass"]

SEVERITY: dict[Verdict, int] = {
    "breach": 0,
    "fault": 1,
    "no_data": 2,
    "inconclusive": 3,
    "pass": 4,
}
"""The worst comes first and wins."""

E_CAP = 1e300
"""E-values are given up to here, so that they stay numbers in JSON; their logs go on."""

UNITS_WITH = {
    "flagged": "with a flagged answer",
    "failed": "with a failed request",
    "latency_ms": "with a slow answer",
}
"""A unit by the first event that it counts for, by what the metric counts."""


def reach(e_values: EValues, *, fault: str, has_data: bool) -> Verdict:
    """The verdict of one guardrail.

    Args:
        e_values: Of the guardrail.
        fault: What is wrong with the split of the plan's units, or empty.
        has_data: Whether both sides of the current epoch have requests that count.
    """
    if e_values.is_breached:
        return "breach"
    if fault:
        return "fault"
    if not has_data:
        return "no_data"
    return "pass" if e_values.is_within and not e_values.is_harmful else "inconclusive"


def explain(
    verdict: Verdict,
    e_values: EValues,
    *,
    guardrail: Guardrail,
    evidence: PlanEvidence,
    fault: str,
) -> str:
    """Why a guardrail has its verdict: what was counted, what was allowed, how sure it is."""
    against, within = short(e_values.breach), short(e_values.within)
    needed = f"{e_values.threshold:.4g} needed"
    match verdict:
        case "breach":
            counted = _counted(e_values, guardrail)
            return f"{counted}; {_allowed(e_values, guardrail)} (evidence {against}, {needed})"
        case "fault":
            return fault
        case "no_data":
            return _lacking(guardrail, evidence)
        case "pass":
            counted = _counted(e_values, guardrail)
            return f"within the tolerance: {counted} (evidence {within}, {needed})"
        case "inconclusive" if e_values.is_harmful:
            harm = f"evidence {short(e_values.harm)}, {needed}"
            counted = _counted(e_values, guardrail)
            return (
                f"worse than the control ({harm}), but not shown to be beyond the tolerance "
                f"(evidence {against}): {counted}"
            )
        case _:
            counted = _counted(e_values, guardrail)
            return (
                f"not decided yet: {counted} (evidence {against} that the tolerance is exceeded, "
                f"{within} that it is kept, {needed})"
            )


def short(log_value: float) -> str:
    """An e-value for people, from its natural log."""
    return f"{capped(log_value):.3g}"


def capped(log_value: float) -> float:
    """An e-value as a finite number, from its natural log."""
    return exp(min(log_value, log(E_CAP)))


def _counted(e_values: EValues, guardrail: Guardrail) -> str:
    n_treated = sum(cell.k_treatment for cell in e_values.cells)
    n = n_treated + sum(cell.k_control for cell in e_values.cells)
    units = UNITS_WITH[find_metric(guardrail.metric).counts]
    if not n:
        return f"no unit {units} so far"
    return f"{n_treated} of the {n} units {units} were treated"


def _allowed(e_values: EValues, guardrail: Guardrail) -> str:
    tolerated = f"{tolerated_events(e_values):.1f}"
    if guardrail.tolerance is not None:
        return (
            f"a latency {guardrail.tolerance:.0%} over the control's would mean about {tolerated}"
        )
    if guardrail.ratio == 1.0:
        return f"the control's rate would mean about {tolerated}"
    return f"{guardrail.ratio:g} times the control's rate would mean about {tolerated}"


def _lacking(guardrail: Guardrail, evidence: PlanEvidence) -> str:
    """Which side of the current epoch has no request yet."""
    n = evidence.counted_now(breach_series(guardrail))
    sides = [
        name
        for name, counted in (("treatment", n.treatment), ("control", n.control))
        if not counted
    ]
    return f"no request of {' and '.join(sides)} counts for it in epoch {evidence.current} yet"
