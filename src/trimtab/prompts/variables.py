"""Checks the values given to a version against its variables: the JSON Schema part we enforce."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trimtab.errors import VariableError
from trimtab.prompts.limits import DEFAULT_LIMITS, Limits
from trimtab.prompts.plain import plain
from trimtab.prompts.sandbox.size import kind_of, size_of
from trimtab.prompts.schema import MAX_SCHEMA_DEPTH, schema_faults

# Any: values and schemas are JSON of every shape.
# ruff: noqa: ANN401

MAX_PROBLEMS = 5
"""Problems one `VariableError` lists."""

Check = Callable[[Any, str, list[str]], None]
"""Appends what is wrong with a value at a path."""

VariableCheck = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Gives the values to render with, defaults filled in, or raises `VariableError`."""

_NONE = object()
_SIMPLE = frozenset({"type", "default", "trusted"})
_EXACT: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


class _Variable(msgspec.Struct, frozen=True):
    """One variable: its check, its default, and the exact types that need no check."""

    check: Check
    default: Any
    quick: frozenset[type]
    want: str


def compile_variables(
    schema: Mapping[str, Any] | None, *, limits: Limits = DEFAULT_LIMITS
) -> VariableCheck:
    """A check for the `variables` of a version.

    JSON Schema's meaning: `true` is not a number, 1.0 is an integer, 1 and 1.0 are equal and 1 and
    `true` are not, lengths of strings count code points. Tuples are lists; enum members and other
    subclasses of plain types become plain. Defaults of variables are filled in, defaults deeper in
    a schema are not. Keywords that are not enforced say nothing.

    Args:
        schema: The version's `variables`: type object, properties, required; None for none.
        limits: Caps on the values given: items, characters, depth.

    Raises:
        VariableError: A keyword's own value cannot be read; when checking, up to five problems
            with the values: path, value, what is wanted.
    """
    properties = (schema or {}).get("properties", {})
    required = frozenset((schema or {}).get("required", ()))
    closed = (schema or {"additionalProperties": False}).get("additionalProperties") is False
    for name, inner in properties.items():
        for fault in schema_faults(inner):
            if not fault.unknown_keyword:
                path = ".".join((name, *fault.path))
                raise VariableError(f'the schema of variable "{path}": {fault.message}')
    variables = {name: _variable(inner) for name, inner in properties.items()}

    def check(values: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(values, Mapping):
            raise VariableError(f"the variables are {_shown(values)}, want a mapping of names")
        return _Filling(limits=limits).fill(values, variables, required=required, closed=closed)

    return check


class _Filling:
    """One check of given values: what was filled in, what is wrong, how much text there is."""

    def __init__(self, *, limits: Limits) -> None:
        self._limits = limits
        self._chars = 0
        self._items = 0

    def fill(
        self,
        values: Mapping[str, Any],
        variables: Mapping[str, _Variable],
        *,
        required: frozenset[str],
        closed: bool,
    ) -> dict[str, Any]:
        problems: list[str] = []
        filled: dict[str, Any] = {}
        for name, variable in variables.items():
            value = values.get(name, _NONE)
            if value is not _NONE:
                filled[name] = self._fit(name, value, variable, problems)
            elif variable.default is not _NONE:
                filled[name] = variable.default
            elif name in required:
                problems.append(f'variable "{name}" is missing, want {variable.want}')
        if len(values) > len(filled):
            problems += self._others(values, variables, filled, closed=closed)
        if self._chars > self._limits.input_chars or self._items > self._limits.input_items:
            raise VariableError(
                f"the values have {self._chars} characters and {self._items} items, the limits "
                f"are {self._limits.input_chars} and {self._limits.input_items}"
            )
        if problems:
            raise VariableError(_listed(problems))
        return filled

    def _fit(self, name: str, value: Any, variable: _Variable, problems: list[str]) -> Any:
        kind = type(value)
        if kind is str:
            self._chars += len(value)
        elif kind is not bool:
            value = self._measured(name, value)
        if kind not in variable.quick:
            variable.check(value, name, problems)
        return value

    def _others(
        self,
        values: Mapping[str, Any],
        variables: Mapping[str, _Variable],
        filled: dict[str, Any],
        *,
        closed: bool,
    ) -> list[str]:
        """Values that no variable has: wrong, or taken as they are where the schema is open."""
        others = [name for name in values if name not in variables]
        if closed:
            known = ", ".join(variables) or "none"
            return [f'unknown variable "{name!s:.60}"; there are: {known}' for name in others]
        for name in others:
            filled[str(name)] = self._measured(str(name), values[name])
        return []

    def _measured(self, name: str, value: Any) -> Any:
        limits = self._limits
        size = size_of(value, items=limits.input_items, depth=limits.value_depth)
        if size.stray is not None:
            value = plain(value, path=name, limits=limits)
            size = size_of(value, items=limits.input_items, depth=limits.value_depth)
        if size.stray is not None:
            raise VariableError(
                f'variable "{name}" holds {kind_of(size.stray)}; give strings, numbers, true, '
                "false, null, lists and mappings"
            )
        if not size.full:
            raise VariableError(
                f'variable "{name}" has more than {limits.input_items} items or '
                f"{limits.value_depth} levels"
            )
        self._chars += size.chars
        self._items += size.items
        return value


def _listed(problems: list[str]) -> str:
    more = len(problems) - MAX_PROBLEMS
    return "; ".join(problems[:MAX_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _variable(schema: Mapping[str, Any]) -> _Variable:
    names = _types(schema)
    simple = bool(names) and _SIMPLE.issuperset(schema)
    quick = {kind for name in names for kind in _EXACT.get(name, ())} if simple else set()
    return _Variable(
        check=compile_schema(schema),
        default=schema.get("default", _NONE),
        quick=frozenset(quick),
        want=_want(schema),
    )


def _types(schema: Mapping[str, Any]) -> list[str]:
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def compile_schema(schema: Mapping[str, Any], *, depth: int = 0) -> Check:
    """A check for one schema and all below it.

    Raises:
        VariableError: It nests too deeply.
    """
    if depth > MAX_SCHEMA_DEPTH:
        raise VariableError(f"a schema nests deeper than {MAX_SCHEMA_DEPTH} levels")
    names = _types(schema)
    want = _want(schema)
    of_kind = [_KINDS[name] for name in names]
    rules = [*_value_rules(schema), *_list_rules(schema, depth), *_mapping_rules(schema, depth)]

    def check(value: Any, path: str, problems: list[str]) -> None:
        if len(problems) > MAX_PROBLEMS:
            return
        if of_kind and not any(is_kind(value) for is_kind in of_kind):
            problems.append(_problem(path, value, want))
            return
        for rule in rules:
            rule(value, path, problems)

    return check


def _value_rules(schema: Mapping[str, Any]) -> list[Check]:
    rules: list[Check] = []
    if "enum" in schema:
        rules.append(_one_of(list(schema["enum"]), _want({"enum": schema["enum"]})))
    if "const" in schema:
        rules.append(_one_of([schema["const"]], _shown(schema["const"])))
    for keyword, applies, measure, sign, noun in _BOUNDS:
        if keyword in schema:
            limit = schema[keyword]
            want = f"at {'least' if sign > 0 else 'most'} {limit}{noun}"
            rules.append(_bound(limit, applies=applies, measure=measure, sign=sign, want=want))
    return rules


def _one_of(allowed: list[Any], want: str) -> Check:
    def check(value: Any, path: str, problems: list[str]) -> None:
        if not any(same(value, option) for option in allowed):
            problems.append(_problem(path, value, want))

    return check


def _bound(
    limit: float,
    *,
    applies: Callable[[Any], bool],
    measure: Callable[[Any], float],
    sign: int,
    want: str,
) -> Check:
    def check(value: Any, path: str, problems: list[str]) -> None:
        if applies(value) and sign * measure(value) < sign * limit:
            problems.append(_problem(path, value, want))

    return check


def _list_rules(schema: Mapping[str, Any], depth: int) -> list[Check]:
    if "items" not in schema:
        return []
    inner = compile_schema(schema["items"], depth=depth + 1)

    def check(value: Any, path: str, problems: list[str]) -> None:
        if not isinstance(value, list | tuple):
            return
        for index, item in enumerate(value):
            inner(item, f"{path}[{index}]", problems)
            if len(problems) > MAX_PROBLEMS:
                return

    return [check]


def _mapping_rules(schema: Mapping[str, Any], depth: int) -> list[Check]:
    extra = schema.get("additionalProperties", True)
    if not {"properties", "required"} & schema.keys() and extra is True:
        return []
    known = {
        name: compile_schema(inner, depth=depth + 1)
        for name, inner in schema.get("properties", {}).items()
    }
    required = list(schema.get("required", []))
    open_check = compile_schema(extra, depth=depth + 1) if isinstance(extra, Mapping) else None

    def check(value: Any, path: str, problems: list[str]) -> None:
        if not isinstance(value, dict):
            return
        problems += [f'"{path}.{name}" is missing' for name in required if name not in value]
        for key, item in value.items():
            inner = known.get(key, open_check)
            if inner is not None:
                inner(item, f"{path}.{key!s:.60}", problems)
            elif extra is False and key not in known:
                problems.append(
                    f'"{path}.{key!s:.60}" is unknown; there are: {", ".join(known) or "none"}'
                )
            if len(problems) > MAX_PROBLEMS:
                return

    return [check]


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, but not `true`."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(v, right[k]) for k, v in left.items())
    return bool(left == right)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return value - value == 0  # neither infinite nor NaN
    return isinstance(value, int) and not isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "string": _is_text,
    "integer": lambda value: _is_number(value) and value == int(value),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "array": _is_list,
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}

_BOUNDS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any], float], int, str], ...] = (
    ("minimum", _is_number, lambda value: value, 1, ""),
    ("maximum", _is_number, lambda value: value, -1, ""),
    ("minLength", _is_text, len, 1, " characters"),
    ("maxLength", _is_text, len, -1, " characters"),
    ("minItems", _is_list, len, 1, " items"),
    ("maxItems", _is_list, len, -1, " items"),
)


def _want(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(map(_shown, list(schema["enum"])[:20]))
    if "const" in schema:
        return _shown(schema["const"])
    return " or ".join(_NOUNS[name] for name in _types(schema)) or "a value"


def _problem(path: str, value: Any, want: str) -> str:
    return f'"{path}" is {_shown(value)}, want {want}'


def _shown(value: Any) -> str:
    """The value as JSON writes it, shortened."""
    if isinstance(value, str):
        return f'"{value[:60]}…"' if len(value) > 60 else f'"{value}"'
    if isinstance(value, list | tuple | dict):
        noun = "a mapping" if isinstance(value, dict) else "a list"
        return f"{noun} of {len(value)}"
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value)[:60])
        if (value is None or isinstance(value, bool))
        else str(value)[:60]
    )
