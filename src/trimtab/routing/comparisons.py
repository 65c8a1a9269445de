"""How values compare in targeting conditions: JSON types, equality, order, versions.

Conditions follow GrowthBook's JavaScript SDK, the reference of the format: `===` for scalars, `<`
with its coercion, object keys in their written order.
"""

import math
import re

from trimtab.routing.hashing import number_text

_VERSION_NOISE = re.compile(r"^v|\+.*$", re.DOTALL)
_VERSION_PARTS = re.compile(r"[-.]")
_ARRAY_INDEX = re.compile(r"(?:0|[1-9][0-9]{0,9})\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)\Z")


# Tuples, not unions, where it is hot: a union is made anew at every check.
_COMPARABLE = (str, int, float)

_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "string"),
    (bool, "boolean"),
    ((int, float), "number"),
    ((list, tuple), "array"),
    (dict, "object"),
)


def json_type(value: object) -> str:
    """The value's type as `$type` names it; "unknown" for what JSON does not have."""
    if value is None:
        return "null"
    return next((name for types, name in _TYPES if isinstance(value, types)), "unknown")


def is_same(left: object, right: object) -> bool:
    """Whether two scalars are equal without coercion; containers never are."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, _COMPARABLE) and isinstance(right, _COMPARABLE):
        return left == right
    return left is None and right is None


def is_equal(left: object, right: object) -> bool:
    """Whether two JSON values are written alike: same types, same keys in the same order."""
    if isinstance(left, list | tuple):
        return (
            isinstance(right, list | tuple)
            and len(left) == len(right)
            and all(
                is_equal(_written(one), _written(other))
                for one, other in zip(left, right, strict=True)
            )
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and _ordered_keys(left) == _ordered_keys(right)
            and all(is_equal(_written(left[key]), _written(right[key])) for key in left)
        )
    return is_same(left, right)


def _written(value: object) -> object:
    """A value inside a container as JSON writes it: NaN and infinities become null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _ordered_keys(record: dict[str, object]) -> list[str]:
    """Keys in JavaScript's order: array indices ascending, then the others as written."""
    indices = [key for key in record if is_array_index(key)]
    return sorted(indices, key=int) + [key for key in record if not is_array_index(key)]


def is_array_index(key: str) -> bool:
    """Whether a key is a canonical array index: "0" or "17", not "01"."""
    return _ARRAY_INDEX.match(key) is not None


def order(left: object, right: object) -> int | None:
    """-1, 0 or 1 as left is less than, equal to or greater than right; None if not comparable.

    Two strings compare by UTF-16 code units; anything else as numbers, where null is 0, a boolean
    0 or 1, and a string what it says. Containers and strings that are no number do not compare.
    """
    if isinstance(left, str) and isinstance(right, str):
        one, other = _code_units(left), _code_units(right)
        return (one > other) - (one < other)
    here, there = _number(left), _number(right)
    if here is None or there is None:
        return None
    return (here > there) - (here < there)


def _code_units(text: str) -> bytes:
    return text.encode("ascii" if text.isascii() else "utf-16-be", "surrogatepass")


def _number(value: object) -> float | None:
    if value is None:
        return 0.0
    if isinstance(value, str):
        return _parse_number(value.strip())
    if not isinstance(value, int | float):
        return None
    number = _double(value)
    return None if math.isnan(number) else number


def _double(number: float) -> float:
    """The number as JavaScript holds it; one too large for a double is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _parse_number(text: str) -> float | None:
    """A numeric string's value as JavaScript's `Number(text)`; None for NaN."""
    if not text:
        return 0.0
    if _NUMBER.match(text):
        return float(text)
    if _RADIX.match(text):
        return _double(int(text, 0))
    return {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}.get(text)


def version_text(value: object) -> str:
    """A version as text that compares like the version: 1.9.0 before 1.10.0, rc before release.

    Numeric parts are padded on the left; a version of three parts gets "~", which sorts after
    every pre-release tag. Build metadata and a leading v count for nothing. A value that is no
    version reads as "0".
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _double(value)
        value = number_text(number) if math.isfinite(number) else ""
    text = value if isinstance(value, str) and value else "0"
    parts = _VERSION_PARTS.split(_VERSION_NOISE.sub("", text))
    if len(parts) == 3:
        parts.append("~")
    padded = (part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts)
    return "-".join(padded)
