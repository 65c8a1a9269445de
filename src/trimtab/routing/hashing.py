"""The hash line: where a unit stands among the 10,000 buckets, equal in every GrowthBook SDK."""

from collections.abc import Callable
from itertools import count
from typing import Any

from trimtab.routing.payload import BUCKETS, HASH_ATTRIBUTES

# From a unit's text, and from a request's attributes, to a bucket.
Line = Callable[[str], int]
Placing = Callable[[dict[str, Any]], int | None]

# FNV-1a of Fowler, Noll and Vo, 32 bits; taken over UTF-16 code units, as JavaScript's
# charCodeAt gives them, because the SDKs in browsers came first.
_OFFSET = 0x811C9DC5
_PRIME = 0x01000193
_MASK = 0xFFFFFFFF

# The low 32 bits after a step depend on the low 32 bits before it alone, so the cut to 32 bits can
# wait: to the end for a text this short, else for three steps. That halves the time.
_SHORT = 16

# Hash version 1 knows 1,000 buckets; one of them is this many of ours.
_COARSE = BUCKETS // 1_000


def fnv1a32(text: str, start: int = _OFFSET) -> int:
    """FNV-1a hash of 32 bits over the UTF-16 code units of a text.

    Args:
        text: Any text; lone surrogates count as the code units they are.
        start: Hash of what stands before the text, to continue from.
    """
    if not text.isascii():
        return _hash_units(text, start)
    units = text.encode()
    if len(units) <= _SHORT:
        for unit in units:
            start = (start ^ unit) * _PRIME
        return start & _MASK
    head = len(units) % 3
    for unit in units[:head]:
        start = (start ^ unit) * _PRIME
    rest = iter(units[head:])
    for first, second, third in zip(rest, rest, rest, strict=True):
        start = (((start ^ first) * _PRIME ^ second) * _PRIME ^ third) * _PRIME & _MASK
    return start & _MASK


def _hash_units(text: str, start: int) -> int:
    units = text.encode("utf-16-le", "surrogatepass")
    for low, high in zip(units[::2], units[1::2], strict=True):
        start = (start ^ (low | high << 8)) * _PRIME & _MASK
    return start


def _place(hashed: int) -> int:
    """Bucket of a hash: that of its decimal digits, hashed once more."""
    again = _OFFSET
    for digit in b"%d" % hashed:
        again = (again ^ digit) * _PRIME
    return (again & _MASK) % BUCKETS


def bucket(seed: str, value: str) -> int:
    """Bucket of a value, 0 … 9,999, by hash version 2.

    Source:
        GrowthBook SDKs: `fnv1a32(str(fnv1a32(seed + value))) % 10000`.
    """
    return _place(fnv1a32(value, fnv1a32(seed)))


def hash_line(seed: str, version: int) -> Line | None:
    """Function from a value to its bucket, 0 … 9,999; None for an unknown hash version.

    Version 1 has 1,000 buckets; they stand on every tenth of ours, so that the same integer
    bounds serve both: `n / 1000` and `10 n / 10000` are the same floating-point number.
    """
    if version == 1:
        return lambda value: fnv1a32(seed, fnv1a32(value)) % 1_000 * _COARSE
    if version != 2:
        return None
    seeded = fnv1a32(seed)
    return lambda value: _place(fnv1a32(value, seeded))


def hash_fraction(seed: str, value: str, *, version: int) -> float | None:
    """Place in [0, 1) as the SDKs give it; None for an unknown hash version."""
    line = hash_line(seed, version)
    return None if line is None else line(value) / BUCKETS


def bound(fraction: float) -> int:
    """The first bucket at or after a fraction: the n of `n / 10000 >= fraction`, 0 … 10,000.

    SDKs compare `n / 10000` with the fraction as floating-point numbers. This gives the integer
    that makes the same cut: 0.57 is cut at 5,700, and 0.5 + 0.07, which is a little more, at 5,701.
    """
    if not fraction > 0:
        return 0 if fraction <= 0 else BUCKETS
    if fraction > (BUCKETS - 1) / BUCKETS:
        return BUCKETS
    start = max(int(fraction * BUCKETS) - 1, 0)
    return next(n for n in count(start) if n / BUCKETS >= fraction)


def hash_text(value: object) -> str | None:
    """The text that is hashed for an attribute's value; None if the value names no unit.

    Strings other than "" and finite numbers other than 0 name one; numbers are written as
    JavaScript writes them.
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if number == 0 or number - number != 0:
        return None
    return number_text(number)


def number_text(number: float) -> str:
    """A finite number as JavaScript's `String(number)` writes it: 3, 0.5, 1e+21, 1.5e-7.

    Source:
        ECMA-262, Number::toString: fixed notation from 1e-6 up to 1e21.
    """
    if number.is_integer() and abs(number) < 2**53:
        return str(int(number))
    if 1e-6 <= abs(number) < 1e21:
        from decimal import Decimal

        return format(Decimal(repr(number)), "f").removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


class HashLines:
    """The hash lines of one table of decisions, with a memory for the units asked for again.

    Equal lines share their memory. All together remember at most `capacity` places; a line that
    reaches its part forgets all it knows at once. Request ids never come again and are not kept.
    """

    def __init__(self, capacity: int = 32_768) -> None:
        self._capacity = capacity
        self._memories: dict[tuple[str, int], dict[str, int]] = {}

    def placing(self, attribute: str, seed: str, version: int) -> Placing | None:
        """Function from attributes to a bucket, 0 … 9,999, or to None if no unit is named.

        None for an unknown hash version.
        """
        line = hash_line(seed, version)
        if line is None:
            return None
        if attribute == HASH_ATTRIBUTES["request"]:
            return _forgetful(attribute, line)
        return self._remembering(attribute, line, self._memories.setdefault((seed, version), {}))

    def _remembering(self, attribute: str, line: Line, memory: dict[str, int]) -> Placing:
        def place(attributes: dict[str, Any]) -> int | None:
            value = attributes.get(attribute)
            if type(value) is not str or not value:
                value = hash_text(value)
                if value is None:
                    return None
            known = memory.get(value)
            return remember(value) if known is None else known

        def remember(value: str) -> int:
            if len(memory) >= self._capacity // len(self._memories):
                memory.clear()
            memory[value] = known = line(value)
            return known

        return place


def _forgetful(attribute: str, line: Line) -> Placing:
    def place(attributes: dict[str, Any]) -> int | None:
        value = hash_text(attributes.get(attribute))
        return None if value is None else line(value)

    return place
