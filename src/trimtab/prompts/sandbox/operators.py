"""Operators, literals, slices and loops, each paying before it works.

The compiled template calls these where Jinja would write the bare Python operator; their names
in `OPERATORS` are not names a template can write.
"""

import operator
from collections.abc import Callable
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import LoopContext, Undefined
from jinja2.utils import Namespace

from trimtab.errors import TemplateBudgetExceeded, TemplateError
from trimtab.prompts.sandbox.context import RenderContext, refuse_stray
from trimtab.prompts.sandbox.size import MAX_INTEGER

# Any, here and in the filters: an operand can be every kind of data, and is checked inside.
# ruff: noqa: ANN401

_SIZED = (list, tuple, dict, str)
_KEYS = (str, int, float, bool, type(None))
NUMBERS = (int, float)


def checked(number: Any) -> Any:
    """The number itself; integers must stay below `MAX_INTEGER`.

    Raises:
        TemplateBudgetExceeded: It is larger.
    """
    if isinstance(number, int) and not -MAX_INTEGER < number < MAX_INTEGER:
        raise TemplateBudgetExceeded("arithmetic made an integer of more than 64 bits")
    return number


def _numbers(left: Any, right: Any, sign: str) -> None:
    for side in (left, right):
        if isinstance(side, Undefined):
            refuse_stray(side, what=sign)
        if not isinstance(side, NUMBERS):
            raise TemplateError(f"`{sign}` takes numbers, not {type(side).__name__}")


def each(context: RenderContext, value: Any, weight: int) -> Any:
    """What a `for` walks over; pays for all its turns at once.

    Args:
        context: The rendering.
        value: A list, tuple, mapping or string.
        weight: Steps of one turn.
    """
    if not isinstance(value, _SIZED):
        refuse_stray(value, what="`for`")
    context.spend((len(value) + 1) * weight)
    return value


def enter_macro(context: RenderContext, weight: int) -> None:
    """Pays for one call of a macro."""
    context.spend(weight)


def concat(context: RenderContext, left: Any, *others: Any) -> str:
    """`left ~ other ~ …`."""
    texts = [context.text(left), *map(context.text, others)]
    context.claim(sum(map(len, texts)), what="`~`")
    return "".join(texts)


def add(context: RenderContext, left: Any, right: Any) -> Any:
    """`left + right` of numbers, strings or lists."""
    if isinstance(left, str) and isinstance(right, str):
        context.claim(len(left) + len(right), what="`+`")
        return left + right
    if isinstance(left, list | tuple) and type(left) is type(right):
        context.claim_items(len(left) + len(right), what="`+`")
        joined = type(left)((*left, *right))
        context.weigh(joined, what="`+`")
        return joined
    if isinstance(left, str) != isinstance(right, str):
        raise TemplateError("`+` joins two strings or adds two numbers; `~` joins anything")
    _numbers(left, right, "+")
    return checked(left + right)


def multiply(context: RenderContext, left: Any, right: Any) -> Any:
    """`left * right` of numbers, or a string or list repeated."""
    if isinstance(right, str | list | tuple):
        left, right = right, left
    if isinstance(left, str | list | tuple) and isinstance(right, int):
        times = max(right, 0)
        if isinstance(left, str):
            context.claim(len(left) * times, what="`*`")
            return left * times
        context.claim_items(len(left) * times, what="`*`")
        repeated = left * times
        context.weigh(repeated, what="`*`")
        return repeated
    _numbers(left, right, "*")
    return checked(left * right)


def power(_: RenderContext, left: Any, right: Any) -> Any:
    """`left ** right` of numbers, refused when the result cannot stay within 64 bits."""
    _numbers(left, right, "**")
    if isinstance(left, int) and isinstance(right, int) and right > 0:
        bits = (abs(left).bit_length() - 1) * right
        if bits > MAX_INTEGER.bit_length():
            raise TemplateBudgetExceeded(f"`**` makes an integer of at least {bits} bits")
    result = left**right
    if isinstance(result, complex):
        raise TemplateError("`**` takes no root of a negative number")
    return checked(result)


def _plain(sign: str, work: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def apply(_: RenderContext, left: Any, right: Any) -> Any:
        if isinstance(left, str) and sign == "%":
            raise TemplateError("`%` takes numbers; for text use the filter `format`")
        _numbers(left, right, sign)
        return checked(work(left, right))

    return apply


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
}


def relate(context: RenderContext, relation: str, left: Any, right: Any) -> Any:
    """Whether a comparison holds; pays for the walk through containers and long strings."""
    if relation in ("in", "notin"):
        return contains(context, right, left) is (relation == "in")
    for side in (left, right):
        if isinstance(side, str):
            context.spend(len(side) >> 5)
        elif isinstance(side, list | tuple | dict):
            context.spend(context.weigh(side, what="a comparison") >> 5)
    return _COMPARE[relation](left, right)


def contains(context: RenderContext, container: Any, value: Any) -> bool:
    """Whether `value in container`; pays for the search."""
    if isinstance(container, str):
        if not isinstance(value, str):
            refuse_stray(value, what="`in` a string")
        pay_search(context, container, value)
        return value in container
    if isinstance(container, dict):
        return check_key(value) in container
    if not isinstance(container, list | tuple):
        refuse_stray(container, what="`in`")
    context.spend(context.weigh(container, what="`in`") >> 5)
    return value in container


def pay_search(context: RenderContext, text: str, part: str) -> None:
    """Pays for finding `part` in `text`: short needles can cost a step per pair of characters."""
    context.spend(len(text) * (1 + min(len(part), 100) // 4) >> 3)


def check_key(key: Any) -> Any:
    """The key itself; only scalars are hashed.

    Raises:
        TemplateError: It is a container or not data.
    """
    if not isinstance(key, _KEYS):
        refuse_stray(key, what="a mapping's key")
    return key


def compare(context: RenderContext, left: Any, *chain: Any) -> Any:
    """`left < b < c …`; `chain` alternates relation and operand."""
    holds: Any = True
    for relation, right in zip(chain[::2], chain[1::2], strict=True):
        holds = relate(context, relation, left, right)
        if not holds:
            return holds
        left = right
    return holds


def make_list(context: RenderContext, *items: Any) -> list[Any]:
    """A list literal."""
    return context.built(list(items), what="a list")


def make_tuple(context: RenderContext, *items: Any) -> tuple[Any, ...]:
    """A tuple literal."""
    context.weigh(items, what="a tuple")
    return items


def make_dict(context: RenderContext, *flat: Any) -> dict[Any, Any]:
    """A mapping literal; `flat` alternates key and value."""
    made = {check_key(key): value for key, value in zip(flat[::2], flat[1::2], strict=True)}
    context.weigh(made, what="a mapping")
    return made


def cut(context: RenderContext, value: Any, start: Any, stop: Any, step: Any) -> Any:
    """`value[start:stop:step]`."""
    if not isinstance(value, str | list | tuple):
        refuse_stray(value, what="a slice")
    span = slice(start, stop, step)
    length = len(range(*span.indices(len(value))))
    if isinstance(value, str):
        context.claim(length, what="a slice")
    else:
        context.claim_items(length, what="a slice")
    return value[span]


def count_up(context: RenderContext, first: Any, stop: Any = None, step: Any = 1) -> list[int]:
    """`range(…)`, as a list."""
    numbers = range(first) if stop is None else range(first, stop, step)
    for bound in (numbers.start, numbers.stop, numbers.step):
        checked(bound)
    context.claim_items(len(numbers), what="`range`")
    return list(numbers)


def make_namespace(_: RenderContext, _first: None, **values: Any) -> Namespace:
    """`namespace(…)`: the one thing a loop can write to."""
    return Namespace(**values)


def loop_cycle(context: RenderContext, loop: LoopContext, *values: Any) -> Any:
    """`loop.cycle(…)`."""
    context.spend(len(values))
    return loop.cycle(*values)


_ALL: dict[str, Callable[..., Any]] = {
    "for": each,
    "macro": enter_macro,
    "~": concat,
    "+": add,
    "*": multiply,
    "**": power,
    "-": _plain("-", operator.sub),
    "/": _plain("/", operator.truediv),
    "//": _plain("//", operator.floordiv),
    "%": _plain("%", operator.mod),
    "compare": compare,
    "[]": make_list,
    "()": make_tuple,
    "{}": make_dict,
    "[:]": cut,
    "range()": count_up,
    "namespace()": make_namespace,
    "loop.cycle()": loop_cycle,
}

OPERATORS = {name: pass_context(work) for name, work in _ALL.items()}
