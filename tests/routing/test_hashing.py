import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.routing.hashing import (
    HashLines,
    bound,
    bucket,
    fnv1a32,
    hash_fraction,
    hash_text,
    number_text,
)
from trimtab.routing.payload import BUCKETS

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "hashing.json").read_text()
)


@pytest.mark.parametrize("vector", VECTORS)
def test_a_place_on_the_hash_line_is_the_golden_one(vector: dict[str, Any]) -> None:
    place = hash_fraction(vector["seed"], vector["value"], version=vector["version"])

    assert place == vector["place"]


def test_fnv_1a_gives_the_published_values() -> None:
    # The authors' test vectors for "", "a" and "foobar".
    assert [fnv1a32(text) for text in ("", "a", "foobar")] == [0x811C9DC5, 0xE40C292C, 0xBF9CF968]


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_hash_continues_from_any_point_of_the_text(head: str, tail: str) -> None:
    assert fnv1a32(tail, fnv1a32(head)) == fnv1a32(head + tail)


@given(st.text(max_size=60))
def test_the_hash_is_the_plain_loop_over_utf_16_code_units(text: str) -> None:
    units = text.encode("utf-16-le", "surrogatepass")
    hashed = 0x811C9DC5
    for low, high in zip(units[::2], units[1::2], strict=True):
        hashed = (hashed ^ (low + 256 * high)) * 0x01000193 % 2**32

    assert fnv1a32(text) == hashed


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_a_bucket_is_the_place_times_ten_thousand(seed: str, value: str) -> None:
    assert bucket(seed, value) / BUCKETS == hash_fraction(seed, value, version=2)


def test_buckets_are_filled_evenly() -> None:
    counts = [0] * 100
    for number in range(20_000):
        counts[bucket("seed", f"user-{number}") // 100] += 1

    chi_square = sum((count - 200) ** 2 / 200 for count in counts)

    assert chi_square < 148.2  # 99 degrees of freedom, p = 0.001


@given(st.floats(min_value=-0.5, max_value=1.5))
def test_a_bound_cuts_the_integers_where_the_fraction_cuts_the_places(fraction: float) -> None:
    first = bound(fraction)

    assert all((n / BUCKETS >= fraction) == (n >= first) for n in range(BUCKETS))


def test_every_share_written_as_one_division_is_exact() -> None:
    assert [bound(share / BUCKETS) for share in range(BUCKETS + 1)] == list(range(BUCKETS + 1))


def test_a_bound_made_by_adding_floats_is_one_bucket_off() -> None:
    assert (bound(0.57), bound(0.5 + 0.07)) == (5_700, 5_701)


def test_infinite_and_undefined_bounds_hold_nothing_beyond_the_line() -> None:
    bounds = [bound(fraction) for fraction in (float("-inf"), float("inf"), float("nan"))]

    assert bounds == [0, BUCKETS, BUCKETS]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("user-1", "user-1"),
        ("", None),
        (None, None),
        (True, None),
        (0, None),
        (3, "3"),
        (2.5, "2.5"),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ([1], None),
    ],
)
def test_only_non_empty_strings_and_finite_non_zero_numbers_name_a_unit(
    value: object, text: str | None
) -> None:
    assert hash_text(value) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3.0, "3"),
        (-0.5, "-0.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e-07, "1.5e-7"),
        (1e-06, "0.000001"),
        (1.1668656267636267e20, "116686562676362670000"),
        (2.0**53, "9007199254740992"),
        (1e-07, "1e-7"),
        (123456.789, "123456.789"),
    ],
)
def test_numbers_are_written_as_javascript_writes_them(number: float, text: str) -> None:
    assert number_text(number) == text


def test_a_line_that_remembers_gives_the_same_places_after_it_forgot() -> None:
    place = HashLines(capacity=3).placing("id", "seed", 2)
    units = [{"id": f"user-{number}"} for number in range(10)]
    assert place is not None

    rounds = [[place(unit) for unit in units] for _ in range(3)]

    assert rounds == [[bucket("seed", unit["id"]) for unit in units]] * 3


def test_an_unknown_hash_version_has_no_line() -> None:
    assert HashLines().placing("id", "seed", 99) is None


@pytest.mark.parametrize("attribute", ["id", "request_id"])
def test_a_missing_unit_has_no_place(attribute: str) -> None:
    place = HashLines().placing(attribute, "seed", 2)
    assert place is not None

    assert [place({}), place({attribute: None}), place({attribute: ""})] == [None] * 3
