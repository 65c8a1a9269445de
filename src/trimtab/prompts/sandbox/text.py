"""Filters and methods that make text from text."""

import json
import re
import textwrap
from collections.abc import Callable
from typing import Any

from jinja2.runtime import Undefined

from trimtab.errors import TemplateBudgetExceeded, TemplateError
from trimtab.prompts.sandbox.context import RenderContext, refuse_stray
from trimtab.prompts.sandbox.operators import NUMBERS, checked, pay_search

# ruff: noqa: ANN401  # a filter takes every kind of data and checks it inside

_WORD_START = re.compile(r"([-\s({\[<]+)")
_MAX_STRIP_CHARS = 64  # stripping costs one search in them per character
# What `textwrap` breaks lines at; other white space stands inside its words.
_ASCII_SPACE = re.compile(r"[\t\n\x0b\x0c\r ]+")
_MAX_WRAP_STRING = 8
_MAX_DIGITS = 15  # beyond it a float holds nothing
_CONVERSION = re.compile(r"%(?:(%)|([-+ #0]{0,5})(\d{0,3})(?:\.(\d{1,2}))?([sdifeEgGxX])|)")
_TRUNCATE_LEEWAY = 5  # Jinja's own default


def cased(name: str, change: Callable[[str], str]) -> Callable[..., str]:
    """A filter that changes letters; one character can become three ("ΐ".upper())."""

    def apply(context: RenderContext, value: Any) -> str:
        text = context.text(value)
        if text.isascii():
            context.claim(len(text), what=f"`{name}`")
            return change(text)
        context.spend(len(text))
        changed = change(text)
        context.claim(len(changed), what=f"`{name}`")
        return changed

    return apply


def _title(text: str) -> str:
    return "".join(word[0].upper() + word[1:].lower() for word in _WORD_START.split(text) if word)


def trimmed(name: str, strip: Callable[[str, str | None], str]) -> Callable[..., str]:
    """A filter that takes characters off the ends."""

    def apply(context: RenderContext, value: Any, chars: str | None = None) -> str:
        text = context.text(value)
        if chars is not None and len(chars) > _MAX_STRIP_CHARS:
            raise TemplateBudgetExceeded(f"`{name}` strips at most {_MAX_STRIP_CHARS} characters")
        context.spend(len(text) * (1 + len(chars or "")) >> 3)
        return strip(text, chars)

    return apply


def replace(
    context: RenderContext, value: Any, old: Any, new: Any, count: int | None = None
) -> str:
    """The text with `old` replaced, the first `count` times if given."""
    text, old, new = context.text(value), context.text(old), context.text(new)
    pay_search(context, text, old)
    times = text.count(old) if count is None or count < 0 else min(text.count(old), count)
    context.claim(len(text) + times * (len(new) - len(old)), what="`replace`")
    return text.replace(old, new, times)


def indent(
    context: RenderContext,
    value: Any,
    width: int | str = 4,
    first: bool = False,  # noqa: FBT001, FBT002  # Jinja's own signature
    blank: bool = False,  # noqa: FBT001, FBT002
) -> str:
    """The text with its lines indented, all but the first unless said."""
    text = context.text(value)
    step = len(width) if isinstance(width, str) else width
    context.spend(len(text) >> 1)
    lines = (text + "\n").splitlines()
    context.claim(len(text) + len(lines) * max(step, 0), what="`indent`")
    margin = width if isinstance(width, str) else " " * width
    rest = [margin + line if line or blank else line for line in lines[1:]]
    return (margin if first else "") + "\n".join([lines[0], *rest])


def center(context: RenderContext, value: Any, width: int = 80) -> str:
    """The text between spaces."""
    text = context.text(value)
    context.claim(max(len(text), width), what="`center`")
    return text.center(width)


def truncate(  # noqa: PLR0917  # Jinja's own signature, as of the filters below
    context: RenderContext,
    value: Any,
    length: int = 255,
    killwords: bool = False,  # noqa: FBT001, FBT002
    end: str = "...",
    leeway: int = _TRUNCATE_LEEWAY,
) -> str:
    """The text cut to `length` characters, `end` included; up to `leeway` more are let pass."""
    text = context.text(value)
    if length < len(end) or leeway < 0:
        raise TemplateError(f"`truncate` to {length} leaves no room for its end {end[:20]!r}")
    context.claim(min(len(text), length + leeway), what="`truncate`")
    if len(text) <= length + leeway:
        return text
    kept = text[: length - len(end)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + end


def wordwrap(  # noqa: PLR0917
    context: RenderContext,
    value: Any,
    width: int = 79,
    break_long_words: bool = True,  # noqa: FBT001, FBT002
    wrapstring: str = "\n",
    break_on_hyphens: bool = True,  # noqa: FBT001, FBT002
) -> str:
    """The text broken into lines of at most `width` characters."""
    text = context.text(value)
    if len(wrapstring) > _MAX_WRAP_STRING:
        raise TemplateBudgetExceeded(f"`wordwrap` joins with at most {_MAX_WRAP_STRING} characters")
    # textwrap looks at each character a few times, and copies a long word once per line of it.
    longest = max(map(len, _ASCII_SPACE.split(text)), default=0)
    context.spend(16 * len(text) + longest * longest // max(width, 1) // 64)
    wrapped = (
        textwrap.wrap(
            line,
            width=width,
            expand_tabs=False,
            replace_whitespace=False,
            break_long_words=break_long_words,
            break_on_hyphens=break_on_hyphens,
        )
        for line in text.splitlines()
    )
    joined = wrapstring.join([wrapstring.join(lines) for lines in wrapped])
    context.claim(len(joined), what="`wordwrap`")
    return joined


def tojson(context: RenderContext, value: Any, indent: int | None = None) -> str:
    """The value as JSON: keys in their order, nothing escaped that JSON does not escape."""
    if indent is not None and not 0 <= indent <= 8:
        raise TemplateBudgetExceeded(f"`tojson` indents by 0 to 8, not {str(indent)[:30]}")
    needed = context.weigh(value, what="`tojson`")
    if indent is not None:  # json writes indented text in Python, not in C
        context.spend(needed >> 2)
        needed += context.limits.value_depth * indent * needed // 24
    if needed > 16 * context.limits.text_chars:  # an upper bound; the exact length is claimed
        context.claim(needed, what="`tojson`")
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise TemplateError("`tojson` met NaN or infinity, which JSON does not have") from error
    context.claim(len(text), what="`tojson`")
    return text


def printf(context: RenderContext, value: Any, *arguments: Any) -> str:
    """`"%.2f of %s"|format(a, b)`: the numbered printf conversions, widths up to 999."""
    pattern = context.text(value)
    given = iter(arguments)
    needed = len(pattern)
    for match in _CONVERSION.finditer(pattern):
        percent, _, width, _, kind = match.groups()
        if percent:
            continue
        if kind is None:
            raise TemplateBudgetExceeded(
                f"`format` takes %s %d %f %e %g %x with a width up to 999 and up to 99 places, "
                f"not {pattern[match.start() : match.start() + 20]!r}"
            )
        argument = next(given, None)
        size = len(context.text(argument)) if kind == "s" else 420  # 1e308 with 99 places
        needed += max(size, int(width or 0))
    context.claim(needed, what="`format`")
    printable = tuple(context.text(a) if isinstance(a, list | dict) else a for a in arguments)
    for argument in printable:
        if isinstance(argument, Undefined):
            refuse_stray(argument, what="`format`")
    return pattern % printable


def to_integer(_: RenderContext, value: Any, default: Any = 0, base: int = 10) -> Any:
    """The value as an integer, or `default`.

    Raises:
        TemplateBudgetExceeded: It has more than 64 bits.
    """
    if isinstance(value, Undefined):
        refuse_stray(value, what="`int`")
    if isinstance(value, str) and len(value) > 64:
        raise TemplateBudgetExceeded(f"`int` reads at most 64 characters, not {len(value)}")
    try:
        return checked(int(value, base) if isinstance(value, str) else int(value))
    except (TypeError, ValueError, OverflowError):
        pass
    try:
        return checked(int(float(value)))
    except (TypeError, ValueError, OverflowError):
        return default


def to_float(_: RenderContext, value: Any, default: Any = 0.0) -> Any:
    """The value as a float, or `default`."""
    if isinstance(value, Undefined):
        refuse_stray(value, what="`float`")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return default


def rounded(_: RenderContext, value: Any, precision: int = 0, method: str = "common") -> Any:
    """The number rounded to `precision` places; `method` is common, ceil or floor."""
    if method not in ("common", "ceil", "floor"):
        raise TemplateError(f"`round` knows common, ceil and floor, not {str(method)[:30]!r}")
    if not isinstance(value, NUMBERS):
        refuse_stray(value, what="`round`")
    if not -_MAX_DIGITS <= precision <= _MAX_DIGITS:
        raise TemplateBudgetExceeded(f"`round` takes -15 to 15 places, not {str(precision)[:30]}")
    if method == "common":
        return round(value, precision)
    import math

    factor = 10**precision
    return getattr(math, method)(value * factor) / factor


def absolute(_: RenderContext, value: Any) -> Any:
    """The number without its sign."""
    if not isinstance(value, NUMBERS):
        refuse_stray(value, what="`abs`")
    return abs(value)


def default_to(_: RenderContext, value: Any, fallback: Any = "", boolean: bool = False) -> Any:  # noqa: FBT001, FBT002
    """The value, or `fallback` where it is undefined (or false, if `boolean`)."""
    if isinstance(value, Undefined) or (boolean and not value):
        return fallback
    return value


def as_text(context: RenderContext, value: Any) -> str:
    """The value as printed."""
    return context.text(value)


upper = cased("upper", str.upper)
lower = cased("lower", str.lower)
title = cased("title", _title)
capitalize = cased("capitalize", str.capitalize)
trim = trimmed("trim", str.strip)

TEXT_FILTERS: dict[str, Callable[..., Any]] = {
    "abs": absolute,
    "capitalize": capitalize,
    "center": center,
    "d": default_to,
    "default": default_to,
    "float": to_float,
    "format": printf,
    "indent": indent,
    "int": to_integer,
    "lower": lower,
    "replace": replace,
    "round": rounded,
    "string": as_text,
    "title": title,
    "tojson": tojson,
    "trim": trim,
    "truncate": truncate,
    "upper": upper,
    "wordwrap": wordwrap,
}
