import numpy as np
import pytest
from scipy.stats import norm

from trimtab.stats.power import Power, means_n, means_power, rates_power
from trimtab.stats.undefined import Undefined


def defined(result: Power | Undefined) -> Power:
    assert isinstance(result, Power)
    return result


def test_the_textbook_sample_size_for_sixty_against_seventy_per_cent() -> None:
    """Fleiss, Levin & Paik, table A.4 without its continuity correction: 281 a group, two-sided."""
    result = defined(
        rates_power(
            control_rate=0.6, ratio=0.7 / 0.6, n_treatment=281, n_control=281, alpha=0.05 / 2
        )
    )

    assert result.power == pytest.approx(0.70, abs=0.01)
    at_eighty = defined(
        rates_power(
            control_rate=0.6, ratio=0.7 / 0.6, n_treatment=356, n_control=356, alpha=0.05 / 2
        )
    )
    assert at_eighty.power == pytest.approx(0.80, abs=0.005)


def test_the_units_it_asks_for_give_the_power_it_promises() -> None:
    first = defined(
        rates_power(
            control_rate=0.04, ratio=3.0, n_treatment=50, n_control=450, alpha=0.05, tolerated=1.5
        )
    )

    again = defined(
        rates_power(
            control_rate=0.04,
            ratio=3.0,
            n_treatment=first.n_treatment_needed,
            n_control=first.n_control_needed,
            alpha=0.05,
            tolerated=1.5,
        )
    )

    assert again.power == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("tolerated", [1.0, 1.5])
def test_the_closed_form_is_what_a_simulation_finds(tolerated: float) -> None:
    rng = np.random.default_rng(4)
    n_t, n_c, base, ratio, alpha = 700, 2_100, 0.06, 1.5 * tolerated, 0.05
    k_t = rng.binomial(n_t, base * ratio, size=20_000)
    k_c = rng.binomial(n_c, base, size=20_000)
    null_c = (k_t + k_c) / (n_t * tolerated + n_c)
    null_t = null_c * tolerated
    se = np.sqrt(null_t * (1 - null_t) / n_t + tolerated**2 * null_c * (1 - null_c) / n_c)
    found = (k_t / n_t - tolerated * k_c / n_c) / se > norm.isf(alpha)

    result = defined(
        rates_power(
            control_rate=base,
            ratio=ratio,
            n_treatment=n_t,
            n_control=n_c,
            alpha=alpha,
            tolerated=tolerated,
        )
    )

    assert result.power == pytest.approx(float(found.mean()), abs=0.02)


def test_more_units_see_more() -> None:
    powers = [
        defined(
            rates_power(control_rate=0.08, ratio=2.0, n_treatment=n, n_control=n, alpha=0.05)
        ).power
        for n in (20, 80, 320)
    ]

    assert powers == sorted(powers)


@pytest.mark.parametrize(
    ("control_rate", "n", "reason"), [(0.0, 100, "zero_denominator"), (0.1, 0, "no_traffic")]
)
def test_without_a_rate_or_units_there_is_no_power(
    control_rate: float, n: int, reason: str
) -> None:
    result = rates_power(
        control_rate=control_rate, ratio=2.0, n_treatment=n, n_control=n, alpha=0.05
    )

    assert isinstance(result, Undefined)
    assert result.reason == reason


def test_half_a_standard_deviation_takes_fifty_units_a_side() -> None:
    """One-sided 5 %, power 80 %: 2 (1.645 + 0.842)² / 0.25 = 49.5."""
    assert means_n(difference=0.5, sd=1.0, alpha=0.05) == 50


def test_the_means_formulas_agree_with_each_other() -> None:
    n = means_n(difference=20.0, sd=90.0, alpha=0.025, power=0.9, control_per_treatment=3.0)

    assert isinstance(n, int)
    power = means_power(
        difference=20.0,
        sd_treatment=90.0,
        sd_control=90.0,
        n_treatment=n,
        n_control=3 * n,
        alpha=0.025,
    )
    assert power == pytest.approx(0.9, abs=0.005)


def test_means_without_spread_or_units_have_no_power() -> None:
    still = means_power(
        difference=1.0, sd_treatment=0.0, sd_control=0.0, n_treatment=5, n_control=5, alpha=0.05
    )
    none = means_power(
        difference=1.0, sd_treatment=1.0, sd_control=1.0, n_treatment=0, n_control=5, alpha=0.05
    )

    assert still == Undefined(reason="zero_variance")
    assert none == Undefined(reason="no_traffic")
    assert means_n(difference=0.0, sd=1.0, alpha=0.05) == Undefined(reason="zero_denominator")
