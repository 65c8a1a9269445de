"""Targeting conditions: MongoDB-like documents, compiled once to predicates on attributes.

The language is GrowthBook's. A condition that cannot be understood matches nobody, also under
`$not`; an operator of a later format makes its part undecided, which neither matches nor, negated,
matches.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from trimtab.routing.comparisons import is_array_index
from trimtab.routing.operators import (
    LISTS,
    OPERATORS,
    Test,
    equality,
    is_list,
    membership,
    negation,
    never,
    undecided,
)

# Takes the attributes of a request.
Predicate = Callable[[dict[str, Any]], bool]

# Documents deeper than this, and groups that unfold to more, are taken for an attack or a mistake.
_DEPTH = 32
_NODES = 10_000

_ON_CONDITIONS = frozenset({"$or", "$nor", "$and", "$savedGroup"})
_ON_DOCUMENTS = _ON_CONDITIONS | {"$not", "$savedGroups"}


class _Malformed(Exception):
    """The condition says something that is no condition; never leaves this module."""


def compile_condition(
    condition: object, saved_groups: Mapping[str, Any] | None = None
) -> Predicate:
    """The predicate of a condition document.

    Args:
        condition: The document as decoded from JSON.
        saved_groups: Lists (or typed groups) that `$inGroup`, `$notInGroup` and `$savedGroup` name.
    """
    test = compile_test(condition, saved_groups)
    return lambda attributes: test(attributes) is True


def compile_test(condition: object, saved_groups: Mapping[str, Any] | None = None) -> Test:
    """The same as a test that may stay undecided, and then matches nobody; a call cheaper."""
    try:
        return _Compiler(saved_groups or {}).condition(condition)
    except _Malformed:
        return never


class _Compiler:
    """One compilation: the groups it may name, and how much it has unfolded so far."""

    def __init__(self, saved_groups: Mapping[str, Any]) -> None:
        self._groups = saved_groups
        self._open_groups: list[str] = []
        self._depth = 0
        self._nodes = 0

    def condition(self, document: object) -> Test:
        """The test of a whole document on a record of attributes."""
        if not isinstance(document, dict):
            raise _Malformed
        self._enter()
        fields = [(key, value) for key, value in document.items() if _is_field(key)]
        others = [(key, value) for key, value in document.items() if not _is_field(key)]
        tests = [self._entry(key, value) for key, value in others]
        if fields:
            tests.insert(0, _fields([(key, self.value(value)) for key, value in fields]))
        self._depth -= 1
        return _all_of(tests)

    def _enter(self) -> None:
        self._depth += 1
        self._nodes += 1
        if self._depth > _DEPTH or self._nodes > _NODES:
            raise _Malformed

    def _entry(self, key: str, value: object) -> Test:
        if key in {"$or", "$nor", "$and"}:
            tests = self._conditions(value)
            combined = _all_of(tests) if key == "$and" else _any_of(tests)
            return negation(combined) if key == "$nor" else combined
        if key == "$not":
            return negation(self.condition(value))
        if key == "$savedGroup":
            return self._saved_group(value)
        if key == "$savedGroups":
            return never
        return _at_path(key, self.value(value))

    def _conditions(self, documents: object) -> list[Test]:
        if not isinstance(documents, list):
            raise _Malformed
        return [self.condition(document) for document in documents]

    def value(self, expected: object, *, insensitive: bool = False) -> Test:
        """The test of one value: operators, or equality with what stands there."""
        if isinstance(expected, dict) and all(key.startswith("$") for key in expected):
            self._enter()
            tests = [self._operator(name, operand) for name, operand in expected.items()]
            self._depth -= 1
            return _all_of(tests)
        if insensitive and isinstance(expected, str):
            folded = expected.lower()
            return lambda actual: isinstance(actual, str) and actual.lower() == folded
        _check_depth(expected)
        return equality(expected)

    def _operator(self, name: str, operand: object) -> Test:
        if (plain := OPERATORS.get(name)) is not None:
            return plain(operand)
        if name in _ON_CONDITIONS:
            return never
        nested: dict[str, Callable[[object], Test]] = {
            "$not": lambda operand: negation(self.value(operand)),
            "$elemMatch": self._element,
            "$size": self._size,
            "$all": self._contains_all,
            "$alli": lambda operand: self._contains_all(operand, insensitive=True),
            "$inGroup": self._in_group,
            "$notInGroup": lambda operand: self._in_group(operand, negated=True),
        }
        return nested[name](operand) if name in nested else undecided

    def _size(self, operand: object) -> Test:
        size = self.value(operand)
        return lambda actual: size(len(actual)) if is_list(actual) else False

    def _element(self, operand: object) -> Test:
        """Some element passes: operators test the element itself, a condition its fields."""
        on_value = isinstance(operand, dict) and all(
            key.startswith("$") and key not in _ON_CONDITIONS for key in operand
        )
        test = self.value(operand) if on_value else self.condition(operand)
        return lambda actual: (
            _some([test(element) for element in actual if element is not None])
            if is_list(actual)
            else False
        )

    def _contains_all(self, operand: object, *, insensitive: bool = False) -> Test:
        if not isinstance(operand, list):
            return never
        tests = [self.value(expected, insensitive=insensitive) for expected in operand]
        return lambda actual: (
            _every([_some([test(element) for element in actual]) for test in tests])
            if is_list(actual)
            else False
        )

    def _in_group(self, name: object, *, negated: bool = False) -> Test:
        if not isinstance(name, str):
            return never
        group = self._groups.get(name, [])
        if isinstance(group, dict):
            if group.get("type") not in {"list", "condition"}:
                return undecided
            group = group.get("values")
        if not isinstance(group, list):
            return never
        is_member = membership(group)
        return negation(is_member) if negated else is_member

    def _saved_group(self, reference: object) -> Test:
        """A group that names its attribute itself, or is a condition of its own."""
        if not isinstance(reference, dict) or not isinstance(name := reference.get("id"), str):
            return never
        if name in self._open_groups:
            return never
        match self._groups.get(name):
            case {"type": "list", "values": list(values), **rest}:
                key = reference.get("attributeKey", rest.get("attributeKey"))
                return _at_path(key, membership(values)) if isinstance(key, str) else never
            case {"type": "condition", "condition": dict(document)}:
                self._open_groups.append(name)
                test = self.condition(document)
                self._open_groups.pop()
                return test
            case {"type": str(kind)} if kind not in {"list", "condition"}:
                return undecided
        return never


def _check_depth(literal: object, depth: int = 0) -> None:
    """Check that a literal is no deeper than comparing it can go."""
    if depth > _DEPTH:
        raise _Malformed
    if isinstance(literal, dict):
        literal = list(literal.values())
    if isinstance(literal, list):
        for part in literal:
            _check_depth(part, depth + 1)


def _every(results: Sequence[bool | None]) -> bool | None:
    if False in results:
        return False
    return None if None in results else True


def _some(results: Sequence[bool | None]) -> bool | None:
    if True in results:
        return True
    return None if None in results else False


def _all_of(tests: list[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]

    def passes(actual: object) -> bool | None:
        result: bool | None = True
        for test in tests:
            passed = test(actual)
            if passed is False:
                return False
            if passed is None:
                result = None
        return result

    return passes


def _any_of(tests: list[Test]) -> Test:
    if not tests:
        return lambda _actual: True

    def passes(actual: object) -> bool | None:
        result: bool | None = False
        for test in tests:
            passed = test(actual)
            if passed is True:
                return True
            if passed is None:
                result = None
        return result

    return passes


def _is_field(key: str) -> bool:
    """Whether a key of a document is an attribute's own name: no operator, no path."""
    return key not in _ON_DOCUMENTS and "." not in key


def _fields(tests: list[tuple[str, Test]]) -> Test:
    """The tests of a record's own fields, in one function: what most conditions are."""
    if len(tests) == 1:
        ((key, test),) = tests
        return _at_path(key, test)

    def passes(record: object) -> bool | None:
        fields = record if isinstance(record, dict) else {}
        result: bool | None = True
        for key, test in tests:
            passed = test(fields.get(key))
            if passed is False:
                return False
            if passed is None:
                result = None
        return result

    return passes


def _at_path(path: str, test: Test) -> Test:
    if "." not in path:
        return lambda attributes: test(
            attributes.get(path) if isinstance(attributes, dict) else None
        )
    steps = path.split(".")

    def passes(attributes: object) -> bool | None:
        current: Any = attributes
        for step in steps:
            current = _own(current, step)
        return test(current)

    return passes


def _own(container: object, key: str) -> object:
    """What a container has under a key; a list has its indices and its length."""
    if isinstance(container, dict):
        return container.get(key)
    if isinstance(container, LISTS):
        if key == "length":
            return len(container)
        if is_array_index(key) and int(key) < len(container):
            return container[int(key)]
    return None
