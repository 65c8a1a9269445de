"""How large a value is, counted before anything is done with it."""

import msgspec

MAX_INTEGER = 2**64
"""Integers stay below this magnitude: arithmetic, hashing and printing then cost a constant."""

SCALARS = (str, int, float, bool, type(None))
_PLAIN = frozenset({float, bool, type(None)})


class Size(msgspec.Struct):
    """Items, characters of text, and depth of a value, as if nothing in it were shared.

    Attributes:
        items: Values in it, keys included; at least 1.
        chars: Characters of all strings, keys included.
        depth: 0 for a scalar, 1 for a flat container.
        stray: A value inside it that is not plain data (or an integer too large), or None.
        full: False when counting stopped at a cap.
    """

    items: int
    chars: int
    depth: int
    stray: object = None
    full: bool = True

    @property
    def text_chars(self) -> int:
        """Characters that printing the value can need, quotes, commas and numbers included."""
        return self.chars + 24 * self.items


def size_of(value: object, *, items: int, depth: int) -> Size:
    """Size of plain data, level by level; stops as soon as a cap is passed.

    Shared parts count each time they are reached, so a value that refers to itself, or doubles
    by sharing, ends at a cap after at most `items` steps.

    Args:
        value: Any value; what is not JSON-like data becomes `stray`.
        items: Stop beyond this many.
        depth: Stop beyond this nesting.
    """
    size = Size(1, 0, -1)
    level = [value]
    while level:
        size.depth += 1
        below: list[object] = []
        for entry in level:
            kind = type(entry)
            if kind is str:
                size.chars += len(entry)  # type: ignore[arg-type]  # kind is its exact type
            elif kind in _PLAIN or (kind is int and -MAX_INTEGER < entry < MAX_INTEGER):  # type: ignore[operator]
                continue
            elif not _open(entry, below, size, items):
                return size
        size.full = size.depth < depth or not below
        if not size.full:
            return size
        level = below
    return size


def _open(entry: object, below: list[object], size: Size, cap: int) -> bool:
    """Adds a container's parts to the next level; False ends the counting."""
    if type(entry) is list or type(entry) is tuple:
        size.items += len(entry)
    elif type(entry) is dict:
        size.items += 2 * len(entry)
    else:
        size.stray = entry
        size.full = False
        return False
    if size.items > cap:
        size.full = False
        return False
    if isinstance(entry, dict):
        below.extend(entry)
        below.extend(entry.values())
    else:
        below.extend(entry)
    return True


def kind_of(stray: object) -> str:
    """What to call a value that is not data."""
    if isinstance(stray, int) and not -MAX_INTEGER < stray < MAX_INTEGER:
        return "an integer of more than 64 bits"
    return type(stray).__name__
