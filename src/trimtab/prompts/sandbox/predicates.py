"""What a template can ask with `is`."""

from collections.abc import Callable
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Undefined

from trimtab.prompts.sandbox.context import RenderContext, refuse_stray
from trimtab.prompts.sandbox.operators import NUMBERS, contains, relate

# ruff: noqa: ANN401  # a test takes every kind of data and checks it inside


def _is_a(*kinds: type) -> Callable[..., bool]:
    def ask(_: RenderContext, value: Any) -> bool:
        return isinstance(value, kinds)

    return ask


def _relation(relation: str) -> Callable[..., Any]:
    def ask(context: RenderContext, value: Any, other: Any) -> Any:
        return relate(context, relation, value, other)

    return ask


def _remainder(divisor: int, rest: int) -> Callable[..., bool]:
    def ask(_: RenderContext, value: Any) -> bool:
        return bool(_whole(value, "odd` and `even") % divisor == rest)

    return ask


def _whole(value: Any, name: str) -> Any:
    if not isinstance(value, NUMBERS):
        refuse_stray(value, what=f"`{name}`")
    return value


def _is_cased(wanted: Callable[[str], bool]) -> Callable[..., bool]:
    def ask(context: RenderContext, value: Any) -> bool:
        text = context.text(value)
        context.spend(len(text) >> 3)
        return wanted(text)

    return ask


def _is_integer(_: RenderContext, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_ALL: dict[str, Callable[..., Any]] = {
    "defined": lambda _, value: not isinstance(value, Undefined),
    "undefined": lambda _, value: isinstance(value, Undefined),
    "none": lambda _, value: value is None,
    "true": lambda _, value: value is True,
    "false": lambda _, value: value is False,
    "boolean": _is_a(bool),
    "string": _is_a(str),
    "number": _is_a(int, float),
    "integer": _is_integer,
    "float": _is_a(float),
    "mapping": _is_a(dict),
    "sequence": _is_a(list, tuple, dict, str),
    "iterable": _is_a(list, tuple, dict, str),
    "lower": _is_cased(str.islower),
    "upper": _is_cased(str.isupper),
    "odd": _remainder(2, 1),
    "even": _remainder(2, 0),
    "divisibleby": lambda _, value, divisor: (
        _whole(value, "divisibleby") % _whole(divisor, "divisibleby") == 0
    ),
    "in": lambda context, value, container: contains(context, container, value),
    **dict.fromkeys(("eq", "equalto", "=="), _relation("eq")),
    **dict.fromkeys(("ne", "!="), _relation("ne")),
    **dict.fromkeys(("gt", "greaterthan", ">"), _relation("gt")),
    **dict.fromkeys(("ge", ">="), _relation("gteq")),
    **dict.fromkeys(("lt", "lessthan", "<"), _relation("lt")),
    **dict.fromkeys(("le", "<="), _relation("lteq")),
}

PREDICATES = {name: pass_context(ask) for name, ask in _ALL.items()}
