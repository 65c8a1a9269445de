"""Power and sample size of one look at the end, in closed form: the yardstick beside the e-values.

All tests here are one-sided at `alpha`. A sequential test may look always and needs about 1.0 to
1.6 times these units.
"""

from math import ceil, sqrt

import msgspec

from trimtab.stats.undefined import Undefined

TARGET = 0.8
"""Power at which a test counts as able to see an effect; the field's habit."""


class Power(msgspec.Struct, frozen=True, kw_only=True, tag="power", tag_field="kind"):
    """What a single test could see with the units so far, and how many it would need.

    Attributes:
        power: Chance to see the effect, 0 … 1.
        ratio: The effect meant: rate of the treatment over the control's.
        n_treatment_needed: Units of the treatment for a power of 80 % at the same allocation.
        n_control_needed: Units of the control beside them.
    """

    power: float
    ratio: float
    n_treatment_needed: int
    n_control_needed: int


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Distance of the effect from the null, and the standard errors on both sides of it."""

    distance: float
    se_null: float
    se_effect: float


def rates_power(
    *,
    control_rate: float,
    ratio: float,
    n_treatment: int,
    n_control: int,
    alpha: float,
    tolerated: float = 1.0,
) -> Power | Undefined:
    """Power of the score test of "treatment's rate <= tolerated x control's" against `ratio`.

    Args:
        control_rate: Rate of the control, in (0, 1).
        ratio: True rate ratio to be seen, above `tolerated`; the rate it gives is capped at 99.9 %.
        n_treatment: Units of the treatment.
        n_control: Units of the control.
        alpha: One-sided error rate.
        tolerated: Rate ratio of the null.

    Source:
        Fleiss, Levin & Paik (2003), Statistical Methods for Rates and Proportions, §4.3; for a
        tolerated ratio other than 1 with the null's rates fixed by the margins, Farrington &
        Manning (1990), Statistics in Medicine 9, 1447-1454, method 2. With d = p_T - r p_C,
        power = Φ((d - z_alpha se_0) / se_1).
    """
    if not (n_treatment and n_control):
        return Undefined(reason="no_traffic")
    if not 0.0 < control_rate < 1.0:
        return Undefined(reason="zero_denominator")
    spread = _spread(
        control_rate=control_rate,
        treatment_rate=min(control_rate * ratio, 0.999),
        n_treatment=n_treatment,
        n_control=n_control,
        tolerated=tolerated,
    )
    if spread.distance <= 0.0:
        return Undefined(reason="non_finite")
    factor = _factor(spread, alpha=alpha)
    return Power(
        power=_power(spread, alpha=alpha),
        ratio=ratio,
        n_treatment_needed=ceil(n_treatment * factor),
        n_control_needed=ceil(n_control * factor),
    )


def means_power(
    *,
    difference: float,
    sd_treatment: float,
    sd_control: float,
    n_treatment: int,
    n_control: int,
    alpha: float,
) -> float | Undefined:
    """Power to see a true difference of means, normal approximation; all in the metric's unit.

    Source:
        Power = Φ(|d| / se - z_alpha), se² = s_T²/n_T + s_C²/n_C (Chow, Shao & Wang, Sample Size
        Calculations in Clinical Research, §3.2).
    """
    if not (n_treatment and n_control):
        return Undefined(reason="no_traffic")
    se = sqrt(sd_treatment**2 / n_treatment + sd_control**2 / n_control)
    if not se:
        return Undefined(reason="zero_variance")
    return _power(Spread(distance=abs(difference), se_null=se, se_effect=se), alpha=alpha)


def means_n(
    *,
    difference: float,
    sd: float,
    alpha: float,
    power: float = TARGET,
    control_per_treatment: float = 1.0,
) -> int | Undefined:
    """Treated units needed to see a difference of means, with that many controls for each.

    Source:
        n_T = (1 + 1/k) (z_alpha + z_beta)² s² / d² (Chow, Shao & Wang, §3.2).
    """
    from scipy.special import ndtri

    if not difference:
        return Undefined(reason="zero_denominator")
    z = float(ndtri(1.0 - alpha) + ndtri(power))
    return ceil((1.0 + 1.0 / control_per_treatment) * (z * sd / difference) ** 2)


def _spread(
    *,
    control_rate: float,
    treatment_rate: float,
    n_treatment: int,
    n_control: int,
    tolerated: float,
) -> Spread:
    events = n_treatment * treatment_rate + n_control * control_rate
    null_control = min(events / (n_treatment * tolerated + n_control), 1.0)
    null_treatment = min(null_control * tolerated, 1.0)

    def se(treated: float, untreated: float) -> float:
        return sqrt(
            treated * (1.0 - treated) / n_treatment
            + tolerated**2 * untreated * (1.0 - untreated) / n_control
        )

    return Spread(
        distance=treatment_rate - tolerated * control_rate,
        se_null=se(null_treatment, null_control),
        se_effect=se(treatment_rate, control_rate),
    )


def _power(spread: Spread, *, alpha: float) -> float:
    from scipy.special import ndtr, ndtri

    z = float(ndtri(1.0 - alpha))
    return float(ndtr((spread.distance - z * spread.se_null) / spread.se_effect))


def _factor(spread: Spread, *, alpha: float) -> float:
    """How many times the units are needed for the target power."""
    from scipy.special import ndtri

    need = float(ndtri(1.0 - alpha)) * spread.se_null + float(ndtri(TARGET)) * spread.se_effect
    return (need / spread.distance) ** 2
