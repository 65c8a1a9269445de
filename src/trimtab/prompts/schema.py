"""The part of JSON Schema that variables use: which keywords there are and what each may hold."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

ENFORCED = (
    "type",
    "enum",
    "const",
    "items",
    "properties",
    "required",
    "additionalProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "default",
)
"""Keywords that values are checked against."""

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
MAX_SCHEMA_DEPTH = 32

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Words of the template language, and names it binds by itself.
_TAKEN = frozenset(
    {"and", "or", "not", "if", "else", "elif", "in", "is", "true", "false", "none"}
    | {
        "True",
        "False",
        "None",
        "range",
        "namespace",
        "loop",
        "self",
        "super",
        "caller",
        "varargs",
        "kwargs",
    }
)


class SchemaFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong in a schema; `path` leads to it from the schema's own root."""

    path: tuple[str, ...]
    message: str
    unknown_keyword: bool = False


def name_fault(name: str) -> str | None:
    """Why a template could not use a variable of this name, or None."""
    if _NAME.fullmatch(name) is None:
        return (
            f'"{name}" is not a variable name; use ASCII letters, digits and "_", '
            "beginning with a letter"
        )
    if name in _TAKEN:
        return f'"{name}" means something in the template language; choose another name'
    return None


def schema_faults(schema: object) -> list[SchemaFault]:
    """Everything wrong in one variable's schema, keywords that are not enforced included.

    `trusted` (a boolean) is taken at the root only: it marks who wrote a value.
    """
    faults: list[SchemaFault] = []
    if isinstance(schema, Mapping) and not isinstance(schema.get("trusted", True), bool):
        faults.append(SchemaFault(path=("trusted",), message="trusted is true or false"))
    faults.extend(_faults(schema, ()))
    return faults


def _faults(schema: object, path: tuple[str, ...]) -> Iterator[SchemaFault]:
    if not isinstance(schema, Mapping):
        yield SchemaFault(
            path=path,
            message=f"a schema is a mapping such as {{type: string}}, not {_show(schema)}",
        )
        return
    if len(path) > MAX_SCHEMA_DEPTH:
        yield SchemaFault(path=path, message=f"nested deeper than {MAX_SCHEMA_DEPTH} levels")
        return
    for keyword, value in schema.items():
        if keyword == "trusted" and not path:
            continue
        here = (*path, str(keyword))
        if keyword not in ENFORCED:
            yield SchemaFault(path=here, message=_unknown(str(keyword)), unknown_keyword=True)
        elif message := _value_fault(keyword, value):
            yield SchemaFault(path=here, message=message)
    yield from _nested_faults(schema, path)
    yield from _order_faults(schema, path)


def _nested_faults(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[SchemaFault]:
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for name, inner in properties.items():
            yield from _faults(inner, (*path, "properties", str(name)))
    if "items" in schema:
        yield from _faults(schema["items"], (*path, "items"))
    extra = schema.get("additionalProperties", True)
    if isinstance(extra, Mapping):
        yield from _faults(extra, (*path, "additionalProperties"))


def _order_faults(schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[SchemaFault]:
    pairs = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))
    for low, high in pairs:
        least, most = schema.get(low, 0), schema.get(high, math.inf)
        if _is_number(least) and _is_number(most) and least > most:
            yield SchemaFault(
                path=(*path, low), message=f"{low} {least} is above {high} {most}: no value fits"
            )


def _value_fault(keyword: str, value: object) -> str | None:
    """What is wrong with a keyword's own value; nested schemas are looked at elsewhere."""
    if keyword == "type":
        return _type_fault(value)
    fits, want = _WANTED.get(keyword, _ANYTHING)
    return None if fits(value) else f"{keyword} is {want}, not {_show(value)}"


def _type_fault(value: object) -> str | None:
    names = value if isinstance(value, list) else [value]
    fits = names and all(isinstance(name, str) and name in TYPES for name in names)
    if fits and len(set(names)) == len(names):
        return None
    return f"type is one or a list of {', '.join(TYPES)}; not {_show(value)}"


# Any: a JSON value of a file people write.
def _is_number(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:  # noqa: ANN401
    return _is_number(value) and bool(value == int(value)) and bool(value >= 0)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


_ANYTHING: tuple[Callable[[object], bool], str] = (lambda _: True, "")
_NUMBER: tuple[Callable[[object], bool], str] = (_is_number, "a number")
_COUNT: tuple[Callable[[object], bool], str] = (_is_count, "a whole number from 0")
_WANTED: dict[str, tuple[Callable[[object], bool], str]] = {
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list of at least one value"),
    "properties": (lambda value: isinstance(value, Mapping), "a mapping of names to schemas"),
    "required": (_are_names, "a list of names"),
    "additionalProperties": (
        lambda value: isinstance(value, bool | Mapping),
        "true, false or a schema",
    ),
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "minLength": _COUNT,
    "maxLength": _COUNT,
    "minItems": _COUNT,
    "maxItems": _COUNT,
}


def _unknown(keyword: str) -> str:
    hint = "; write it as a YAML comment" if keyword in ("description", "title", "examples") else ""
    return (
        f'keyword "{keyword}" would not be enforced{hint or "; leave it out"} '
        f"(enforced: {', '.join(ENFORCED)})"
    )


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
