import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.routing.hashing import bucket
from trimtab.routing.payload import BUCKETS
from trimtab.routing.splits import (
    bucket_ranges,
    buckets,
    choose_variation,
    containing,
    equal_weights,
    in_namespace,
)


def test_equal_weights_share_the_line() -> None:
    assert [equal_weights(n) for n in (-1, 0, 1, 4)] == [[], [], [1.0], [0.25] * 4]


@pytest.mark.parametrize(
    "weights",
    [[0.5], [0.7, 0.6], [0.4, 0.1], [1.5, -0.5], [float("nan"), 0.5], [float("inf"), 0.0]],
)
def test_weights_that_are_no_shares_are_replaced_by_equal_ones(weights: list[float]) -> None:
    assert bucket_ranges(2, weights=weights) == [(0, 0.5), (0.5, 1)]


def test_coverage_uses_the_head_of_each_weight() -> None:
    assert bucket_ranges(2, coverage=0.5, weights=[0.4, 0.6]) == [(0, 0.2), (0.4, 0.7)]
    assert bucket_ranges(2, coverage=9) == bucket_ranges(2)


def test_the_first_part_that_holds_a_place_wins() -> None:
    ranges = [(0.0, 0.5), (0.4, 0.6)]

    assert [choose_variation(place, ranges) for place in (0.0, 0.45, 0.5, 0.6)] == [0, 0, 1, -1]


def test_parts_side_by_side_hold_every_bucket_once() -> None:
    cuts = [0.0, 0.07, 0.57, 0.6999, 1.0]

    sides = [buckets(part) for part in itertools.pairwise(cuts)]

    assert [high - low for low, high in sides] == [700, 5_000, 1_299, 3_001]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=4))
def test_a_set_of_parts_holds_a_bucket_as_the_places_say(parts: list[tuple[float, float]]) -> None:
    holds = containing(parts)

    for place in range(0, BUCKETS, 97):
        assert holds(place) == any(low <= place / BUCKETS < high for low, high in parts)


def test_namespaces_that_do_not_overlap_exclude_each_other() -> None:
    units = [f"user-{number}" for number in range(500)]

    left = {unit for unit in units if in_namespace(unit, ("checkout", 0, 0.5))}
    right = {unit for unit in units if in_namespace(unit, ("checkout", 0.5, 1))}

    assert not left & right
    assert left | right == set(units)


def test_seeds_divide_the_same_units_independently() -> None:
    units = [f"user-{number}" for number in range(20_000)]

    both = sum(bucket("one", unit) < 5_000 and bucket("two", unit) < 5_000 for unit in units)

    assert abs(both - 5_000) < 4 * (20_000 * 0.25 * 0.75) ** 0.5
