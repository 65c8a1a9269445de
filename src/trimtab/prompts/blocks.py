"""Message blocks: a file's body cut at its `message` and `history` tags.

The tags stand at the top level only. Jinja's own lexer finds them, so that one in a comment, in
`{% raw %}` or in a string is text. A template loses one line end after its opening tag and one
before its closing tag; with white-space control the tag decides as it does in Jinja: `-` on the
inner side (`{% message role="user" -%}`, `{%- endmessage %}`) strips all white space there, `+`
keeps all of it. On the outer side of a block there is nothing to strip.
"""

import bisect
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NoReturn

import msgspec
from jinja2 import Environment, TemplateSyntaxError

from trimtab.errors import PromptFileError
from trimtab.prompts.shape import ROLES
from trimtab.prompts.text import normal_template

_LEXER = Environment(keep_trailing_newline=True, autoescape=False).lexer  # noqa: S701 - not HTML

_OWN = ("message", "endmessage", "history")
_OPENERS = ("if", "for", "macro", "call", "filter", "with", "block", "autoescape")
_SPACE = re.compile(r"\s+")

Kind = Literal["message", "history", "text"]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One message (role and template), the place of history, or the text of a body without blocks.

    `line` is the line in the file on which the template begins.
    """

    kind: Kind
    line: int
    role: str = ""
    template: str = ""


class _Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A `{% … %}` tag: its place in the source, its words, and its signs of white-space control."""

    start: int
    end: int
    line: int
    words: tuple[str, ...]
    opens: str
    closes: str

    @property
    def name(self) -> str:
        return self.words[0] if self.words else ""


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not a tag and that a model or the renderer would see."""

    start: int
    line: int
    text: str


def cut_blocks(body: str, *, where: str, first_line: int = 1) -> list[Block]:
    """The blocks of a body in order; one of kind `text` when it has none.

    Args:
        body: The text after the front matter, with LF line ends.
        where: What errors call the file.
        first_line: Line of the file on which the body begins.

    Raises:
        PromptFileError: A tag is malformed, unclosed, nested, or not at the top level; something
            stands between blocks; a role is unknown. Names the line in the file.
    """
    cutter = _Cutter(body, where=where, first_line=first_line)
    items = cutter.items()
    if not any(isinstance(item, _Tag) and item.name in _OWN for item in items):
        text = body.removesuffix("\n")
        return [Block(kind="text", line=first_line, template=normal_template(text))]
    return list(cutter.blocks(items))


class _Cutter:
    def __init__(self, body: str, *, where: str, first_line: int) -> None:
        self._body = body
        self._where = where
        self._first_line = first_line
        self._line_ends = [found.start() for found in re.finditer("\n", body)]

    def items(self) -> list[_Tag | _Content]:
        """Tags and contents in order; comments and white space are left out."""
        found: list[_Tag | _Content] = []
        pending: list[tuple[int, str, str]] | None = None
        for start, kind, value in self._tokens():
            if pending is not None:
                pending.append((start, kind, value))
                if kind == "block_end":
                    found.append(self._tag(pending))
                    pending = None
            elif kind == "block_begin":
                pending = [(start, kind, value)]
            elif kind in ("variable_begin", "raw_begin") or (kind == "data" and value.strip()):
                at = start + len(value) - len(value.lstrip())
                found.append(_Content(start=at, line=self._line(at), text=value.strip()))
        if pending is not None:
            self._fail(self._line(pending[0][0]), "a tag is opened by {% and not closed by %}")
        return found

    def blocks(self, items: Sequence[_Tag | _Content]) -> Iterator[Block]:
        """The message and history blocks that the items make."""
        opened: _Tag | None = None
        history: _Tag | None = None
        for index, item in enumerate(items):
            own = isinstance(item, _Tag) and item.name in _OWN
            if opened is None and not own:
                self._stray(item, items[index + 1 :])
            if not isinstance(item, _Tag) or not own:
                continue
            if opened is not None:
                if item.name != "endmessage":
                    self._nested(item, opened)
                yield self._message(opened, item)
                opened = None
            elif item.name == "message":
                opened = item
            elif item.name == "history":
                history = self._history(item, history)
                yield Block(kind="history", line=item.line)
            else:
                self._fail(item.line, "{% endmessage %} closes nothing; no message is open")
        if opened is not None:
            self._fail(opened.line, "{% message %} is never closed; add {% endmessage %}")

    def _tokens(self) -> Iterator[tuple[int, str, str]]:
        """Tokens with the place where each begins; the lexer drops white space before `{%-`."""
        place = 0
        try:
            for _, kind, value in _LEXER.tokeniter(self._body, None):
                if not self._body.startswith(value, place):
                    skipped = _SPACE.match(self._body, place)
                    place = skipped.end() if skipped else place
                yield place, kind, value
                place += len(value)
        except TemplateSyntaxError as error:
            self._fail(self._first_line + error.lineno - 1, f"not a template: {error.message}")

    def _tag(self, tokens: Sequence[tuple[int, str, str]]) -> _Tag:
        start, _, opening = tokens[0]
        end, _, closing = tokens[-1]
        words = tuple(value for _, kind, value in tokens[1:-1] if kind != "whitespace")
        return _Tag(
            start=start,
            end=end + len(closing),
            line=self._line(start),
            words=words,
            opens=opening[2:],
            closes=closing[: closing.index("%")],
        )

    def _message(self, opened: _Tag, closed: _Tag) -> Block:
        role = self._role(opened)
        if closed.words != ("endmessage",):
            self._fail(closed.line, "{% endmessage %} takes nothing")
        start, end = opened.end, closed.start
        if not opened.closes and self._body.startswith("\n", start):
            start += 1
        text = self._body[start:end]
        if closed.opens == "-":
            text = text.rstrip()
        elif not closed.opens:
            text = text.removesuffix("\n")
        line = self._line(start)
        return Block(kind="message", line=line, role=role, template=normal_template(text))

    def _role(self, tag: _Tag) -> str:
        match tag.words:
            case ("message", "role", "=", quoted) if quoted[0] in "\"'":
                role = quoted[1:-1]
            case _:
                self._fail(tag.line, f'{self._show(tag)}: write {{% message role="user" %}}')
        if role not in ROLES:
            self._fail(tag.line, f'role "{role}" is not one of {", ".join(ROLES)}')
        return role

    def _history(self, tag: _Tag, earlier: _Tag | None) -> _Tag:
        if tag.words != ("history",):
            self._fail(tag.line, "{% history %} takes nothing")
        if earlier is not None:
            self._fail(tag.line, f"{{% history %}} stands on line {earlier.line} already")
        return tag

    def _nested(self, tag: _Tag, opened: _Tag) -> NoReturn:
        self._fail(
            tag.line,
            f"{{% {tag.name} %}} stands inside the message of line {opened.line}; "
            "close that one by {% endmessage %} first",
        )

    def _stray(self, item: _Tag | _Content, later: Sequence[_Tag | _Content]) -> NoReturn:
        """Say why something between blocks cannot stand there."""
        if isinstance(item, _Content):
            self._fail(
                item.line, f'"{item.text[:40]}" stands outside the message blocks; move it in'
            )
        tags = [other for other in later if isinstance(other, _Tag)]
        inside = itertools.takewhile(lambda tag: tag.name != f"end{item.name}", tags)
        if item.name in _OPENERS and (own := next((t for t in inside if t.name in _OWN), None)):
            self._fail(
                own.line,
                f"{{% {own.name} %}} stands inside {{% {item.name} %}} of line {item.line}; "
                "blocks stand at the top level, put the logic into the message",
            )
        self._fail(item.line, f"{self._show(item)} stands outside the message blocks; move it in")

    def _show(self, tag: _Tag) -> str:
        return self._body[tag.start : tag.end].strip()[:60]

    def _line(self, place: int) -> int:
        return self._first_line + bisect.bisect_left(self._line_ends, place)

    def _fail(self, line: int, reason: str) -> NoReturn:
        raise PromptFileError(f"{self._where}, line {line}: {reason}", path=self._where, line=line)
