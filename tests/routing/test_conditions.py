from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.routing.conditions import compile_condition

# Condition, attributes that match, attributes that do not.
CASES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"tier": "vip"}, {"tier": "vip"}, {"tier": "pro"}),
    ({"n": 1}, {"n": 1.0}, {"n": True}),
    ({"a.b": 1}, {"a": {"b": 1}}, {"a": 1}),
    ({"a.1": "y"}, {"a": ["x", "y"]}, {"a": ["x"]}),
    ({"a.length": 2}, {"a": [1, 2]}, {"a": [1]}),
    ({"n": {"$eq": 1}}, {"n": 1}, {"n": "1"}),
    ({"n": {"$ne": 1}}, {"n": 2}, {"n": 1}),
    ({"n": {"$lt": 5}}, {"n": 4}, {"n": 5}),
    ({"n": {"$lte": 5}}, {"n": 5}, {"n": 6}),
    ({"n": {"$gt": 5}}, {"n": 6}, {"n": 5}),
    ({"n": {"$gte": 5}}, {"n": 5}, {"n": 4}),
    ({"n": {"$gte": 5, "$lt": 7}}, {"n": 6}, {"n": 7}),
    ({"v": {"$veq": "1.2.3"}}, {"v": "v1.2.3"}, {"v": "1.2.4"}),
    ({"v": {"$vne": "1.2.3"}}, {"v": "1.2.4"}, {"v": "1.2.3+x"}),
    ({"v": {"$vgt": "1.9.0"}}, {"v": "1.10.0"}, {"v": "1.9.0"}),
    ({"v": {"$vgte": "1.9.0"}}, {"v": "1.9.0"}, {"v": "1.9.0-rc.1"}),
    ({"v": {"$vlt": "1.10.0"}}, {"v": "1.9.0"}, {"v": "1.10.0"}),
    ({"v": {"$vlte": "1.10.0"}}, {"v": "1.10.0"}, {"v": "1.11.0"}),
    ({"c": {"$in": ["DE", 1]}}, {"c": "DE"}, {"c": "de"}),
    ({"c": {"$in": ["DE", 1]}}, {"c": ["FR", 1]}, {"c": [True]}),
    ({"c": {"$nin": ["DE"]}}, {"c": "FR"}, {"c": "DE"}),
    ({"c": {"$ini": ["DE"]}}, {"c": "de"}, {"c": "fr"}),
    ({"c": {"$nini": ["DE"]}}, {"c": "fr"}, {"c": "de"}),
    ({"t": {"$all": ["a", "b"]}}, {"t": ["b", "c", "a"]}, {"t": ["a"]}),
    ({"t": {"$alli": ["A"]}}, {"t": ["a"]}, {"t": "a"}),
    ({"t": {"$size": 2}}, {"t": [1, 2]}, {"t": "ab"}),
    ({"t": {"$size": {"$gt": 1}}}, {"t": [1, 2]}, {"t": [1]}),
    ({"t": {"$elemMatch": {"$gt": 3}}}, {"t": [1, 4]}, {"t": 4}),
    ({"t": {"$elemMatch": {"a": 1}}}, {"t": [None, {"a": 1}]}, {"t": [{"a": 2}]}),
    ({"t": {"$elemMatch": {"$or": [{"a": 1}]}}}, {"t": [{"a": 1}]}, {"t": [1]}),
    ({"x": {"$exists": True}}, {"x": False}, {"x": None}),
    ({"x": {"$exists": False}}, {}, {"x": 0}),
    ({"x": {"$type": "array"}}, {"x": []}, {"x": {}}),
    ({"x": {"$not": {"$in": ["a"]}}}, {"x": "b"}, {"x": "a"}),
    ({"x": {"$regex": "^a"}}, {"x": "ab"}, {"x": 5}),
    ({"x": {"$regexi": "^a"}}, {"x": "Ab"}, {"x": "b"}),
    ({"x": {"$notRegex": "^a"}}, {"x": "b"}, {"x": "ab"}),
    ({"x": {"$notRegexi": "^a"}}, {}, {"x": "AB"}),
    ({"$or": [{"a": 1}, {"b": 1}]}, {"b": 1}, {"a": 2}),
    ({"$and": [{"a": 1}, {"b": 1}]}, {"a": 1, "b": 1}, {"a": 1}),
    ({"$nor": [{"a": 1}, {"b": 1}]}, {"a": 2}, {"b": 1}),
    ({"$not": {"a": 1}}, {"a": 2}, {"a": 1}),
    ({"a": {"$inGroup": "team"}}, {"a": "u1"}, {"a": "u3"}),
    ({"a": {"$inGroup": "typed"}}, {"a": "u9"}, {"a": "u1"}),
    ({"a": {"$notInGroup": "team"}}, {"a": "u3"}, {"a": "u1"}),
    ({"$savedGroup": {"id": "typed", "attributeKey": "b"}}, {"b": "u9"}, {"a": "u9"}),
    ({"$savedGroup": {"id": "typed"}}, {"id": "u9"}, {"id": "u1"}),
    ({"$savedGroup": {"id": "vips"}}, {"tier": "vip"}, {"tier": "pro"}),
]
GROUPS: dict[str, Any] = {
    "team": ["u1", "u2"],
    "typed": {"type": "list", "attributeKey": "id", "values": ["u9"]},
    "vips": {"type": "condition", "condition": {"tier": "vip"}},
    "circle": {"type": "condition", "condition": {"$not": {"$savedGroup": {"id": "circle"}}}},
    "later": {"type": "geo", "values": []},
}


@pytest.mark.parametrize(("condition", "inside", "outside"), CASES)
def test_a_condition_tells_who_is_meant(
    condition: dict[str, Any], inside: dict[str, Any], outside: dict[str, Any]
) -> None:
    passes = compile_condition(condition, GROUPS)

    assert (passes(inside), passes(outside)) == (True, False)


@pytest.mark.parametrize(
    "condition",
    [
        {"a": {"$later": 1}},
        {"$not": {"a": {"$later": 1}}},
        {"$nor": [{"a": {"$later": 1}}]},
        {"a": {"$inGroup": "later"}},
        {"a": {"$notInGroup": "later"}},
        {"$not": {"$savedGroup": {"id": "later"}}},
    ],
)
def test_an_operator_of_a_later_format_matches_neither_way(condition: dict[str, Any]) -> None:
    assert compile_condition(condition, GROUPS)({"a": 1}) is False


def test_an_undecided_branch_leaves_the_others_their_say() -> None:
    passes = compile_condition({"$or": [{"a": {"$later": 1}}, {"b": 1}]})

    assert (passes({"b": 1}), passes({"b": 2})) == (True, False)


@pytest.mark.parametrize(
    "condition",
    [
        5,
        None,
        [],
        {"$or": {"a": 1}},
        {"$and": [5]},
        {"$not": {"$or": 5}},
        {"$not": []},
        {"a": {"$elemMatch": 5}},
    ],
)
def test_what_is_no_condition_matches_nobody(condition: object) -> None:
    assert compile_condition(condition)({"a": 1}) is False


@pytest.mark.parametrize("negated", [False, True])
def test_a_document_of_absurd_depth_matches_nobody(negated: bool) -> None:  # noqa: FBT001
    condition: dict[str, Any] = {"a": 1}
    for _ in range(50):
        condition = {"$not": condition} if negated else {"$and": [condition]}

    assert compile_condition(condition)({"a": 1}) is False


def test_a_literal_of_absurd_depth_matches_nobody() -> None:
    literal: list[Any] = []
    for _ in range(500):
        literal = [literal]

    assert compile_condition({"a": literal})({"a": literal}) is False


def test_groups_that_unfold_without_end_match_nobody() -> None:
    doubling = {
        f"g{n}": {
            "type": "condition",
            "condition": {"$or": [{"$savedGroup": {"id": f"g{n + 1}"}}] * 4},
        }
        for n in range(30)
    }

    assert compile_condition({"$savedGroup": {"id": "g0"}}, doubling)({"a": 1}) is False


def test_a_group_inside_itself_holds_nobody() -> None:
    assert compile_condition({"$savedGroup": {"id": "circle"}}, GROUPS)({}) is True
    assert compile_condition({"$savedGroup": {"id": "nowhere"}}, GROUPS)({}) is False


def test_the_empty_condition_matches_everybody() -> None:
    assert compile_condition({})({}) is True


def test_a_value_too_long_for_a_pattern_does_not_match_it() -> None:
    short = compile_condition({"x": {"$regex": "a"}})

    assert (short({"x": "a" * 512}), short({"x": "a" * 513})) == (True, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["a", "a.b", "$or", "$and", "$nor", "$not", "$savedGroup"])
OPERATORS = st.sampled_from(sorted({name for case in CASES for name in str(case[0]).split("'")}))


@given(st.dictionaries(NAMES | OPERATORS, JSON | st.dictionaries(OPERATORS, JSON)), JSON)
def test_no_condition_and_no_attribute_raises(condition: dict[str, Any], value: object) -> None:
    passes = compile_condition(condition, GROUPS)

    assert passes({"a": value}) in {True, False}
