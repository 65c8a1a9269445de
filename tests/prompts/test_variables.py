"""Values are checked as JSON Schema says, and errors say what to give instead."""

import enum
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from markupsafe import Markup

from trimtab.errors import VariableError
from trimtab.prompts.limits import Limits
from trimtab.prompts.variables import compile_variables


def _schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(name for name, inner in properties.items() if "default" not in inner),
        "additionalProperties": False,
    }


def _check(schema: Mapping[str, Any], value: object) -> object:
    """The value of one variable `v`, checked against its schema."""
    return compile_variables(_schema({"v": schema}))({"v": value})["v"]


_FITTING: list[tuple[dict[str, Any], Any]] = [
    ({"type": "string"}, "a"),
    ({"type": "string"}, ""),
    ({"type": "integer"}, 3),
    ({"type": "integer"}, 3.0),
    ({"type": "integer"}, -(2**63)),
    ({"type": "number"}, 3),
    ({"type": "number"}, 2.5),
    ({"type": "boolean"}, False),
    ({"type": "null"}, None),
    ({"type": "array"}, []),
    ({"type": "array"}, (1, "a")),
    ({"type": "object"}, {"a": 1}),
    ({"type": ["string", "null"]}, None),
    ({"type": ["string", "null"]}, "x"),
    ({}, {"any": ["thing", 1, None]}),
    ({"enum": ["free", "pro"]}, "pro"),
    ({"enum": [1]}, 1.0),
    ({"enum": [[1, {"a": 2}]]}, [1.0, {"a": 2}]),
    ({"enum": [True]}, True),
    ({"const": None}, None),
    ({"const": {"a": [1]}}, {"a": [1]}),
    ({"type": "array", "items": {"type": "string"}}, ["a", "b"]),
    ({"items": {"type": "string"}}, "not an array"),
    ({"type": "number", "minimum": 1, "maximum": 2}, 1),
    ({"type": "number", "minimum": 1, "maximum": 2}, 2.0),
    ({"minimum": 5}, "text"),
    ({"type": "string", "minLength": 2, "maxLength": 2}, "😀😀"),
    ({"maxLength": 1}, [1, 2, 3]),
    ({"type": "array", "minItems": 1, "maxItems": 2}, [1, 2]),
    ({"type": "object", "required": ["a"]}, {"a": None, "b": 1}),
    ({"type": "object", "properties": {"a": {"type": "integer"}}}, {"b": "x"}),
    ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, {"a": 1}),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"x": 1, "y": 2}),
    ({"required": ["a"]}, "not an object"),
    ({"type": "string", "trusted": False}, "x"),
]


@pytest.mark.parametrize(("schema", "value"), _FITTING)
def test_a_fitting_value_is_taken_as_it_is(schema: dict[str, Any], value: object) -> None:
    assert _check(schema, value) is value


_FAILING: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "string"}, 5, '"v" is 5, want a string'),
    ({"type": "string"}, None, '"v" is null, want a string'),
    ({"type": "integer"}, True, '"v" is true, want an integer'),
    ({"type": "integer"}, 2.5, '"v" is 2.5, want an integer'),
    ({"type": "integer"}, "3", '"v" is "3", want an integer'),
    ({"type": "integer"}, float("inf"), '"v" is inf, want an integer'),
    ({"type": "number"}, False, '"v" is false, want a number'),
    ({"type": "number"}, float("nan"), '"v" is nan, want a number'),
    ({"type": "boolean"}, 1, '"v" is 1, want true or false'),
    ({"type": "null"}, 0, '"v" is 0, want null'),
    ({"type": "array"}, "abc", '"v" is "abc", want a list'),
    ({"type": "object"}, [1], '"v" is a list of 1, want a mapping'),
    ({"type": ["string", "null"]}, 1, '"v" is 1, want a string or null'),
    ({"enum": ["free", "pro"]}, "vip", '"v" is "vip", want one of "free", "pro"'),
    ({"enum": [1]}, True, '"v" is true, want one of 1'),
    ({"enum": [True]}, 1, '"v" is 1, want one of true'),
    ({"enum": [0]}, False, '"v" is false, want one of 0'),
    ({"enum": [[1]]}, [True], '"v" is a list of 1, want one of a list of 1'),
    ({"enum": [{"a": 1}]}, {"a": True}, "want one of a mapping of 1"),
    ({"const": "x"}, "y", '"v" is "y", want "x"'),
    ({"minimum": 1}, 0.5, '"v" is 0.5, want at least 1'),
    ({"maximum": 1}, 1.5, '"v" is 1.5, want at most 1'),
    ({"minLength": 3}, "😀😀", "want at least 3 characters"),
    ({"maxLength": 1}, "ab", '"v" is "ab", want at most 1 characters'),
    ({"minItems": 1}, [], '"v" is a list of 0, want at least 1 items'),
    ({"maxItems": 1}, [1, 2], '"v" is a list of 2, want at most 1 items'),
    ({"items": {"type": "string"}}, ["a", 1], '"v[1]" is 1, want a string'),
    ({"items": {"properties": {"name": {"type": "string"}}}}, [{}, {"name": 2}],
     '"v[1].name" is 2, want a string'),
    ({"required": ["a"]}, {}, '"v.a" is missing'),
    ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1},
     '"v.b" is unknown; there are: a'),
    ({"additionalProperties": False}, {"b": 1}, '"v.b" is unknown; there are: none'),
    ({"additionalProperties": {"type": "integer"}}, {"b": "x"}, '"v.b" is "x", want an integer'),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "message"), _FAILING)
def test_a_value_that_does_not_fit_is_named_with_what_is_wanted(
    schema: dict[str, Any], value: object, message: str
) -> None:
    with pytest.raises(VariableError) as caught:
        _check(schema, value)

    assert message in str(caught.value)


def test_a_missing_and_an_unknown_variable_are_named() -> None:
    check = compile_variables(_schema({"a": {"type": "string"}, "b": {"enum": [1, 2]}}))

    with pytest.raises(VariableError) as caught:
        check({"c": 1})

    assert str(caught.value) == (
        'variable "a" is missing, want a string; variable "b" is missing, want one of 1, 2; '
        'unknown variable "c"; there are: a, b'
    )


def test_no_more_than_five_problems_are_listed() -> None:
    check = compile_variables(_schema({f"v{i}": {"type": "string"} for i in range(9)}))

    with pytest.raises(VariableError, match=r"; and 4 more$") as caught:
        check({})

    assert str(caught.value).count("is missing") == 5


def test_many_wrong_items_are_not_all_looked_at() -> None:
    with pytest.raises(VariableError) as caught:
        _check({"items": {"type": "string"}}, list(range(50_000)))

    assert str(caught.value).count("want a string") == 5


def test_a_long_value_is_shortened() -> None:
    with pytest.raises(VariableError) as caught:
        _check({"type": "integer"}, "x" * 10_000)

    assert len(str(caught.value)) < 150


def test_defaults_are_filled_in_and_the_callers_values_stay() -> None:
    check = compile_variables(_schema({"a": {"default": [1]}, "b": {"type": "string"}}))
    given = {"b": "x"}

    assert check(given) == {"a": [1], "b": "x"}
    assert given == {"b": "x"}


def test_a_default_deeper_in_a_schema_is_not_filled_in() -> None:
    assert _check({"type": "object", "properties": {"a": {"default": 1}}}, {}) == {}


def test_a_version_without_variables_takes_none() -> None:
    assert compile_variables(None)({}) == {}
    with pytest.raises(VariableError, match=r'unknown variable "x"; there are: none'):
        compile_variables(None)({"x": 1})


def test_a_keyword_that_is_not_enforced_says_nothing() -> None:
    assert _check({"type": "string", "pattern": "^a", "description": "…"}, "b") == "b"


def test_a_keyword_with_an_unreadable_value_is_refused_when_compiling() -> None:
    with pytest.raises(VariableError, match=r'variable "v\.type": type is one or a list of'):
        compile_variables(_schema({"v": {"type": "strnig"}}))


class _Tier(enum.StrEnum):
    VIP = "vip"


class _Level(enum.IntEnum):
    HIGH = 3


class _Pair(NamedTuple):
    left: int
    right: str


class _Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "SHOUTING"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (_Tier.VIP, "vip"),
        (_Level.HIGH, 3),
        (_Pair(1, "a"), [1, "a"]),
        (Markup("<b>"), "<b>"),
        (_Shouting("quiet"), "quiet"),
        (OrderedDict(b=1, a=_Tier.VIP), {"b": 1, "a": "vip"}),
        (MappingProxyType({"a": [_Level.HIGH]}), {"a": [3]}),
        ({_Tier.VIP: 1}, {"vip": 1}),
    ],
)
def test_subclasses_of_plain_types_become_plain(value: object, wanted: object) -> None:
    found = _check({}, value)

    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", range(3), [print], {"a": 1j}, 2**64])
def test_what_is_not_data_is_refused(value: object) -> None:
    with pytest.raises(VariableError, match='variable "v" holds '):
        _check({}, value)


def test_much_text_many_items_and_deep_values_are_refused() -> None:
    check = compile_variables(
        _schema({"v": {}, "w": {"default": None}}),
        limits=Limits(input_chars=10, input_items=5, value_depth=2),
    )

    assert check({"v": [["a" * 10]]})
    with pytest.raises(VariableError, match="have 12 characters and 2 items, the limits"):
        check({"v": "x" * 6, "w": ["y" * 6]})
    with pytest.raises(VariableError, match="more than 5 items or 2 levels"):
        check({"v": [[[1]]]})
    with pytest.raises(VariableError, match="more than 5 items or 2 levels"):
        check({"v": [1] * 6})
