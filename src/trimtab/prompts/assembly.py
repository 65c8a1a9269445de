"""A version's templates with their fragments inlined, metered and compiled."""

import re
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType

import msgspec
from jinja2 import Template, nodes
from jinja2 import TemplateError as JinjaError

from trimtab.errors import TemplateBudgetExceeded, TemplateError
from trimtab.prompts.budget import ParsedTemplate, parse_template, shortened
from trimtab.prompts.limits import Limits
from trimtab.prompts.sandbox.context import RenderContext
from trimtab.prompts.sandbox.environment import SANDBOX
from trimtab.prompts.sandbox.grammar import tree_size
from trimtab.prompts.sandbox.metering import Metering
from trimtab.prompts.version import Version

_MANGLED = re.compile(r"\b_[0-9]+_(\w+)")  # a macro's name as `Metering` writes it
_LINES = 1 << 20  # a node's line says its template too: unit * _LINES + line


# What evaluating an expression over data can raise.
_RUNTIME_ERRORS = (
    JinjaError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
)


class TemplateProgram:
    """One compiled template, every include already in it.

    Attributes:
        where: What errors call it.
        text: Its output, when that is the same for all values; else None.
    """

    def __init__(self, tree: nodes.Template, *, where: str, units: list[str]) -> None:
        self.where = where
        self.text = _constant_text(tree)
        self._units = units
        self._filename = f"<{where}>"
        if self.text is not None:
            return
        try:
            code = SANDBOX.compile(tree, filename=self._filename)
            self._template = Template.from_code(SANDBOX, code, {})
        except (RecursionError, MemoryError) as error:
            raise TemplateBudgetExceeded(f"{where}: too complex to compile: {error}") from error
        except (SyntaxError, ValueError, JinjaError) as error:  # a name given twice, for one
            raise TemplateError(f"{where}: cannot be compiled: {shortened(error)}") from error
        self._pieces: Callable[[RenderContext], Iterator[str]] = self._template.root_render_func

    def render(self, context: RenderContext) -> str:
        """The message's text; takes fuel from the context.

        Raises:
            TemplateBudgetExceeded: The rendering needs more than its limits.
            TemplateError: An expression failed, or a variable is undefined.
        """
        if self.text is not None:
            return self.text
        try:
            return "".join(self._pieces(context))
        except TemplateError as error:
            raise type(error)(f"{self._place(error.__traceback__)}: {error}") from error
        except (RecursionError, MemoryError) as error:
            raise TemplateBudgetExceeded(f"{self.where}: {type(error).__name__}") from error
        except _RUNTIME_ERRORS as error:
            reason = _MANGLED.sub(r"\1", shortened(error))
            raise TemplateError(f"{self._place(error.__traceback__)}: {reason}") from error

    def _place(self, trace: TracebackType | None) -> str:
        """The template and line that the innermost of its own frames stands at."""
        found = 0
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._filename:
                found = self._template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        unit, line = divmod(found, _LINES)
        if unit == 0:
            return f"{self.where}, line {line}"
        return f"{self._units[unit]}, line {line}, included by {self.where}"


class _Unit(msgspec.Struct):
    """One source text of a version: a message's template or a fragment."""

    number: int
    where: str
    parsed: ParsedTemplate
    includes: Mapping[str, str]
    body: list[nodes.Node] | None = None
    extent: "_Extent | None" = None


class _Extent(msgspec.Struct):
    """Size of a template with its includes inlined; `depth` counts levels of include."""

    size: int
    nodes: int
    depth: int


class Assembly:
    """Reads each text of a version once, measures the whole, then puts it together.

    Args:
        version: A prompt.
        fragments: The fragments it includes, and those they include, by sha.
        limits: Caps on source, nodes and depth.
    """

    def __init__(
        self, version: Version, fragments: Mapping[str, Version], *, limits: Limits
    ) -> None:
        self._version = version
        self._fragments = fragments
        self._limits = limits
        self._names = [""]
        self._read: dict[str, _Unit] = {}

    def programs(self, label: str) -> list[TemplateProgram | None]:
        """One program for each entry of the version's messages; None for the place of history.

        Raises:
            TemplateError: A template is outside the language, or a fragment is not there.
            TemplateBudgetExceeded: Sources, nodes or includes go beyond the limits.
        """
        units = [
            None if entry.get("history") else self._message(label, index, entry)
            for index, entry in enumerate(self._version.messages)
        ]
        extents = [self._measure(unit, ()) for unit in units if unit is not None]
        self._check_total(label, sum(e.size for e in extents), sum(e.nodes for e in extents))
        return [None if unit is None else self._program(unit) for unit in units]

    def _message(self, label: str, index: int, entry: Mapping[str, str]) -> _Unit:
        where = f"{label}, message {index} ({entry['role']})"
        return self._unit(0, where, entry["template"], self._version.includes)

    def _unit(self, number: int, where: str, source: str, includes: Mapping[str, str]) -> _Unit:
        parsed = parse_template(source, where=where, limits=self._limits)
        if number:
            for node in _walk(parsed.tree):
                node.lineno += number * _LINES
        return _Unit(number=number, where=where, parsed=parsed, includes=includes)

    def _fragment(self, unit: _Unit, name: str) -> tuple[str, _Unit]:
        """The sha and text that an include names."""
        sha = unit.includes.get(name)
        if sha is None:
            raise TemplateError(f'{unit.where}: no version is recorded for include "{name}"')
        if sha in self._read:
            return sha, self._read[sha]
        version = self._fragments.get(sha)
        if version is None:
            raise TemplateError(f'{unit.where}: the fragment "{name}" ({sha[:12]}) was not given')
        if version.kind != "fragment":
            raise TemplateError(f'{unit.where}: "{name}" is a {version.kind}, not a fragment')
        self._names.append(f'fragment "{name}"')
        source = version.messages[0]["template"] if version.messages else ""
        found = self._unit(len(self._names) - 1, self._names[-1], source, version.includes)
        self._read[sha] = found
        return sha, found

    def _measure(self, unit: _Unit, path: tuple[str, ...]) -> _Extent:
        if unit.extent is not None:
            return unit.extent
        if len(path) > self._limits.include_depth:
            raise TemplateBudgetExceeded(
                f"{unit.where}: includes nest deeper than {self._limits.include_depth} levels"
            )
        extent = _Extent(size=unit.parsed.size, nodes=unit.parsed.nodes, depth=0)
        for name in unit.parsed.includes:
            sha, fragment = self._fragment(unit, name)
            if sha in path:
                raise TemplateError(f'{unit.where}: the include "{name}" leads back to itself')
            inner = self._measure(fragment, (*path, sha))
            extent.size += inner.size
            extent.nodes += inner.nodes
            extent.depth = max(extent.depth, 1 + inner.depth)
        if extent.depth + len(path) > self._limits.include_depth:
            raise TemplateBudgetExceeded(
                f"{unit.where}: includes nest deeper than {self._limits.include_depth} levels"
            )
        unit.extent = extent
        return extent

    def _check_total(self, label: str, size: int, count: int) -> None:
        for what, found, cap in (
            ("bytes of template", size, self._limits.source_bytes),
            ("syntax nodes", count, self._limits.nodes),
        ):
            if found > cap:
                raise TemplateBudgetExceeded(
                    f"{label}: {found} {what} with all includes, the limit is {cap}"
                )

    def _body(self, unit: _Unit) -> list[nodes.Node]:
        """Statements of a unit, metered; fragments are shared between their includers."""
        if unit.body is None:

            def include(name: str) -> list[nodes.Node]:
                return self._body(self._fragment(unit, name)[1])

            Metering(unit=unit.number, include=include).visit(unit.parsed.tree)
            unit.body = unit.parsed.tree.body
        return unit.body

    def _program(self, unit: _Unit) -> TemplateProgram:
        tree = nodes.Template(self._body(unit), lineno=1)
        tree.set_environment(SANDBOX)
        extent = tree_size(tree)
        if extent.blocks > self._limits.block_depth:
            raise TemplateBudgetExceeded(
                f"{unit.where}: blocks nest {extent.blocks} deep with all includes, "
                f"the limit is {self._limits.block_depth}"
            )
        return TemplateProgram(tree, where=unit.where, units=self._names)


def _walk(tree: nodes.Node) -> Iterator[nodes.Node]:
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.iter_child_nodes())


def _constant_text(tree: nodes.Template) -> str | None:
    texts: list[str] = []
    for node in tree.body:
        if not isinstance(node, nodes.Output):
            return None
        for piece in node.nodes:
            if not isinstance(piece, nodes.TemplateData):
                return None
            texts.append(piece.data)
    return "".join(texts)
