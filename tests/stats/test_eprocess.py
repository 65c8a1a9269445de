import itertools
from math import exp, isfinite, log, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from trimtab.stats.eprocess import LN_2, Mixture, OddsCell, conditional_chance, log_e, mixture

counts = st.integers(min_value=0, max_value=10_000_000)
chances = st.sampled_from([0.01, 0.1, 1 / 6, 0.25, 0.5, 0.9])


def cell(k_treatment: int, k_control: int, chance: float) -> OddsCell:
    return OddsCell(k_treatment=k_treatment, k_control=k_control, chance=chance)


def product_form(cells: list[OddsCell], *, ratio: float) -> float:
    """The formula as written: sum of weights times products of likelihood ratios."""
    bets = mixture()
    total = 0.0
    for shift, weight in zip(bets.shifts, bets.weights, strict=True):
        product = weight
        for each in cells:
            null = ratio * each.chance / (ratio * each.chance + 1 - each.chance)
            odds = null / (1 - null) * exp(shift)
            other = odds / (1 + odds)
            product *= (other / null) ** each.k_treatment
            product *= ((1 - other) / (1 - null)) ** each.k_control
        total += product
    return total


def test_half_of_the_mass_lies_on_the_grid_and_half_on_a_doubled_rate() -> None:
    bets = mixture()

    assert len(bets.shifts) == 11
    assert bets.shifts[0] == pytest.approx(0.08)
    assert bets.shifts[9] == pytest.approx(1.6)
    assert bets.shifts[10] == LN_2
    assert bets.weights == pytest.approx((0.05,) * 10 + (0.5,))


def test_the_grid_is_geometric() -> None:
    grid = mixture().shifts[:10]

    steps = [after / before for before, after in itertools.pairwise(grid)]

    assert steps == pytest.approx([20 ** (1 / 9)] * 9)


def test_it_is_the_published_product_form() -> None:
    cells = [cell(7, 31, 0.1), cell(12, 20, 0.25), cell(3, 3, 1 / 6)]

    assert log_e(cells, mixture=mixture(), ratio=1.5) == pytest.approx(
        log(product_form(cells, ratio=1.5))
    )


def test_one_event_of_treatment_at_even_shares_can_be_computed_by_hand() -> None:
    bets = Mixture(shifts=(LN_2,), weights=(1.0,))

    value = log_e([cell(1, 0, 0.5)], mixture=bets)

    assert exp(value) == pytest.approx((2 / 3) / (1 / 2))


def test_no_event_is_no_evidence() -> None:
    assert log_e([], mixture=mixture()) == 0.0
    assert log_e([cell(0, 0, 0.1)], mixture=mixture()) == 0.0


def test_the_mean_of_the_e_value_under_the_null_is_one() -> None:
    n, chance, ratio = 60, 0.25, 1.5
    null = ratio * chance / (ratio * chance + 1 - chance)

    mean = sum(
        binom.pmf(k, n, null) * exp(log_e([cell(k, n - k, chance)], mixture=mixture(), ratio=ratio))
        for k in range(n + 1)
    )

    assert mean == pytest.approx(1.0, rel=1e-9)


def test_the_mean_of_the_falling_e_value_under_its_null_is_one() -> None:
    n, chance = 60, 0.1

    mean = sum(
        binom.pmf(k, n, chance)
        * exp(log_e([cell(k, n - k, chance)], mixture=mixture(), direction="fall"))
        for k in range(n + 1)
    )

    assert mean == pytest.approx(1.0, rel=1e-9)


def test_a_tolerated_ratio_needs_more_to_be_exceeded() -> None:
    cells = [cell(40, 40, 0.5)]

    assert log_e(cells, mixture=mixture(), ratio=1.5) < log_e(cells, mixture=mixture())


@given(k_treatment=counts, k_control=counts, chance=chances)
def test_any_count_gives_a_finite_log(k_treatment: int, k_control: int, chance: float) -> None:
    for direction in ("rise", "fall"):
        value = log_e(
            [cell(k_treatment, k_control, chance)], mixture=mixture(), direction=direction
        )
        assert isfinite(value)


@given(k_treatment=counts, k_control=counts, chance=chances)
def test_one_more_event_of_treatment_is_more_evidence(
    k_treatment: int, k_control: int, chance: float
) -> None:
    before = log_e([cell(k_treatment, k_control, chance)], mixture=mixture())
    after = log_e([cell(k_treatment + 1, k_control, chance)], mixture=mixture())

    assert after > before - 1e-6


def test_ten_million_events_keep_their_last_digits() -> None:
    n = 10_000_000
    bets = Mixture(shifts=(LN_2,), weights=(1.0,))

    value = log_e([cell(n, n, 0.5)], mixture=bets)

    assert value == pytest.approx(n * LN_2 - 2 * n * log1p(0.5), rel=1e-12)


@pytest.mark.parametrize("chance", [0.0, 1.0, -0.1, 1.2])
def test_a_chance_that_leaves_one_side_empty_is_refused(chance: float) -> None:
    with pytest.raises(ValueError, match="chance of treatment"):
        cell(1, 1, chance)


@pytest.mark.parametrize("log_mde", [0.0, -1.0, float("nan"), float("inf")])
def test_an_mde_that_is_no_rise_is_refused(log_mde: float) -> None:
    with pytest.raises(ValueError, match="log_mde"):
        mixture(log_mde)


def test_weights_must_sum_to_one() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        Mixture(shifts=(0.1, 0.2), weights=(0.5, 0.4))


def test_a_unit_that_never_counted_is_treated_with_the_share() -> None:
    assert conditional_chance(1000, None) == 0.1


def test_a_unit_that_counted_as_control_is_treated_if_the_share_passes_over_it() -> None:
    assert conditional_chance(2500, 1000) == pytest.approx(0.15 / 0.9)


@pytest.mark.parametrize(("now", "before"), [(1000, 1000), (1000, 2500), (0, None), (10_000, None)])
def test_an_event_whose_side_is_known_is_left_out(now: int, before: int | None) -> None:
    assert conditional_chance(now, before) is None


@given(
    before=st.integers(min_value=0, max_value=9_998),
    now=st.integers(min_value=1, max_value=9_999),
)
def test_the_conditional_chance_counts_buckets(before: int, now: int) -> None:
    chance = conditional_chance(now, before or None)

    free = range(before, 10_000)
    treated = sum(1 for bucket in free if bucket < now)
    assert chance == (treated / len(free) if treated else None)


def false_alarms(*, ratio: float, runs: int, looks: int, alpha: float, seed: int) -> int:
    """Runs at the null's boundary over a ramp with a drifting base, in which it ever alarms."""
    rng = np.random.default_rng(seed)
    bets = mixture()
    shares = (0.05, 0.25, 0.5)
    per_look = 8
    alarms = 0
    for _ in range(runs):
        null = [ratio * s / (ratio * s + 1 - s) for s in shares]
        events = rng.poisson(per_look, size=(3, looks // 3))
        treated = rng.binomial(events, np.array(null)[:, None]).cumsum(axis=1).tolist()
        untreated = (events.cumsum(axis=1) - treated).tolist()
        done: list[OddsCell] = []
        alarmed = False
        for share, t, c in zip(shares, treated, untreated, strict=True):
            for a, b in zip(t, c, strict=True):
                value = log_e([*done, cell(a, b, share)], mixture=bets, ratio=ratio)
                alarmed = alarmed or value >= log(1 / alpha)
            done.append(cell(t[-1], c[-1], share))
        alarms += alarmed
    return alarms


@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_a_watched_ramp_without_effect_alarms_within_its_alpha(ratio: float) -> None:
    runs = 400

    alarms = false_alarms(ratio=ratio, runs=runs, looks=60, alpha=0.05, seed=11)

    assert alarms <= binom.ppf(0.999, runs, 0.05)


@pytest.mark.more
@pytest.mark.parametrize("ratio", [1.0, 1.5])
def test_four_hundred_looks_at_a_ramp_without_effect_alarm_in_five_per_cent_at_most(
    ratio: float,
) -> None:
    alarms = false_alarms(ratio=ratio, runs=2_000, looks=399, alpha=0.05, seed=12)

    assert alarms <= 0.06 * 2_000


def treated_until_alarm(*, base: float, harm: float, log_mde: float, seed: int) -> float:
    """Median treated requests at 1:1 until the one-sided alarm at 5 %, 400 looks of 50 each."""
    rng = np.random.default_rng(seed)
    bets = mixture(log_mde)
    looks = range(50, 20_001, 50)
    stops = []
    for _ in range(2_000):
        treated = rng.binomial(50, harm, size=len(looks)).cumsum().tolist()
        untreated = rng.binomial(50, base, size=len(looks)).cumsum().tolist()
        alarms = (
            n
            for n, a, b in zip(looks, treated, untreated, strict=True)
            if log_e([cell(a, b, 0.5)], mixture=bets) >= log(20)
        )
        stops.append(next(alarms, 20_000))
    return float(np.median(stops))


@pytest.mark.more
def test_a_flagged_rate_half_as_high_again_is_found_after_1450_requests() -> None:
    """A plan that looks for this effect says so in its MDE; with ln 2 it takes about 1,500."""
    assert treated_until_alarm(base=0.04, harm=0.06, log_mde=log(1.5), seed=13) <= 1_450


@pytest.mark.more
def test_a_doubled_flagged_rate_is_found_after_500_requests() -> None:
    assert treated_until_alarm(base=0.04, harm=0.08, log_mde=LN_2, seed=14) <= 500
