"""Rates and their comparison from counts: exact rate ratios, standardised rates, intervals."""

from collections.abc import Callable, Iterable, Sequence
from math import exp, hypot, log, sqrt
from typing import Any, NamedTuple

import msgspec

from trimtab.stats.eprocess import OddsCell
from trimtab.stats.undefined import Estimate, Undefined

EXACT_UP_TO = 2_000
"""Events up to which several epochs are convolved exactly; beyond, the score interval's bounds are
within a thousandth of the exact ones and cost nothing."""


class Stratum(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one epoch: `k` of `n` on either side."""

    k_treatment: int
    n_treatment: int
    k_control: int
    n_control: int


class SideRates(msgspec.Struct, frozen=True, kw_only=True):
    """One rate a side, made comparable over epochs."""

    treatment: float
    control: float


def standardised_rates(strata: Iterable[Stratum]) -> SideRates | Undefined:
    """Rates of both sides over the same mix of epochs, so that a ramp or a drift cannot fake one.

    Their quotient is the Mantel-Haenszel rate ratio, their difference the Mantel-Haenszel
    difference. Epochs in which a side has no traffic compare nothing and are left out.

    Source:
        Mantel & Haenszel (1959), JNCI 22, 719-748: weights n_T n_C / (n_T + n_C).
    """
    total = treatment = control = 0.0
    for s in strata:
        if s.n_treatment and s.n_control:
            weight = s.n_treatment * s.n_control / (s.n_treatment + s.n_control)
            total += weight
            treatment += weight * s.k_treatment / s.n_treatment
            control += weight * s.k_control / s.n_control
    if not total:
        return Undefined(reason="no_traffic")
    return SideRates(treatment=treatment / total, control=control / total)


def rate_ratio_interval(
    cells: Iterable[OddsCell], *, confidence: float = 0.95
) -> Estimate | Undefined:
    """Rate of the treatment over the control's, from the events alone, whatever the allocation.

    With one chance of treatment in all cells the interval is exact in closed form; with several it
    inverts the exact distribution up to `EXACT_UP_TO` events and the score test beyond.

    Args:
        cells: Events by chance of treatment; events are independent given their cell.
        confidence: Two-sided, in (0, 1).

    Returns:
        The conditional maximum-likelihood ratio with its interval; `zero_denominator` without an
        event of the control, `no_traffic` without any.

    Source:
        Clopper & Pearson (1934), Biometrika 26, 404-413, on the share of the treatment among the
        events; for several cells the same inversion of the sum of their binomials.
    """
    merged: dict[float, tuple[int, int]] = {}
    for cell in cells:
        k, k_treatment = merged.get(cell.chance, (0, 0))
        both = cell.k_treatment + cell.k_control
        merged[cell.chance] = (k + both, k_treatment + cell.k_treatment)
    groups = [(k, chance / (1.0 - chance)) for chance, (k, _) in merged.items() if k]
    total = sum(k for k, _ in groups)
    k_treatment = sum(k for _, k in merged.values())
    if not total:
        return Undefined(reason="no_traffic")
    if k_treatment == total:
        return Undefined(reason="zero_denominator")
    tail = (1.0 - confidence) / 2.0
    if len(groups) == 1:
        return _one_chance(k_treatment, total, odds=groups[0][1], tail=tail)
    if total <= EXACT_UP_TO:
        return _exact(groups, k_treatment, tail=tail)
    return _score(groups, k_treatment, tail=tail)


def wilson_interval(k: int, n: int, *, confidence: float = 0.95) -> Estimate | Undefined:
    """The share k / n with Wilson's score interval.

    Source:
        Wilson (1927), JASA 22, 209-212.
    """
    if not n:
        return Undefined(reason="no_traffic")
    bounds = _wilson(k, n, confidence=confidence)
    return Estimate(value=bounds.value, low=bounds.low, high=bounds.high)


def difference_interval(stratum: Stratum, *, confidence: float = 0.95) -> Estimate | Undefined:
    """Difference of two rates (treatment - control), for display.

    Source:
        Newcombe (1998), Statistics in Medicine 17, 873-890, method 10.
    """
    if not (stratum.n_treatment and stratum.n_control):
        return Undefined(reason="no_traffic")
    treatment = _wilson(stratum.k_treatment, stratum.n_treatment, confidence=confidence)
    control = _wilson(stratum.k_control, stratum.n_control, confidence=confidence)
    value = treatment.value - control.value
    down = hypot(treatment.value - treatment.low, control.high - control.value)
    up = hypot(treatment.high - treatment.value, control.value - control.low)
    return Estimate(value=value, low=value - down, high=value + up)


class _Bounded(NamedTuple):
    """An estimate both of whose bounds exist."""

    value: float
    low: float
    high: float


def _wilson(k: int, n: int, *, confidence: float) -> _Bounded:
    z = _normal_quantile(confidence)
    rate = k / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return _Bounded(rate, max(0.0, centre - half), min(1.0, centre + half))


def _normal_quantile(confidence: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence / 2.0))


def _one_chance(k: int, total: int, *, odds: float, tail: float) -> Estimate:
    from scipy.special import betaincinv

    low = float(betaincinv(k, total - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, total - k, 1.0 - tail))
    return Estimate(
        value=k / (total - k) / odds,
        low=low / (1.0 - low) / odds,
        high=high / (1.0 - high) / odds,
    )


def _expected(groups: Sequence[tuple[int, float]], log_ratio: float) -> tuple[float, float]:
    """Mean and variance of the treatment's events at a rate ratio."""
    mean = variance = 0.0
    for k, odds in groups:
        share = 1.0 / (1.0 + exp(-log_ratio) / odds)
        mean += k * share
        variance += k * share * (1.0 - share)
    return mean, variance


def _most_likely(groups: Sequence[tuple[int, float]], k_treatment: float) -> float:
    """Log of the ratio at which `k_treatment` is what one expects; strictly between 0 and all."""
    return _root(lambda x: _expected(groups, x)[0] - k_treatment, start=0.0, step=1.0)


def _exact(groups: Sequence[tuple[int, float]], k_treatment: int, *, tail: float) -> Estimate:
    """Inversion of the exact distribution: computed once, then tilted by the ratio."""
    total = sum(k for k, _ in groups)
    base = _most_likely(groups, min(max(k_treatment, 0.5), total - 0.5))
    masses = _convolved(groups, base)
    _, variance = _expected(groups, base)
    step = 2.0 / sqrt(variance)

    def beyond(shift: float, cut: int, *, upper: bool) -> float:
        """Log of the tail's odds against `tail`; rising in the shift if `upper`."""
        import numpy as np

        tilted = masses + shift * np.arange(len(masses))
        weights = np.exp(tilted - tilted.max())
        part = float(weights[cut:].sum() if upper else weights[: cut + 1].sum())
        return log(max(part / float(weights.sum()), 1e-300)) - log(tail)

    high = _root(lambda x: -beyond(x, k_treatment, upper=False), start=step, step=step)
    if not k_treatment:
        return Estimate(value=0.0, low=0.0, high=exp(base + high))
    low = _root(lambda x: beyond(x, k_treatment, upper=True), start=-step, step=step)
    return Estimate(value=exp(base), low=exp(base + low), high=exp(base + high))


def _convolved(groups: Sequence[tuple[int, float]], log_ratio: float) -> Any:  # noqa: ANN401 - a numpy array; numpy is not imported by this module
    """Log chance of each number of treatment events, 0 … all; float64, shape (all + 1,)."""
    import numpy as np
    from scipy.special import gammaln

    masses = np.ones(1)
    for k, odds in groups:
        i = np.arange(k + 1)
        share = 1.0 / (1.0 + exp(-log_ratio) / odds)
        ways = gammaln(k + 1) - gammaln(i + 1) - gammaln(k - i + 1)
        masses = np.convolve(masses, np.exp(ways + i * log(share) + (k - i) * log(1.0 - share)))
    with np.errstate(divide="ignore"):
        return np.log(masses)


def _score(groups: Sequence[tuple[int, float]], k_treatment: int, *, tail: float) -> Estimate:
    """Score interval with continuity correction, for many events."""
    z = _normal_quantile(1.0 - 2.0 * tail)

    def distance(log_ratio: float, side: float) -> float:
        mean, variance = _expected(groups, log_ratio)
        return (mean - k_treatment) - side * (0.5 + z * sqrt(variance))

    high_start = _most_likely(groups, k_treatment + 0.5)
    high = _root(lambda x: distance(x, 1.0), start=high_start, step=0.1)
    if not k_treatment:
        return Estimate(value=0.0, low=0.0, high=exp(high))
    base = _most_likely(groups, k_treatment)
    low = _root(lambda x: distance(x, -1.0), start=base, step=0.1)
    return Estimate(value=exp(base), low=exp(low), high=exp(high))


def _root(rising: Callable[[float], float], *, start: float, step: float) -> float:
    """Where a rising function is zero: doubling steps to bracket it, then the Illinois rule."""
    low = high = start
    below = above = rising(start)
    while above < 0.0:
        low, below = high, above
        high += step
        step *= 2.0
        above = rising(high)
    while below > 0.0:
        high, above = low, below
        low -= step
        step *= 2.0
        below = rising(low)
    last = 0.0
    while high - low > 1e-10 and below < 0.0 < above:
        middle = (low * above - high * below) / (above - below)
        value = rising(middle)
        if value > 0.0:
            high, above = middle, value
            below = below / 2.0 if last > 0.0 else below
        else:
            low, below = middle, value
            above = above / 2.0 if last < 0.0 else above
        last = value
        if abs(value) < 1e-11:
            return middle
    return low if below == 0.0 else high
