from math import floor, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.stats.quantiles import (
    BucketHistogram,
    QuantileStratum,
    SideQuantiles,
    bucket_of,
    bucket_value,
    compare_quantiles,
)
from trimtab.stats.undefined import Estimate, Undefined

positive = st.floats(min_value=1e-6, max_value=1e9)
samples = st.lists(st.floats(min_value=-10, max_value=1e6), max_size=60)


def change(result: SideQuantiles | Undefined) -> Estimate:
    assert isinstance(result, SideQuantiles)
    assert isinstance(result.change, Estimate)
    return result.change


def test_buckets_are_the_ones_every_engine_computes() -> None:
    assert [bucket_of(x) for x in (0.5, 1.0, 2.0, 1234.5)] == [
        floor(log(x) / log(1.02)) for x in (0.5, 1.0, 2.0, 1234.5)
    ]


@given(positive)
def test_a_bucket_stands_for_its_values_within_one_per_cent(value: float) -> None:
    assert bucket_value(bucket_of(value)) == pytest.approx(value, rel=0.01)


@given(st.lists(positive, min_size=1, max_size=80), st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_is_within_one_per_cent_of_the_sorted_value(
    sample: list[float], q: float
) -> None:
    rank = max(1, int(np.ceil(q * len(sample) - 1e-9)))

    assert BucketHistogram.of(sample).quantile(q) == pytest.approx(
        sorted(sample)[rank - 1], rel=0.01
    )


def test_zero_and_negative_values_have_one_bucket() -> None:
    histogram = BucketHistogram.of([-3.0, 0.0, 10.0])

    assert histogram.zeros == 2
    assert histogram.quantile(0.5) == 0.0
    assert histogram.exceedance(0.0) == pytest.approx(1 / 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_not_a_finite_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        BucketHistogram().add(value)


def test_an_empty_histogram_has_no_quantile() -> None:
    assert BucketHistogram().quantile(0.95) is None
    assert BucketHistogram().exceedance(10.0) is None


@given(samples, samples)
def test_a_merge_is_the_histogram_of_both(a: list[float], b: list[float]) -> None:
    merged = BucketHistogram.of(a)

    merged.merge(BucketHistogram.of(b))

    assert merged == BucketHistogram.of([*a, *b])


@given(samples)
def test_bytes_come_back_as_the_same_histogram(sample: list[float]) -> None:
    histogram = BucketHistogram.of(sample)

    assert BucketHistogram.decode(histogram.encode()) == histogram


def test_no_bytes_are_an_empty_histogram() -> None:
    assert len(BucketHistogram.decode(b"")) == 0


def test_the_bytes_are_small() -> None:
    rng = np.random.default_rng(1)
    histogram = BucketHistogram.of(rng.lognormal(6, 0.6, size=20_000).tolist())

    assert len(histogram.encode()) < 800


@pytest.mark.parametrize("cut", [1, 2, 3, -1])
def test_bytes_cut_short_are_refused(cut: int) -> None:
    raw = BucketHistogram.of([1.0, 50.0, 3000.0]).encode()

    with pytest.raises(ValueError, match="cut short"):
        BucketHistogram.decode(raw[:cut])


def test_bytes_of_another_format_are_refused() -> None:
    with pytest.raises(ValueError, match="format 9"):
        BucketHistogram.decode(b"\x09\x00\x00")


def test_bytes_with_something_behind_them_are_refused() -> None:
    with pytest.raises(ValueError, match="more than it announces"):
        BucketHistogram.decode(BucketHistogram.of([1.0]).encode() + b"\x01")


def test_the_share_above_a_limit_is_close() -> None:
    rng = np.random.default_rng(2)
    sample = rng.lognormal(6, 0.6, size=20_000)

    share = BucketHistogram.of(sample.tolist()).exceedance(900.0)

    assert share == pytest.approx(float((sample > 900).mean()), abs=0.003)


def lognormal(rng: np.random.Generator, n: int, *, factor: float = 1.0) -> BucketHistogram:
    return BucketHistogram.of((factor * rng.lognormal(6, 0.6, size=n)).tolist())


def test_a_slower_treatment_shows_its_relative_change() -> None:
    rng = np.random.default_rng(3)
    stratum = QuantileStratum(
        treatment=lognormal(rng, 4_000, factor=1.5), control=lognormal(rng, 4_000)
    )

    effect = change(compare_quantiles([stratum], q=0.95))

    assert effect.value == pytest.approx(0.5, abs=0.1)
    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < 0.5 < effect.high


def test_a_ramp_on_a_slower_afternoon_does_not_fake_a_change() -> None:
    rng = np.random.default_rng(4)
    morning = QuantileStratum(treatment=lognormal(rng, 500), control=lognormal(rng, 9_500))
    afternoon = QuantileStratum(
        treatment=lognormal(rng, 5_000, factor=2), control=lognormal(rng, 5_000, factor=2)
    )

    effect = change(compare_quantiles([morning, afternoon], q=0.95))

    assert effect.low is not None
    assert effect.high is not None
    assert effect.low < 0.0 < effect.high


def test_the_interval_covers_no_change_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    runs, missed = 150, 0
    for _ in range(runs):
        stratum = QuantileStratum(treatment=lognormal(rng, 300), control=lognormal(rng, 700))
        effect = change(compare_quantiles([stratum], q=0.95))
        assert effect.low is not None
        assert effect.high is not None
        missed += not effect.low <= 0.0 <= effect.high

    assert missed <= 0.05 * runs + 3 * (0.05 * 0.95 * runs) ** 0.5


@pytest.mark.parametrize(("n", "is_bounded"), [(72, False), (73, True)])
def test_a_p95_has_an_upper_end_from_seventy_three_values_on(n: int, *, is_bounded: bool) -> None:
    rng = np.random.default_rng(6)
    stratum = QuantileStratum(treatment=lognormal(rng, n), control=lognormal(rng, 500))

    effect = change(compare_quantiles([stratum], q=0.95))

    assert effect.low is not None
    assert effect.low < effect.value
    assert (effect.high is not None) == is_bounded


def test_a_control_without_an_upper_end_leaves_the_change_open_below() -> None:
    rng = np.random.default_rng(7)
    stratum = QuantileStratum(treatment=lognormal(rng, 500), control=lognormal(rng, 40))

    assert change(compare_quantiles([stratum], q=0.95)).low == -1.0


def test_nineteen_values_have_no_p95() -> None:
    rng = np.random.default_rng(6)
    stratum = QuantileStratum(treatment=lognormal(rng, 19), control=lognormal(rng, 500))

    result = compare_quantiles([stratum], q=0.95)

    assert isinstance(result, SideQuantiles)
    assert result.change == Undefined(reason="too_few")


def test_a_side_without_values_compares_nothing() -> None:
    stratum = QuantileStratum(treatment=BucketHistogram(), control=BucketHistogram.of([1.0]))

    assert compare_quantiles([stratum], q=0.95) == Undefined(reason="no_traffic")


def test_a_control_at_zero_has_no_relative_change() -> None:
    zeros = QuantileStratum(
        treatment=BucketHistogram.of([1.0] * 100), control=BucketHistogram.of([0.0] * 100)
    )

    result = compare_quantiles([zeros], q=0.95)

    assert isinstance(result, SideQuantiles)
    assert result.change == Undefined(reason="zero_denominator")
