from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from scipy.stats.contingency import relative_risk

from trimtab.stats.counts import (
    SideRates,
    Stratum,
    difference_interval,
    rate_ratio_interval,
    standardised_rates,
    wilson_interval,
)
from trimtab.stats.eprocess import OddsCell
from trimtab.stats.undefined import Estimate, Undefined


def cell(k_treatment: int, k_control: int, chance: float) -> OddsCell:
    return OddsCell(k_treatment=k_treatment, k_control=k_control, chance=chance)


def defined(result: Estimate | Undefined) -> Estimate:
    assert isinstance(result, Estimate)
    return result


def upper_tail(cells: Sequence[OddsCell], ratio: float, k_treatment: int) -> float:
    """Chance of at least so many treatment events, by plain convolution at that ratio."""
    masses = np.ones(1)
    for each in cells:
        k = each.k_treatment + each.k_control
        share = ratio * each.chance / (ratio * each.chance + 1 - each.chance)
        masses = np.convolve(masses, binom.pmf(np.arange(k + 1), k, share))
    return float(masses[k_treatment:].sum())


def test_one_epoch_is_the_exact_binomial_interval_turned_into_a_ratio() -> None:
    result = defined(rate_ratio_interval([cell(15, 60, 0.1)]))

    share = binomtest(15, 75).proportion_ci(0.95, method="exact")
    assert result.low == pytest.approx(share.low / (1 - share.low) * 9)
    assert result.high == pytest.approx(share.high / (1 - share.high) * 9)
    assert result.value == pytest.approx(15 / 60 * 9)


def test_cells_of_one_chance_are_one_cell() -> None:
    together = rate_ratio_interval([cell(15, 60, 0.1)])

    assert rate_ratio_interval([cell(5, 40, 0.1), cell(10, 20, 0.1)]) == together


@pytest.mark.parametrize(
    "cells",
    [
        [cell(6, 40, 0.1), cell(20, 45, 0.25), cell(60, 50, 0.5)],
        [cell(1, 0, 0.1), cell(0, 2, 0.25)],
        [cell(0, 3, 0.1), cell(0, 5, 0.5)],
        [cell(90, 1, 0.5), cell(30, 0, 0.25)],
    ],
)
def test_several_epochs_invert_the_exact_distribution(cells: list[OddsCell]) -> None:
    k_treatment = sum(each.k_treatment for each in cells)

    result = defined(rate_ratio_interval(cells))

    assert result.low is not None
    assert result.high is not None
    if k_treatment:
        assert upper_tail(cells, result.low, k_treatment) == pytest.approx(0.025, rel=1e-6)
    else:
        assert result.low == 0.0
    assert 1 - upper_tail(cells, result.high, k_treatment + 1) == pytest.approx(0.025, rel=1e-6)


def test_many_events_take_the_score_interval_which_agrees() -> None:
    cells = [cell(210, 1_400, 0.1), cell(330, 1_000, 0.25)]

    result = defined(rate_ratio_interval(cells))

    assert result.low is not None
    assert result.high is not None
    assert upper_tail(cells, result.low, 540) == pytest.approx(0.025, abs=2e-3)
    assert 1 - upper_tail(cells, result.high, 541) == pytest.approx(0.025, abs=2e-3)


@given(
    st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=3_000),
            st.integers(min_value=0, max_value=3_000),
            st.sampled_from([0.01, 0.1, 0.25, 1 / 6, 0.5]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_interval_holds_its_value(rows: list[tuple[int, int, float]]) -> None:
    result = rate_ratio_interval([cell(*row) for row in rows])

    if isinstance(result, Estimate):
        assert result.low is not None
        assert result.high is not None
        assert result.low <= result.value < result.high


def test_the_exact_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    rng = np.random.default_rng(8)
    runs, true, missed = 300, 1.8, 0
    for _ in range(runs):
        cells = []
        for chance, events in ((0.1, 40), (0.25, 30), (0.5, 20)):
            treated = int(rng.binomial(events, true * chance / (true * chance + 1 - chance)))
            cells.append(cell(treated, events - treated, chance))
        result = defined(rate_ratio_interval(cells))
        assert result.low is not None
        assert result.high is not None
        missed += not result.low <= true <= result.high

    assert missed <= binom.ppf(0.999, runs, 0.05)


def test_without_events_there_is_no_ratio() -> None:
    assert rate_ratio_interval([]) == Undefined(reason="no_traffic")
    assert rate_ratio_interval([cell(0, 0, 0.5)]) == Undefined(reason="no_traffic")


def test_without_an_event_of_the_control_there_is_no_ratio() -> None:
    assert rate_ratio_interval([cell(4, 0, 0.5)]) == Undefined(reason="zero_denominator")


def test_a_ramp_with_a_drifting_base_does_not_fake_a_difference() -> None:
    strata = [
        Stratum(k_treatment=10, n_treatment=1_000, k_control=90, n_control=9_000),
        Stratum(k_treatment=250, n_treatment=5_000, k_control=250, n_control=5_000),
    ]

    rates = standardised_rates(strata)

    assert isinstance(rates, SideRates)
    assert rates.treatment == pytest.approx(rates.control)


def test_standardised_rates_of_one_epoch_are_its_rates() -> None:
    rates = standardised_rates([Stratum(k_treatment=3, n_treatment=10, k_control=4, n_control=40)])

    assert isinstance(rates, SideRates)
    assert rates.treatment == pytest.approx(0.3)
    assert rates.control == pytest.approx(0.1)


def test_their_quotient_is_the_mantel_haenszel_ratio() -> None:
    a = Stratum(k_treatment=6, n_treatment=50, k_control=20, n_control=400)
    b = Stratum(k_treatment=30, n_treatment=200, k_control=18, n_control=210)
    treated = sum(s.k_treatment * s.n_control / (s.n_treatment + s.n_control) for s in (a, b))
    untreated = sum(s.k_control * s.n_treatment / (s.n_treatment + s.n_control) for s in (a, b))

    rates = standardised_rates([a, b])

    assert isinstance(rates, SideRates)
    assert rates.treatment / rates.control == pytest.approx(treated / untreated)


def test_epochs_with_one_side_only_compare_nothing() -> None:
    alone = Stratum(k_treatment=0, n_treatment=0, k_control=4, n_control=40)

    assert standardised_rates([alone]) == Undefined(reason="no_traffic")


@pytest.mark.parametrize(("k", "n"), [(0, 30), (3, 30), (30, 30), (81, 263)])
def test_wilson_agrees_with_scipy(k: int, n: int) -> None:
    oracle = binomtest(k, n).proportion_ci(0.95, method="wilson")

    result = defined(wilson_interval(k, n))

    assert result.low == pytest.approx(oracle.low, abs=1e-12)
    assert result.high == pytest.approx(oracle.high, abs=1e-12)


@pytest.mark.parametrize(
    ("row", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090)],
)
def test_newcombe_gives_the_published_intervals(
    row: tuple[int, int, int, int], low: float, high: float
) -> None:
    k_t, n_t, k_c, n_c = row

    result = defined(
        difference_interval(Stratum(k_treatment=k_t, n_treatment=n_t, k_control=k_c, n_control=n_c))
    )

    assert result.low == pytest.approx(low, abs=5e-5)
    assert result.high == pytest.approx(high, abs=5e-5)


def test_the_ratio_lies_near_the_relative_risk_of_rare_events() -> None:
    risk = relative_risk(60, 10_000, 30, 10_000)

    result = defined(rate_ratio_interval([cell(60, 30, 0.5)]))

    assert result.value == pytest.approx(risk.relative_risk)
    interval = risk.confidence_interval(0.95)
    assert result.low == pytest.approx(interval.low, rel=0.05)
    assert result.high == pytest.approx(interval.high, rel=0.05)


@pytest.mark.parametrize("sides", [(0, 10), (10, 0)])
def test_a_side_without_traffic_has_no_difference(sides: tuple[int, int]) -> None:
    n_treatment, n_control = sides
    empty = Stratum(k_treatment=0, n_treatment=n_treatment, k_control=0, n_control=n_control)

    assert difference_interval(empty) == Undefined(reason="no_traffic")
