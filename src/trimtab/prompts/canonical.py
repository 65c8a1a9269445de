"""Canonical JSON (RFC 8785): one value, one row of bytes, on every machine."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

from trimtab.errors import IdentityError

LARGEST_INTEGER = 2**53 - 1
"""Largest integer that every JSON reader keeps exactly (RFC 7493, section 2.2)."""

MAX_DEPTH = 128
"""Deepest nesting of arrays and objects; far beyond any tool schema, short of a recursion error."""

_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_SURROGATE = re.compile("[\ud800-\udfff]")
_SHORT_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
}


def canonical_json(value: object) -> bytes:
    """The RFC 8785 form of a JSON value, as UTF-8.

    Args:
        value: Mappings with string keys, lists, tuples, strings, integers, floats, booleans, None.

    Raises:
        IdentityError: A value has no canonical form that every reader understands alike: an integer
            beyond ±(2^53-1) (also one written as a float below 1e21, whose form has no exponent),
            NaN, an infinity, a lone surrogate, a key that is not a string, another type, or more
            than 128 levels. The message names the path, such as `sampling.stop[2]`.
    """
    out: list[str] = []
    try:
        _write(value, out, 0)
    except _Refused as refused:
        raise IdentityError(f"{refused.where()}: {refused.reason}") from None
    return "".join(out).encode()


def digest(value: object) -> str:
    """The sha256 of the canonical JSON, 64 lower-case hex digits.

    Raises:
        IdentityError: As in `canonical_json`.
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()


def format_number(number: float) -> str:
    """A finite double as ECMAScript writes it (`0`, `0.2`, `1e+21`, `1e-7`).

    Source:
        ECMA-262, Number::toString with radix 10; digits are the shortest that read back as the same
        double, which Python's `repr` gives too.
    """
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    if fraction == "0":
        fraction = ""
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    leading = len(digits) - len(digits.lstrip("0"))
    digits = digits[leading:]
    return sign + _place_point(digits.rstrip("0"), point - leading)


def _place_point(digits: str, point: int) -> str:
    """Digits with the decimal point after `point` of them, or with an exponent where it is far."""
    n = len(digits)
    if n <= point <= 21:
        return digits + "0" * (point - n)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    exponent = point - 1
    mantissa = digits if n == 1 else f"{digits[0]}.{digits[1:]}"
    return f"{mantissa}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


class _Refused(Exception):
    """A value without a canonical form; containers add their step to the path on the way out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps: list[str | int] = []

    def where(self) -> str:
        """The path from the outermost value, such as `tools[0].name`."""
        path = ""
        for step in reversed(self.steps):
            path += f"[{step}]" if isinstance(step, int) else f".{_printable(step)}"
        return path.removeprefix(".") or "the value"


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _write(value: object, out: list[str], depth: int) -> None:
    write = _WRITERS.get(type(value))
    if write is None:
        write = next((_WRITERS[kind] for kind in _KINDS if isinstance(value, kind)), _write_other)
    write(value, out, depth)


# Any: `_WRITERS` hands each writer the type it is listed under.
def _write_null(_: Any, out: list[str], __: int) -> None:  # noqa: ANN401
    out.append("null")


def _write_boolean(value: Any, out: list[str], _: int) -> None:  # noqa: ANN401
    out.append("true" if value else "false")


def _write_string(value: Any, out: list[str], _: int) -> None:  # noqa: ANN401
    out.append(_string(value))


def _write_integer(value: Any, out: list[str], _: int) -> None:  # noqa: ANN401
    out.append(_integer(value))


def _write_float(value: Any, out: list[str], _: int) -> None:  # noqa: ANN401
    out.append(_float(value))


def _write_object(value: Any, out: list[str], depth: int) -> None:  # noqa: ANN401
    _check_depth(depth)
    separator = "{"
    for key in _ordered(value):
        try:
            out.append(f"{separator}{_string(key)}:")
            _write(value[key], out, depth + 1)
        except _Refused as refused:
            refused.steps.append(key)
            raise
        separator = ","
    out.append("{}" if separator == "{" else "}")


def _write_array(value: Any, out: list[str], depth: int) -> None:  # noqa: ANN401
    _check_depth(depth)
    separator = "["
    for index, item in enumerate(value):
        out.append(separator)
        separator = ","
        try:
            _write(item, out, depth + 1)
        except _Refused as refused:
            refused.steps.append(index)
            raise
    out.append("[]" if separator == "[" else "]")


def _write_other(value: Any, _: list[str], __: int) -> None:  # noqa: ANN401
    raise _Refused(
        f"{type(value).__name__} is not a JSON value; "
        "use objects, arrays, strings, numbers, true, false or null"
    )


_Writer = Callable[[Any, list[str], int], None]
_WRITERS: dict[type, _Writer] = {
    NoneType: _write_null,
    bool: _write_boolean,
    str: _write_string,
    int: _write_integer,
    float: _write_float,
    dict: _write_object,
    list: _write_array,
    tuple: _write_array,
    Mapping: _write_object,
}
_KINDS = tuple(_WRITERS)


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise _Refused(f"nested deeper than {MAX_DEPTH} levels; flatten the value")


def _ordered(value: Mapping[Any, object]) -> list[str]:
    """Keys in the order of their UTF-16 code units."""
    try:
        if "".join(value).isascii():
            return sorted(value)
    except TypeError:
        wrong = next(key for key in value if not isinstance(key, str))
        raise _Refused(f"key {wrong!r} is not a string; quote it") from None
    return sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))


def _string(text: str) -> str:
    if not text.isascii() and _SURROGATE.search(text):
        raise _Refused(
            f"{_printable(text)[:80]!r} holds a lone surrogate, which is no character; remove it"
        )
    if _ESCAPED.search(text):
        text = _ESCAPED.sub(_escape, text)
    return f'"{text}"'


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    return _SHORT_ESCAPES.get(character) or f"\\u{ord(character):04x}"


def _integer(number: int) -> str:
    if -LARGEST_INTEGER <= number <= LARGEST_INTEGER:
        return int.__repr__(number)
    raise _Refused(
        f"integer of {number.bit_length()} bits is beyond ±(2^53-1), where readers of JSON differ; "
        "write it as a string"
    )


def _float(number: float) -> str:
    if not math.isfinite(number):
        raise _Refused(f"{number} is no JSON number; leave the field out or use null")
    if LARGEST_INTEGER < abs(number) < 1e21:
        raise _Refused(
            f"{number!r} would be written as an integer beyond ±(2^53-1), where readers of JSON "
            "differ; write it as a string"
        )
    return format_number(number)
