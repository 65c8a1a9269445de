"""The few methods of strings and mappings a template may call.

A method is never a value here: `name.upper()` is compiled into one call of `METHODS["upper"]`,
so there is nothing to walk from a value to its class.
"""

from collections.abc import Callable
from typing import Any

from jinja2 import pass_context

from trimtab.errors import TemplateError
from trimtab.prompts.sandbox import lists, text
from trimtab.prompts.sandbox.context import RenderContext, refuse_stray
from trimtab.prompts.sandbox.operators import check_key, pay_search

# ruff: noqa: ANN401  # the receiver can be every kind of data and is checked inside


def _of(kind: type, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """A method that only values of one kind have."""

    def call(context: RenderContext, value: Any, *arguments: Any) -> Any:
        if not isinstance(value, kind):
            refuse_stray(value, what=f"the method `{name}`")
        return work(context, value, *arguments)

    return call


def _split(
    context: RenderContext, value: str, separator: str | None = None, maximum: int = -1
) -> list[str]:
    if separator is not None:
        pay_search(context, value, separator)
    context.spend(len(value) * 4)  # a part costs up to 60 bytes, and can be one character long
    return context.built(value.split(separator, maximum), what="`split`")


def _split_lines(context: RenderContext, value: str) -> list[str]:
    context.spend(len(value) * 4)
    return context.built(value.splitlines(), what="`splitlines`")


def _starts(context: RenderContext, value: str, part: str) -> bool:
    context.spend(len(part) >> 5)
    return value.startswith(part)


def _ends(context: RenderContext, value: str, part: str) -> bool:
    context.spend(len(part) >> 5)
    return value.endswith(part)


def _count(context: RenderContext, value: str, part: str) -> int:
    pay_search(context, value, part)
    return value.count(part)


def _without_start(context: RenderContext, value: str, part: str) -> str:
    context.claim(len(value), what="`removeprefix`")
    return value.removeprefix(part)


def _without_end(context: RenderContext, value: str, part: str) -> str:
    context.claim(len(value), what="`removesuffix`")
    return value.removesuffix(part)


def _get(_: RenderContext, value: dict[str, Any], key: Any, fallback: Any = None) -> Any:
    return value.get(check_key(key), fallback)


def _keys(context: RenderContext, value: dict[str, Any]) -> list[Any]:
    context.claim_items(len(value), what="`keys`")
    return list(value)


def _values(context: RenderContext, value: dict[str, Any]) -> list[Any]:
    context.claim_items(len(value), what="`values`")
    return list(value.values())


def _joined(context: RenderContext, value: str, items: Any) -> str:
    if not isinstance(items, list | tuple) or not all(isinstance(i, str) for i in items):
        raise TemplateError("the method `join` takes a list of strings; the filter takes any")
    return lists.join(context, items, value)


_ALL: dict[str, Callable[..., Any]] = {
    "capitalize": _of(str, "capitalize", text.capitalize),
    "count": _of(str, "count", _count),
    "endswith": _of(str, "endswith", _ends),
    "join": _of(str, "join", _joined),
    "lower": _of(str, "lower", text.lower),
    "lstrip": _of(str, "lstrip", text.trimmed("lstrip", str.lstrip)),
    "removeprefix": _of(str, "removeprefix", _without_start),
    "removesuffix": _of(str, "removesuffix", _without_end),
    "replace": _of(str, "replace", text.replace),
    "rstrip": _of(str, "rstrip", text.trimmed("rstrip", str.rstrip)),
    "split": _of(str, "split", _split),
    "splitlines": _of(str, "splitlines", _split_lines),
    "startswith": _of(str, "startswith", _starts),
    "strip": _of(str, "strip", text.trim),
    "title": _of(str, "title", text.cased("title", str.title)),
    "upper": _of(str, "upper", text.upper),
    "get": _of(dict, "get", _get),
    "items": _of(dict, "items", lists.pairs),
    "keys": _of(dict, "keys", _keys),
    "values": _of(dict, "values", _values),
}

METHODS = {name: pass_context(call) for name, call in _ALL.items()}
