import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from trimtab.stats.moments import MeanDifference, Moments, welch_t
from trimtab.stats.undefined import Undefined

values = st.lists(st.floats(min_value=-1e4, max_value=1e4), min_size=2, max_size=40)


def defined(result: MeanDifference | Undefined) -> MeanDifference:
    assert isinstance(result, MeanDifference)
    return result


def test_the_worked_example_has_its_true_numbers() -> None:
    control = Moments.from_summary(n=100, mean=0.8197, sd=0.1208)
    treatment = Moments.from_summary(n=100, mean=0.8676, sd=0.1071)

    result = defined(welch_t(control, treatment))

    assert round(result.t, 3) == 2.967
    assert round(result.df, 1) == 195.2
    assert round(result.p_value, 5) == 0.00338
    assert result.effect.low == pytest.approx(0.0161, abs=5e-5)
    assert result.effect.high == pytest.approx(0.0797, abs=5e-5)


def test_it_agrees_with_scipy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(400, 90, size=57), rng.normal(430, 160, size=23)

    result = defined(
        welch_t(Moments.of(a.tolist(), shift=400), Moments.of(b.tolist(), shift=400), alpha=0.1)
    )

    oracle = ttest_ind(b, a, equal_var=False)
    interval = oracle.confidence_interval(0.9)
    assert result.p_value == pytest.approx(oracle.pvalue)
    assert result.effect.low == pytest.approx(interval.low)
    assert result.effect.high == pytest.approx(interval.high)


def test_a_shift_keeps_a_small_spread_beside_a_large_mean() -> None:
    sample = [1e9 + x for x in (0.0, 1.0, 2.0)]

    assert Moments.of(sample, shift=1e9).variance == pytest.approx(1.0)


@given(values)
def test_moments_agree_with_numpy(sample: list[float]) -> None:
    moments = Moments.of(sample, shift=10.0)

    assert moments.mean == pytest.approx(np.mean(sample), abs=1e-6)
    assert moments.variance == pytest.approx(np.var(sample, ddof=1), rel=1e-6, abs=1e-6)


@given(values, values)
def test_merged_moments_are_those_of_both_samples(a: list[float], b: list[float]) -> None:
    merged = Moments.of(a, shift=5.0).merge(Moments.of(b, shift=-3.0))
    together = Moments.of([*a, *b], shift=5.0)

    assert merged.n == together.n
    assert merged.sum_shifted == pytest.approx(together.sum_shifted, abs=1e-5)
    assert merged.sum_sq_shifted == pytest.approx(together.sum_sq_shifted, rel=1e-9, abs=1e-5)


def test_one_value_has_no_spread() -> None:
    assert Moments.of([1.0]).variance is None
    assert Moments.of([1.0]).se is None
    assert Moments().mean is None


@pytest.mark.parametrize(
    ("control", "treatment", "reason"),
    [
        ([1.0], [1.0, 2.0], "n<2"),
        ([], [], "n<2"),
        ([5.0, 5.0, 5.0], [5.0, 5.0], "zero_variance"),
        ([1.0, float("inf")], [1.0, 2.0], "non_finite"),
    ],
)
def test_without_a_number_it_says_why(
    control: list[float], treatment: list[float], reason: str
) -> None:
    result = welch_t(Moments.of(control), Moments.of(treatment))

    assert isinstance(result, Undefined)
    assert result.reason == reason
