"""What a template uses: the fragments it includes and the variables it reads from outside."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec
from jinja2 import TemplateSyntaxError, nodes

from trimtab.errors import PromptFileError, TemplateError
from trimtab.prompts.budget import ParsedTemplate, parse_template
from trimtab.prompts.limits import DEFAULT_LIMITS

FUNCTIONS = frozenset({"range", "namespace"})
"""Names every template has without declaring them."""

MAX_DEPTH = 8
"""Fragments inside fragments: contract of the prompt files."""

_N = TypeVar("_N", bound=nodes.Node)
_PLACE = re.compile(r", line ([0-9]+): ")


class Include(msgspec.Struct, frozen=True, kw_only=True):
    """One `{% include %}`: the name as written, and its line."""

    name: str
    line: int


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A variable read from outside, where it is read first.

    `via` are the included names that lead there; `line` is then the first include's.
    """

    name: str
    line: int
    via: tuple[str, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Includes and outer variables of a template, by line.

    `refused` says why the template can never be compiled (outside the language, beyond the budget);
    then nothing else is known of it.
    """

    includes: tuple[Include, ...] = ()
    variables: tuple[Use, ...] = ()
    refused: str = ""
    refused_line: int = 1


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A fragment's text; `key` tells fragments apart that have the same name."""

    key: str
    template: str


Finder = Callable[[str, str], Source | None]
"""Which fragment an owner (its key) means by a name; None where there is none."""


def template_usage(
    template: str, *, where: str, first_line: int = 1, owner: str = "", find: Finder | None = None
) -> Usage:
    """What a template uses, by the scoping rules of the template language.

    A variable bound by `set`, `for`, `with` or a macro is not from outside where it is bound; one
    that only some branches of an `if` set is.

    Args:
        template: The text.
        where: What errors call the file.
        first_line: Line of the file on which the template begins.
        owner: Key handed to `find` for includes of this template itself.
        find: With it, variables read by included fragments count too, in the scope of the include.

    Raises:
        PromptFileError: A syntax error, with its line in the file and Jinja's own words.
    """
    try:
        tree = parse_template(template, where=where).tree
    except TemplateError as error:
        line, reason = _place(error, where=where, first_line=first_line)
        if isinstance(error.__cause__, TemplateSyntaxError):
            raise PromptFileError(
                f"{where}, line {line}: not a template: {reason}",
                path=where,
                line=line,
                rule="template",
            ) from error
        return Usage(refused=reason, refused_line=line)
    walk = _Walk(first_line=first_line, owner=owner, find=find)
    walk.body(tree.body, set())
    uses = sorted(walk.uses.values(), key=lambda use: (use.line, use.name))
    return Usage(includes=tuple(walk.includes), variables=tuple(uses))


def _place(error: TemplateError, *, where: str, first_line: int) -> tuple[int, str]:
    """Line in the file and reason of an error that names a line of the template."""
    text = str(error).removeprefix(where)
    found = _PLACE.match(text)
    if found is None:
        return first_line, text.removeprefix(": ")
    return first_line + int(found[1]) - 1, text[found.end() :]


class _Walk:
    """One pass over a tree and the fragments it includes; `bound` is the scope as it grows."""

    def __init__(self, *, first_line: int, owner: str, find: Finder | None) -> None:
        self.includes: list[Include] = []
        self.uses: dict[str, Use] = {}
        self._first_line = first_line
        self._owner = owner
        self._find = find
        self._via: tuple[str, ...] = ()
        self._include_line = 0
        self._nodes = 0
        self._parsed: dict[str, ParsedTemplate | None] = {}

    def body(self, statements: Iterable[nodes.Node], bound: set[str]) -> None:
        for statement in statements:
            self._statement(statement, bound)

    def _statement(self, node: nodes.Node, bound: set[str]) -> None:
        match node:
            case nodes.For():
                self._for(node, bound)
            case nodes.If():
                self._if(node, bound)
            case nodes.Assign():
                self._expressions([node.node], bound)
                self._bind(node.target, bound)
            case nodes.AssignBlock():
                self._block(node.filter, node.body, bound)
                self._bind(node.target, bound)
            case nodes.FilterBlock():
                self._block(node.filter, node.body, bound)
            case nodes.With():
                self._expressions(node.values, bound)
                self.body(node.body, bound.union(*map(_names, node.targets)))
            case nodes.Include():
                self._include(node, bound)
            case nodes.Macro():
                bound.add(node.name)
                inside = bound | {argument.name for argument in node.args}
                self._expressions(node.defaults, inside)
                self.body(node.body, inside)
            case _:
                self._expressions(node.iter_child_nodes(), bound)

    def _for(self, node: nodes.For, bound: set[str]) -> None:
        self._expressions([node.iter], bound)
        inside = bound | _names(node.target) | {"loop"}
        if node.test is not None:
            self._expressions([node.test], inside)
        self.body(node.body, inside)
        self.body(node.else_, set(bound))

    def _if(self, node: nodes.If, bound: set[str]) -> None:
        """A name is bound afterwards only if every branch binds it."""
        branches: list[set[str]] = []
        for branch in (node, *node.elif_):
            self._expressions([branch.test], bound)
            branches.append(set(bound))
            self.body(branch.body, branches[-1])
        branches.append(set(bound))
        self.body(node.else_, branches[-1])
        bound |= set.intersection(*branches)

    def _block(
        self, filters: nodes.Expr | None, body: Sequence[nodes.Node], bound: set[str]
    ) -> None:
        if filters is not None:
            self._expressions([filters], bound)
        self.body(body, set(bound))

    def _bind(self, target: nodes.Node, bound: set[str]) -> None:
        for reference in _find_all(target, nodes.NSRef):
            self._use(reference.name, reference.lineno, bound)
        bound |= _names(target)

    def _include(self, node: nodes.Include, bound: set[str]) -> None:
        name = str(getattr(node.template, "value", ""))
        line = self._line(node.lineno)
        if not self._via:
            self.includes.append(Include(line=line, name=name))
        if self._find is None or len(self._via) >= MAX_DEPTH:
            return
        if (found := self._find(self._owner, name)) is not None:
            self._enter(found, name, line, bound)

    def _enter(self, found: Source, name: str, line: int, bound: set[str]) -> None:
        """Walk a fragment in the scope of its include: its text is inlined there."""
        if (parsed := self._read(found, name)) is None:
            return
        self._nodes += parsed.nodes
        if self._nodes > DEFAULT_LIMITS.nodes:
            return  # no version may be so large; what the fragments before it read is known
        before = self._via, self._owner, self._include_line
        self._via, self._owner, self._include_line = (*self._via, name), found.key, line
        self.body(parsed.tree.body, bound)
        self._via, self._owner, self._include_line = before

    def _read(self, found: Source, name: str) -> ParsedTemplate | None:
        """The fragment's tree; None for one that is refused, which its own file tells."""
        if found.key not in self._parsed:
            try:
                self._parsed[found.key] = parse_template(found.template, where=name)
            except TemplateError:
                self._parsed[found.key] = None
        return self._parsed[found.key]

    def _expressions(self, expressions: Iterable[nodes.Node], bound: set[str]) -> None:
        pending = list(expressions)
        while pending:
            node = pending.pop()
            if isinstance(node, nodes.Name):
                self._use(node.name, node.lineno, bound)
            pending.extend(node.iter_child_nodes())

    def _use(self, name: str, lineno: int, bound: set[str]) -> None:
        if name in bound:
            return
        use = Use(name=name, line=self._line(lineno), via=self._via)
        earlier = self.uses.get(name)
        if earlier is None or use.line < earlier.line:
            self.uses[name] = use

    def _line(self, lineno: int) -> int:
        return self._include_line if self._via else self._first_line + lineno - 1


def _names(target: nodes.Node) -> set[str]:
    return {name.name for name in _find_all(target, nodes.Name)}


def _find_all(node: nodes.Node, kind: type[_N]) -> list[_N]:
    own = [node] if isinstance(node, kind) else []
    return [*own, *node.find_all(kind)]
