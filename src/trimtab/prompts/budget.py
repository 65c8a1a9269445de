"""The static half of the budget: a template's text is measured before anything recursive runs."""

import re
from collections.abc import Iterator

import msgspec
from jinja2 import TemplateSyntaxError, nodes

from trimtab.errors import TemplateBudgetExceeded, TemplateError
from trimtab.prompts.limits import DEFAULT_LIMITS, Limits
from trimtab.prompts.sandbox.environment import SANDBOX
from trimtab.prompts.sandbox.grammar import Grammar, tree_size

_MAX_BRACKETS = 24
_MAX_SIGNS = 8  # `not not not …`, `- - - …`
_MAX_INLINE_ELSE = 24  # `a if b else c if d else …` within one pair of braces
_MAX_NUMBER = 40
_OPENING = frozenset({"(", "[", "{"})
_CLOSING = frozenset({")", "]", "}"})
_SIGNS = frozenset({"+", "-", "not"})
_BLOCK_STARTS = frozenset({"if", "for", "macro", "filter", "with", "call", "block"})
_BLOCK_ENDS = frozenset(f"end{word}" for word in _BLOCK_STARTS)
# Escapes Python's codec knows; it warns about others and about octals above \377.
_BAD_ESCAPE = re.compile(r"\\(?:[^\n\\'\"abfnrtvxNuU0]|0[0-7])")
_IDLE = frozenset({"whitespace", "comment", "comment_begin", "comment_end", "data"})


class ParsedTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """A template whose syntax and size are within the language.

    Attributes:
        tree: Its syntax tree.
        nodes: How many nodes that has.
        size: UTF-8 bytes of the source.
        includes: Names it includes, in order, repeated when written repeatedly.
    """

    tree: nodes.Template
    nodes: int
    size: int
    includes: tuple[str, ...]


def parse_template(source: str, *, where: str, limits: Limits = DEFAULT_LIMITS) -> ParsedTemplate:
    """The checked syntax tree of a template.

    Args:
        source: The template.
        where: Named first in errors, before the line.
        limits: Caps on source, nodes and depth.

    Raises:
        TemplateError: The syntax is wrong or outside the language.
        TemplateBudgetExceeded: It is too long, or nests too deeply.
    """
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        raise TemplateError(f"{where}: half of a surrogate pair at {error.start}") from error
    if size > limits.source_bytes:
        raise TemplateBudgetExceeded(
            f"{where}: the template has {size} bytes, the limit is {limits.source_bytes}"
        )
    tree = _parse(source, where=where, limits=limits)
    extent = tree_size(tree)
    extent.check(limits, where=where)
    grammar = Grammar(where=where)
    grammar.visit(tree)
    return ParsedTemplate(
        tree=tree, nodes=extent.nodes, size=size, includes=tuple(grammar.includes)
    )


def check_template(source: str, *, name: str) -> None:
    """Refuses a template that could never be compiled within the default limits.

    Args:
        source: The template.
        name: What it is called in errors: "message 0 (system)".

    Raises:
        TemplateError: The syntax is wrong or outside the language.
        TemplateBudgetExceeded: It is too long, or nests too deeply.
    """
    parse_template(source, where=name)


def shortened(error: Exception) -> str:
    """What an error of Jinja or Python says; it can quote a whole template."""
    text = error.message if isinstance(error, TemplateSyntaxError) else str(error)
    return f"{text}"[:300]


def _parse(source: str, *, where: str, limits: Limits) -> nodes.Template:
    try:
        _scan(source, where=where, limits=limits)
        return SANDBOX.parse(source)
    except TemplateSyntaxError as error:
        raise TemplateError(f"{where}, line {error.lineno}: {shortened(error)}") from error
    except (RecursionError, MemoryError, ValueError, OverflowError) as error:
        raise TemplateBudgetExceeded(f"{where}: too complex to read: {shortened(error)}") from error


def _scan(source: str, *, where: str, limits: Limits) -> None:
    """Counts tokens and nesting, so that the recursive parser meets nothing deep."""
    brackets = blocks = signs = elses = 0
    for tokens, (line, kind, text) in enumerate(_tokens(source), start=1):
        signs = signs + 1 if text in _SIGNS and kind in ("operator", "name") else 0
        if kind in ("variable_begin", "block_begin"):
            elses = 0
        elif kind == "operator":
            brackets += (text in _OPENING) - (text in _CLOSING)
        elif kind == "name":
            elses += text == "else"
        elif kind == "opening":
            blocks += 1
        elif kind == "closing":
            blocks -= 1
        else:
            _check_literal(kind, text, where=f"{where}, line {line}")
        for what, count, cap in (
            ("tokens", tokens, 2 * limits.nodes),
            ("nested brackets", brackets, _MAX_BRACKETS),
            ("nested blocks", blocks, limits.block_depth),
            ("signs in a row", signs, _MAX_SIGNS),
            ("inline `else` in one expression", elses, _MAX_INLINE_ELSE),
        ):
            if count > cap:
                raise TemplateBudgetExceeded(f"{where}, line {line}: more than {cap} {what}")


def _tokens(source: str) -> Iterator[tuple[int, str, str]]:
    """Jinja's tokens without white space; the word after `{%` becomes opening or closing."""
    at_start = False
    for line, kind, text in SANDBOX.lex(source):
        if kind in _IDLE:
            continue
        if at_start and kind == "name" and text in _BLOCK_STARTS:
            yield line, "opening", text
        elif at_start and kind == "name" and text in _BLOCK_ENDS:
            yield line, "closing", text
        else:
            yield line, kind, text
        at_start = kind == "block_begin"


def _check_literal(kind: str, text: str, *, where: str) -> None:
    if kind in ("integer", "float") and len(text) > _MAX_NUMBER:
        raise TemplateBudgetExceeded(f"{where}: a number of {len(text)} characters")
    if kind == "string" and (match := _BAD_ESCAPE.search(_without_pairs(text))):
        raise TemplateError(
            f"{where}: the escape {match.group()!r} is not known; a backslash is written twice"
        )


def _without_pairs(text: str) -> str:
    return text.replace("\\\\", "")
