import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.routing.comparisons import is_equal, is_same, json_type, order, version_text

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)


def test_types_are_named_as_in_json() -> None:
    values: list[object] = [None, True, 1, 1.5, "a", [1], {"a": 1}, object()]

    names = [json_type(value) for value in values]

    want = ["null", "boolean", "number", "number", "string", "array", "object", "unknown"]
    assert names == want


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        ([], [], False),
        ({}, {}, False),
        (float("nan"), float("nan"), False),
    ],
)
def test_scalars_are_the_same_only_within_a_type(left: object, right: object, same: bool) -> None:  # noqa: FBT001
    assert is_same(left, right) is same


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ([1, True], [1, 1], False),
        ([1.0], [1], True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({"2": 1, "1": 2}, {"1": 2, "2": 1}, True),
        ({"a": [{"b": None}]}, {"a": [{"b": float("nan")}]}, True),
        ({"a": 1}, [1], False),
    ],
)
def test_containers_are_equal_when_they_are_written_alike(
    left: object,
    right: object,
    equal: bool,  # noqa: FBT001
) -> None:
    assert is_equal(left, right) is equal


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        (None, 10, -1),
        ("8", 5, 1),
        (" 8 ", 8, 0),
        ("0x10", 16, 0),
        ("", 0, 0),
        ("Infinity", 10**400, 0),
        (True, 0, 1),
        ("b", "a", 1),
        ("10", "9", -1),
        ("\U0001f600", "\uff5e", -1),
        ("abc", 5, None),
        ("٣", 3, None),
        ([5], 3, None),
        (float("nan"), 3, None),
    ],
)
def test_order_follows_javascript(left: object, right: object, result: int | None) -> None:
    assert order(left, right) == result


@given(SCALARS, SCALARS)
def test_order_is_antisymmetric(left: object, right: object) -> None:
    there, back = order(left, right), order(right, left)

    assert (there is None and back is None) or (there or 0) == -(back or 0)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("1.9.0", "1.10.0"), ("1.0.0-rc.1", "1.0.0"), ("v1.0.0", "1.0.1"), ("1.0.0-a", "1.0.0-b")],
)
def test_versions_sort_like_versions(smaller: str, larger: str) -> None:
    assert version_text(smaller) < version_text(larger)


def test_build_metadata_and_a_leading_v_say_nothing_about_a_version() -> None:
    assert version_text("v1.2.3+build.7") == version_text("1.2.3")


@pytest.mark.parametrize("value", [None, "", [], float("inf"), True, 10**400])
def test_what_is_no_version_reads_as_zero(value: object) -> None:
    assert version_text(value) == version_text("0")
