"""Guardrails: from what a plan has counted to a verdict on each rule, with the numbers used."""

from collections.abc import Mapping, Sequence
from math import log
from typing import Literal

import msgspec

from trimtab.events.totals import EpochTotals
from trimtab.experiments.metrics import find_metric
from trimtab.releases.evidence import (
    EValues,
    PlanEvidence,
    SideCounts,
    breach_series,
    side_of,
    weigh,
)
from trimtab.releases.rollout import Guardrail, Plan
from trimtab.releases.verdict import SEVERITY, Verdict, capped, explain, reach, short
from trimtab.routing.payload import BUCKETS
from trimtab.stats.counts import SideRates, rate_ratio_interval, standardised_rates
from trimtab.stats.power import Power, rates_power
from trimtab.stats.quantiles import (
    BucketHistogram,
    QuantileStratum,
    SideQuantiles,
    compare_quantiles,
)
from trimtab.stats.srm import ALARM, SplitCell, srm_log_e
from trimtab.stats.undefined import Estimate, Undefined

SWITCHED_SHARE = 0.01
SWITCHED_UNITS = 10
"""More than 1 % of an epoch's units seen on both sides, and at least ten: assignment is broken."""

LOG_10 = log(10.0)


class SideReading(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a reading.

    Attributes:
        first_k: First true events of units, over all epochs: what the e-values count.
        k: True events among all requests, for display.
        n: Requests that count for the metric, for display.
        rate: Share of true requests over the same mix of epochs on both sides; not k / n.
        value: The metric itself over that mix: the rate, or the quantile in its own unit.
    """

    first_k: int
    k: int
    n: int
    rate: float | None = None
    value: float | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one guardrail says now.

    Attributes:
        text: The rule as written.
        metric: Its metric's name.
        verdict: Of this rule alone.
        reason: One sentence with the numbers used.
        e_breach: Evidence that the tolerance is exceeded.
        e_harm: Evidence that the treatment is worse at all.
        e_within: Evidence that the treatment is within the tolerance.
        log10_e_breach: The same without a cap; so are the two that follow.
        log10_e_harm: Of `e_harm`.
        log10_e_within: Of `e_within`.
        threshold: The e-value at which each of the three counts as shown: 1 / alpha.
        harm_shown: The treatment is worse than the control, whether or not that is tolerated.
        within_shown: The treatment keeps the tolerance.
        treatment: Counts behind `e_breach`; of a quantile, events beyond the tolerated limit.
        control: The same; of a quantile, events over the frozen threshold.
        effect: Rate ratio over all epochs, or relative change of the quantile (0.25 = +25 %).
        effect_is: Which of the two.
        fixed_n_power: What one fixed test against the tolerance could see with these units, of
            an effect as large as the plan's MDE (a doubled rate); it names the ratio meant.
    """

    text: str
    metric: str
    verdict: Verdict
    reason: str
    e_breach: float
    e_harm: float
    e_within: float
    log10_e_breach: float
    log10_e_harm: float
    log10_e_within: float
    threshold: float
    harm_shown: bool
    within_shown: bool
    treatment: SideReading
    control: SideReading
    effect: Estimate | Undefined
    effect_is: Literal["rate_ratio", "relative_change"]
    fixed_n_power: Power | Undefined


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Whether units were divided as the plan says.

    Attributes:
        e_srm: Evidence against the planned shares; from 100 on a fault.
        log10_e_srm: The same without a cap.
        switched: Units seen on both sides of one epoch, over all epochs.
        fault: What is wrong, or empty.
    """

    e_srm: float
    log10_e_srm: float
    switched: int
    fault: str


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """All guardrails of a plan at one moment; `n_treated` and `n_control` are units now."""

    verdict: Verdict
    readings: list[Reading]
    split: Split
    epoch: int
    n_treated: int
    n_control: int


def assess(
    plan: Plan,
    totals: Sequence[EpochTotals],
    *,
    epochs: Mapping[int, int],
    current_epoch: int,
) -> Assessment:
    """Judge every guardrail of a plan; valid at every moment and as often as one likes.

    A rule has no data when the current epoch has no request that counts for its metric on either
    one of the sides. A fault of the split reaches every rule that is not breached.

    Args:
        plan: Frozen.
        totals: One an epoch, in any order; epochs without traffic may be missing.
        epochs: Treatment's share in 1/10,000 of every epoch so far.
        current_epoch: The epoch in force.

    Raises:
        ValueError: Totals name an epoch that `epochs` does not.
    """
    ordered = sorted(totals, key=lambda each: each.epoch)
    if unknown := [each.epoch for each in ordered if each.epoch not in epochs]:
        raise ValueError(f"totals of epochs {unknown}, but the plan has {sorted(epochs)}")
    evidence = PlanEvidence(epochs=epochs, current=current_epoch, totals=ordered)
    split = _split(evidence)
    readings = [_reading(guardrail, evidence, fault=split.fault) for guardrail in plan.guardrails]
    now = [each for each in ordered if each.epoch == current_epoch]
    return Assessment(
        verdict=min((each.verdict for each in readings), key=SEVERITY.__getitem__),
        readings=readings,
        split=split,
        epoch=current_epoch,
        n_treated=sum(side_of(each, "treatment").n_units for each in now),
        n_control=sum(side_of(each, "control").n_units for each in now),
    )


def _reading(guardrail: Guardrail, evidence: PlanEvidence, *, fault: str) -> Reading:
    e_values = weigh(guardrail, evidence)
    series = breach_series(guardrail)
    is_quantile = guardrail.tolerance is not None
    quantiles = _quantiles(guardrail, evidence) if is_quantile else None
    has_data = evidence.counted_now(series).both
    verdict = reach(e_values, fault=fault, has_data=has_data)
    return Reading(
        text=guardrail.text,
        metric=guardrail.metric,
        verdict=verdict,
        reason=explain(verdict, e_values, guardrail=guardrail, evidence=evidence, fault=fault),
        e_breach=capped(e_values.breach),
        e_harm=capped(e_values.harm),
        e_within=capped(e_values.within),
        log10_e_breach=e_values.breach / LOG_10,
        log10_e_harm=e_values.harm / LOG_10,
        log10_e_within=e_values.within / LOG_10,
        threshold=e_values.threshold,
        harm_shown=e_values.is_harmful,
        within_shown=e_values.is_within,
        treatment=_side_reading("treatment", series, evidence, quantiles),
        control=_side_reading("control", series, evidence, quantiles),
        effect=_effect(e_values, quantiles, counted=evidence.counted(series)),
        effect_is="relative_change" if is_quantile else "rate_ratio",
        fixed_n_power=_power(guardrail, series, evidence, e_values),
    )


def _effect(
    e_values: EValues, quantiles: SideQuantiles | Undefined | None, *, counted: SideCounts
) -> Estimate | Undefined:
    if not counted.both:
        return Undefined(reason="no_traffic")
    if quantiles is None:
        return rate_ratio_interval(e_values.cells)
    return quantiles.change if isinstance(quantiles, SideQuantiles) else quantiles


def _quantiles(guardrail: Guardrail, evidence: PlanEvidence) -> SideQuantiles | Undefined:
    metric = find_metric(guardrail.metric)
    if metric.quantile is None:
        raise ValueError(f"{guardrail.metric} has a tolerance but is no quantile")
    strata = [
        QuantileStratum(
            treatment=BucketHistogram.decode(treatment.histograms.get(metric.counts, b"")),
            control=BucketHistogram.decode(control.histograms.get(metric.counts, b"")),
        )
        for _, treatment, control in evidence.sides()
    ]
    return compare_quantiles(strata, q=metric.quantile)


def _power(
    guardrail: Guardrail, series: str, evidence: PlanEvidence, e_values: EValues
) -> Power | Undefined:
    n_treatment = n_control = k_control = 0
    for _, treatment, control in evidence.sides():
        n_treatment += treatment.n_units
        n_control += control.n_units
        k_control += sum(control.first_k.get(series, {}).values())
    return rates_power(
        control_rate=k_control / n_control if n_control else 0.0,
        ratio=e_values.sought,
        n_treatment=n_treatment,
        n_control=n_control,
        alpha=guardrail.alpha,
        tolerated=e_values.ratio,
    )


def _side_reading(
    variant: Literal["treatment", "control"],
    series: str,
    evidence: PlanEvidence,
    quantiles: SideQuantiles | Undefined | None,
) -> SideReading:
    sides = [side_of(each, variant) for each in evidence.totals]
    rates = standardised_rates(evidence.strata(series))
    rate = _of(rates, variant)
    return SideReading(
        first_k=sum(sum(side.first_k.get(series, {}).values()) for side in sides),
        k=sum(side.k.get(series, 0) for side in sides),
        n=sum(side.n.get(series, 0) for side in sides),
        rate=rate,
        value=rate if quantiles is None else _of(quantiles, variant),
    )


def _of(
    both: SideRates | SideQuantiles | Undefined, variant: Literal["treatment", "control"]
) -> float | None:
    if isinstance(both, Undefined):
        return None
    return both.treatment if variant == "treatment" else both.control


def _split(evidence: PlanEvidence) -> Split:
    cells: list[SplitCell] = []
    switched = 0
    broken = ""
    for epoch, treatment, control in evidence.sides():
        share = evidence.epochs[epoch]
        if 0 < share < BUCKETS:
            part = share / BUCKETS
            counts = (treatment.new_units, control.new_units)
            cells.append(SplitCell(counts=counts, shares=(part, 1.0 - part)))
        both = treatment.switched + control.switched
        units = treatment.n_units + control.n_units
        switched += both
        if both >= SWITCHED_UNITS and both > SWITCHED_SHARE * units:
            broken = (
                f"the split is wrong: {both} of {units} units of epoch {epoch} were seen on both "
                "sides"
            )
    log_value = srm_log_e(cells)
    if log_value >= log(ALARM):
        n_treatment = sum(cell.counts[0] for cell in cells)
        n = n_treatment + sum(cell.counts[1] for cell in cells)
        expected = sum(sum(cell.counts) * cell.shares[0] for cell in cells)
        broken = (
            f"the split is wrong: {n_treatment} of {n} units came to treatment, the plan's shares "
            f"give {expected:.0f} (evidence {short(log_value)}, {ALARM:.0f} needed)"
        )
    return Split(
        e_srm=capped(log_value),
        log10_e_srm=log_value / LOG_10,
        switched=switched,
        fault=broken,
    )
