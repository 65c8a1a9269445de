"""Filters over lists and mappings.

All of them return finished lists: nothing is computed later, outside the fuel.
"""

from collections.abc import Callable, Sequence
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Undefined

from trimtab.errors import TemplateError
from trimtab.prompts.sandbox.context import RenderContext, refuse_stray
from trimtab.prompts.sandbox.operators import (
    NUMBERS,
    check_key,
    checked,
)
from trimtab.prompts.sandbox.predicates import PREDICATES
from trimtab.prompts.sandbox.text import TEXT_FILTERS

# ruff: noqa: ANN401  # a filter takes every kind of data and checks it inside

CALL_STEPS = 6  # one call of a filter or test per item


def _items(value: Any, name: str) -> Sequence[Any]:
    if isinstance(value, list | tuple | str):
        return value
    if isinstance(value, dict):
        return list(value)
    refuse_stray(value, what=f"`{name}`")
    return ()


def _unchanged(value: Any) -> Any:
    return value


def _folding(context: RenderContext, *, case_sensitive: bool) -> Callable[[Any], Any]:
    """Lower case for strings, unless case counts; pays for each copy."""
    if case_sensitive:
        return _unchanged

    def fold(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        context.claim(len(value), what="ignoring case")
        return value.lower()

    return fold


def _reader(context: RenderContext, attribute: Any) -> Callable[[Any], Any]:
    """Reads `a.b.0` from an item, or the item itself where no attribute is named."""
    if attribute is None:
        return _unchanged
    parts = attribute.split(".") if isinstance(attribute, str) else [attribute]
    path = [int(part) if str(part).isdecimal() else part for part in parts[:16]]
    getitem = context.environment.getitem

    def read(item: Any) -> Any:
        for part in path:
            item = getitem(item, part)
        return item

    return read


def _pay_each(context: RenderContext, items: Sequence[Any], times: int = 1) -> None:
    context.spend(len(items) * CALL_STEPS * times)


def join(context: RenderContext, value: Any, d: Any = "", attribute: Any = None) -> str:
    """The items as one text, `d` between them."""
    items = _items(value, "join")
    _pay_each(context, items)
    read = _reader(context, attribute)
    between = context.text(d)
    texts = [context.text(read(item)) for item in items]
    length = sum(map(len, texts)) + len(between) * max(len(texts) - 1, 0)
    context.claim(length, what="`join`")
    return between.join(texts)


def length(_: RenderContext, value: Any) -> int:
    """How many items or characters."""
    if not isinstance(value, list | tuple | dict | str):
        refuse_stray(value, what="`length`")
    return len(value)


def first(context: RenderContext, value: Any) -> Any:
    """The first item; undefined when there is none."""
    items = _items(value, "first")
    return items[0] if items else context.environment.undefined("the value has no first item")


def last(context: RenderContext, value: Any) -> Any:
    """The last item; undefined when there is none."""
    items = _items(value, "last")
    return items[-1] if items else context.environment.undefined("the value has no last item")


def as_list(context: RenderContext, value: Any) -> list[Any]:
    """The items as a list; a string gives its characters."""
    items = _items(value, "list")
    context.claim_items(len(items), what="`list`")
    return list(items)


def backwards(context: RenderContext, value: Any) -> Any:
    """The text or the items from the end."""
    items = _items(value, "reverse")
    if isinstance(items, str):
        context.claim(len(items), what="`reverse`")
        return items[::-1]
    context.claim_items(len(items), what="`reverse`")
    return list(items[::-1])


def _pay_order(context: RenderContext, keys: Sequence[Any], name: str) -> None:
    """Comparing: n log n times, each through a container or a string."""
    weight = context.weigh(list(keys), what=f"`{name}`")
    context.spend((len(keys) + (weight >> 4)) * len(keys).bit_length())


def sort(
    context: RenderContext,
    value: Any,
    reverse: bool = False,  # noqa: FBT001, FBT002  # Jinja's own signature
    case_sensitive: bool = False,  # noqa: FBT001, FBT002
    attribute: Any = None,
) -> list[Any]:
    """The items in order; `attribute` may name several, separated by commas."""
    items = _items(value, "sort")
    _pay_each(context, items, 2)
    names = attribute.split(",") if isinstance(attribute, str) else [attribute]
    readers = [_reader(context, name) for name in names[:8]]
    fold = _folding(context, case_sensitive=case_sensitive)
    keys = [[fold(read(item)) for read in readers] for item in items]
    _pay_order(context, keys, "sort")
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=bool(reverse))
    return [items[place] for place in order]


def unique(
    context: RenderContext,
    value: Any,
    case_sensitive: bool = False,  # noqa: FBT001, FBT002  # Jinja's own signature
    attribute: Any = None,
) -> list[Any]:
    """The items without those seen before."""
    items = _items(value, "unique")
    context.claim_items(len(items), what="`unique`")
    _pay_each(context, items, 2)
    read = _reader(context, attribute)
    fold = _folding(context, case_sensitive=case_sensitive)
    seen: dict[Any, Any] = {}
    for item in items:
        key = check_key(read(item))
        if isinstance(key, str):
            context.spend(len(key) >> 4)
        seen.setdefault(fold(key), item)
    return list(seen.values())


def _extreme(name: str, choose: Callable[..., Any]) -> Callable[..., Any]:
    def apply(
        context: RenderContext,
        value: Any,
        case_sensitive: bool = False,  # noqa: FBT001, FBT002  # Jinja's own signature
        attribute: Any = None,
    ) -> Any:
        items = _items(value, name)
        if not items:
            return context.environment.undefined(f"`{name}` of no items")
        _pay_each(context, items, 2)
        read = _reader(context, attribute)
        fold = _folding(context, case_sensitive=case_sensitive)
        keys = [fold(read(item)) for item in items]
        _pay_order(context, keys, name)
        return items[choose(range(len(items)), key=keys.__getitem__)]

    return apply


def total(context: RenderContext, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    """The sum of numbers, after `start`."""
    items = _items(value, "sum")
    _pay_each(context, items)
    read = _reader(context, attribute)
    result = start
    for item in items:
        number = read(item)
        if not isinstance(number, NUMBERS) or not isinstance(result, NUMBERS):
            refuse_stray(number if isinstance(result, NUMBERS) else result, what="`sum`")
        result = checked(result + number)
    return result


def batch(context: RenderContext, value: Any, linecount: int, fill_with: Any = None) -> list[Any]:
    """The items in lists of `linecount`."""
    items = _items(value, "batch")
    if linecount < 1:
        raise TemplateError(f"`batch` takes a count of at least 1, not {linecount}")
    context.claim_items(len(items), what="`batch`")
    lines = [list(items[at : at + linecount]) for at in range(0, len(items), linecount)]
    if lines and fill_with is not None:
        missing = linecount - len(lines[-1])
        context.claim_items(missing, what="`batch`")
        lines[-1].extend([fill_with] * missing)
    return context.built(lines, what="`batch`")


def in_slices(context: RenderContext, value: Any, slices: int, fill_with: Any = None) -> list[Any]:
    """The items in so many columns, the first ones longer by one where it does not divide."""
    items = _items(value, "slice")
    if slices < 1:
        raise TemplateError(f"`slice` takes a count of at least 1, not {slices}")
    context.claim_items(len(items) + slices, what="`slice`")
    size, longer = divmod(len(items), slices)
    columns: list[Any] = []
    at = 0
    for column in range(slices):
        end = at + size + (column < longer)
        columns.append(list(items[at:end]))
        if fill_with is not None and longer and column >= longer:
            columns[-1].append(fill_with)
        at = end
    return context.built(columns, what="`slice`")


def pairs(context: RenderContext, value: Any) -> list[Any]:
    """Keys and values of a mapping."""
    if not isinstance(value, dict):
        refuse_stray(value, what="`items`")
    context.claim_items(3 * len(value), what="`items`")
    return context.built(list(value.items()), what="`items`")


def dictsort(
    context: RenderContext,
    value: Any,
    case_sensitive: bool = False,  # noqa: FBT001, FBT002  # Jinja's own signature
    by: str = "key",
    reverse: bool = False,  # noqa: FBT001, FBT002
) -> list[Any]:
    """Keys and values of a mapping, in the order of its keys (or `by="value"`)."""
    if by not in ("key", "value"):
        raise TemplateError(f"`dictsort` orders by key or value, not {str(by)[:30]!r}")
    place = 0 if by == "key" else 1
    entries = pairs(context, value)
    fold = _folding(context, case_sensitive=case_sensitive)
    keys = [fold(entry[place]) for entry in entries]
    _pay_order(context, keys, "dictsort")
    order = sorted(range(len(entries)), key=keys.__getitem__, reverse=bool(reverse))
    return [entries[at] for at in order]


def apply_to_all(context: RenderContext, value: Any, *arguments: Any, **options: Any) -> list[Any]:
    """`map("filter", …)` or `map(attribute="a.b", default=…)`."""
    items = _items(value, "map")
    context.claim_items(len(items), what="`map`")
    _pay_each(context, items)
    if arguments:
        work = FILTERS[arguments[0]]
        mapped = [work(context, item, *arguments[1:], **options) for item in items]
        return context.built(mapped, what="`map`")
    read = _reader(context, options["attribute"])
    found = [read(item) for item in items]
    if "default" in options:
        found = [options["default"] if isinstance(v, Undefined) else v for v in found]
    return context.built(found, what="`map`")


def _sifting(name: str, *, keep: bool, by_attribute: bool) -> Callable[..., Any]:
    def apply(context: RenderContext, value: Any, *arguments: Any) -> list[Any]:
        items = _items(value, name)
        context.claim_items(len(items), what=f"`{name}`")
        _pay_each(context, items, 2)
        read = _reader(context, arguments[0] if by_attribute else None)
        rest = arguments[1:] if by_attribute else arguments
        if not rest:
            return [item for item in items if bool(read(item)) is keep]
        ask = PREDICATES[rest[0]]
        return [i for i in items if bool(ask(context, read(i), *rest[1:])) is keep]

    return apply


LIST_FILTERS: dict[str, Callable[..., Any]] = {
    "batch": batch,
    "count": length,
    "dictsort": dictsort,
    "first": first,
    "items": pairs,
    "join": join,
    "last": last,
    "length": length,
    "list": as_list,
    "map": apply_to_all,
    "max": _extreme("max", max),
    "min": _extreme("min", min),
    "reject": _sifting("reject", keep=False, by_attribute=False),
    "rejectattr": _sifting("rejectattr", keep=False, by_attribute=True),
    "reverse": backwards,
    "select": _sifting("select", keep=True, by_attribute=False),
    "selectattr": _sifting("selectattr", keep=True, by_attribute=True),
    "slice": in_slices,
    "sort": sort,
    "sum": total,
    "unique": unique,
}

FILTERS = {name: pass_context(work) for name, work in (TEXT_FILTERS | LIST_FILTERS).items()}
