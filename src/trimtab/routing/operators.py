"""The operators of conditions that look at one value: equality, order, versions, sets, patterns."""

from collections.abc import Callable
from typing import Any

from trimtab.routing.comparisons import is_equal, is_same, json_type, order, version_text
from trimtab.routing.patterns import VALUE_CHARACTERS, compile_pattern

# A tuple, not a union: a union is made anew at every check.
LISTS = (list, tuple)

# True, False, or None: undecided, because an operator is not known here.
Test = Callable[[Any], bool | None]


def never(_actual: object) -> bool:
    """Passes nothing."""
    return False


def undecided(_actual: object) -> None:
    """Neither passes nor fails: what an operator that is not known here does."""


def is_list(value: object) -> bool:
    """Whether the value is an array."""
    return isinstance(value, LISTS)


def negation(test: Test) -> Test:
    """Passes what fails the test; what is undecided stays so."""

    def passes(actual: object) -> bool | None:
        passed = test(actual)
        return None if passed is None else not passed

    return passes


def equality(expected: object) -> Test:
    """Passes what is written like the expected value."""
    if isinstance(expected, str):
        return lambda actual: isinstance(actual, str) and actual == expected
    if expected is None or isinstance(expected, bool):
        return lambda actual: actual is expected
    return lambda actual: is_equal(actual, expected)


def membership(values: list[Any], *, insensitive: bool = False) -> Test:
    """Passes a value that is among the values, and a list that shares an element with them."""
    strings = {value for value in values if isinstance(value, str)}
    if insensitive:
        strings = {value.lower() for value in strings}
    others = [value for value in values if not isinstance(value, str)]

    def passes(actual: object) -> bool:
        if isinstance(actual, str):
            return (actual.lower() if insensitive else actual) in strings
        if isinstance(actual, LISTS):
            return any(passes(element) for element in actual if not is_list(element))
        return any(is_same(actual, value) for value in others)

    return passes


def _sameness(expected: object) -> Test:
    return lambda actual: is_same(actual, expected)


def _difference(expected: object) -> Test:
    return lambda actual: not is_same(actual, expected)


def _in(operand: object, *, insensitive: bool = False, negated: bool = False) -> Test:
    if not isinstance(operand, list):
        return never
    is_member = membership(operand, insensitive=insensitive)
    return negation(is_member) if negated else is_member


def _ordered(accepted: frozenset[int]) -> Callable[[object], Test]:
    """Makes the test of an order operator that accepts these results of `order`."""
    return lambda expected: lambda actual: order(actual, expected) in accepted


def _versions(accepted: frozenset[int]) -> Callable[[object], Test]:
    """Makes the test of a version operator that accepts these results of `order`."""

    def compare_to(expected: object) -> Test:
        wanted = version_text(expected)
        return lambda actual: order(version_text(actual), wanted) in accepted

    return compare_to


def _regex(operand: object, *, insensitive: bool = False, negated: bool = False) -> Test:
    pattern = compile_pattern(operand, insensitive=insensitive)
    if pattern is None:
        return lambda _actual: negated
    search = pattern.search

    def passes(actual: object) -> bool:
        if not isinstance(actual, str) or len(actual) > VALUE_CHARACTERS:
            return negated
        return (search(actual) is not None) is not negated

    return passes


def _existence(wanted: object) -> Test:
    if wanted:
        return lambda actual: actual is not None
    return lambda actual: actual is None


def _type(expected: object) -> Test:
    return lambda actual: json_type(actual) == expected


_LESS, _EQUAL, _MORE = frozenset({-1}), frozenset({0}), frozenset({1})

OPERATORS: dict[str, Callable[[object], Test]] = {
    "$eq": _sameness,
    "$ne": _difference,
    "$lt": _ordered(_LESS),
    "$lte": _ordered(_LESS | _EQUAL),
    "$gt": _ordered(_MORE),
    "$gte": _ordered(_MORE | _EQUAL),
    "$veq": _versions(_EQUAL),
    "$vne": _versions(_LESS | _MORE),
    "$vlt": _versions(_LESS),
    "$vlte": _versions(_LESS | _EQUAL),
    "$vgt": _versions(_MORE),
    "$vgte": _versions(_MORE | _EQUAL),
    "$in": _in,
    "$nin": lambda operand: _in(operand, negated=True),
    "$ini": lambda operand: _in(operand, insensitive=True),
    "$nini": lambda operand: _in(operand, insensitive=True, negated=True),
    "$regex": _regex,
    "$regexi": lambda operand: _regex(operand, insensitive=True),
    "$notRegex": lambda operand: _regex(operand, negated=True),
    "$notRegexi": lambda operand: _regex(operand, insensitive=True, negated=True),
    "$exists": _existence,
    "$type": _type,
}
