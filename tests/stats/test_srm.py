from math import isfinite, log

import numpy as np
import pytest
from scipy.special import betaln
from scipy.stats import binom

from trimtab.stats.srm import ALARM, SplitCell, srm_log_e


def split(treatment: int, control: int, share: float) -> SplitCell:
    return SplitCell(counts=(treatment, control), shares=(share, 1.0 - share))


def test_it_is_the_ratio_of_beta_functions() -> None:
    a, b = 10_000 * 0.25, 10_000 * 0.75
    k = (300, 650)

    expected = betaln(a + k[0], b + k[1]) - betaln(a, b) - k[0] * log(0.25) - k[1] * log(0.75)

    assert srm_log_e([split(*k, 0.25)]) == pytest.approx(expected, abs=1e-8)


def test_no_unit_is_no_evidence() -> None:
    assert srm_log_e([]) == 0.0
    assert srm_log_e([split(0, 0, 0.1)]) == pytest.approx(0.0)


def test_epochs_multiply() -> None:
    first, second = split(120, 880, 0.1), split(270, 730, 0.25)

    assert srm_log_e([first, second]) == pytest.approx(srm_log_e([first]) + srm_log_e([second]))


def test_a_split_that_lost_a_tenth_of_its_treatment_is_found() -> None:
    assert srm_log_e([split(4_500, 5_000, 0.5)]) > log(ALARM)


def test_a_right_split_of_millions_gives_a_finite_and_small_value() -> None:
    value = srm_log_e([split(1_000_000, 9_000_000, 0.1)])

    assert isfinite(value)
    assert value < 0.0


def test_three_variants_are_compared_at_once() -> None:
    wrong = SplitCell(counts=(3_000, 3_400, 3_600), shares=(1 / 3, 1 / 3, 1 / 3))

    assert srm_log_e([wrong]) > log(ALARM)


def test_shares_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ValueError, match="sum to 1"):
        SplitCell(counts=(1, 1), shares=(0.5, 0.4))


def test_a_right_split_alarms_in_one_per_cent_of_watched_plans_at_most() -> None:
    rng = np.random.default_rng(5)
    runs, looks = 400, 40
    alarms = 0
    for _ in range(runs):
        first = rng.binomial(100, 0.1, size=looks).cumsum().tolist()
        second = rng.binomial(100, 0.5, size=looks).cumsum().tolist()
        cells = [[split(k, 100 * n - k, 0.1)] for n, k in enumerate(first, start=1)]
        done = cells[-1]
        cells += [[*done, split(k, 100 * n - k, 0.5)] for n, k in enumerate(second, start=1)]
        alarms += any(srm_log_e(each) >= log(ALARM) for each in cells)

    assert alarms <= binom.ppf(0.999, runs, 0.01)
