"""What may be written in a template: a whitelist, checked on the syntax tree before compiling."""

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
from jinja2 import nodes
from jinja2.visitor import NodeVisitor

from trimtab.errors import TemplateBudgetExceeded, TemplateError
from trimtab.prompts.limits import Limits
from trimtab.prompts.sandbox.lists import FILTERS
from trimtab.prompts.sandbox.methods import METHODS
from trimtab.prompts.sandbox.predicates import PREDICATES
from trimtab.prompts.sandbox.size import MAX_INTEGER

# Any: Jinja's visitor passes and returns anything.
# ruff: noqa: ANN401, N802

BLOCKS = (nodes.If, nodes.For, nodes.Macro, nodes.AssignBlock, nodes.FilterBlock, nodes.With)
_STATEMENTS = (
    *BLOCKS,
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Assign,
    nodes.Include,
)
_EXPRESSIONS = (
    nodes.Name,
    nodes.NSRef,
    nodes.Const,
    nodes.Tuple,
    nodes.List,
    nodes.Dict,
    nodes.Pair,
    nodes.Keyword,
    nodes.Filter,
    nodes.Test,
    nodes.Call,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Slice,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.Concat,
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow),
    *(nodes.Neg, nodes.Pos, nodes.Not, nodes.And, nodes.Or),
)
_ALLOWED = frozenset((*_STATEMENTS, *_EXPRESSIONS))

GLOBALS = frozenset({"range", "namespace"})
LOOP_FACTS = frozenset(
    {"index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem"}
)
_RESERVED = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop", *GLOBALS})
_MAX_ELIF = 64
_MAX_MACROS = 64

_INSTEAD = {
    "Extends": "`extends`: use include and message blocks",
    "Block": "`block`: use include",
    "Import": "`import`: use include",
    "FromImport": "`from … import`: use include",
    "CallBlock": "`call`",
    "ScopedEvalContextModifier": "`autoescape`: nothing is escaped in a prompt",
    "EvalContextModifier": "`autoescape`: nothing is escaped in a prompt",
    "Scope": "`autoescape`: nothing is escaped in a prompt",  # what the parser puts around it
}


class TreeSize(msgspec.Struct):
    """How large a syntax tree is, counted without recursion.

    Attributes:
        nodes: All nodes.
        expressions: Deepest nesting of one expression.
        blocks: Deepest nesting of blocks.
        line: The line at which it is deepest.
    """

    nodes: int = 0
    expressions: int = 0
    blocks: int = 0
    line: int = 1

    def check(self, limits: Limits, *, where: str) -> None:
        """Refuses a tree on which recursive work could fail.

        Raises:
            TemplateBudgetExceeded: Expressions or blocks nest too deeply, or nodes are too many.
        """
        for what, found, cap in (
            ("nested expressions", self.expressions, limits.expression_depth),
            ("nested blocks", self.blocks, limits.block_depth),
            ("syntax nodes", self.nodes, limits.nodes),
        ):
            if found > cap:
                raise TemplateBudgetExceeded(
                    f"{where}, line {self.line}: {found} {what}, the limit is {cap}"
                )


def tree_size(tree: nodes.Node) -> TreeSize:
    """Nodes and nesting of a syntax tree of any depth."""
    size = TreeSize()
    stack: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    while stack:
        node, expression, block = stack.pop()
        size.nodes += 1
        if isinstance(node, nodes.Expr | nodes.Helper):
            expression += 1
        elif isinstance(node, BLOCKS):
            block, expression = block + 1, 0
        if expression > size.expressions or block > size.blocks:
            size.line = node.lineno
        size.expressions = max(size.expressions, expression)
        size.blocks = max(size.blocks, block)
        stack.extend((child, expression, block) for child in node.iter_child_nodes())
    return size


class Grammar(NodeVisitor):
    """Visits a tree of bounded depth and refuses what is not in the language.

    Attributes:
        includes: Names of `{% include %}` in order of appearance.
    """

    def __init__(self, *, where: str) -> None:
        self.includes: list[str] = []
        self._where = where
        self._macros: set[str] = set()
        self._loops = 0
        self._blocks = 0

    def refuse(self, node: nodes.Node, why: str) -> NoReturn:
        """Raise with the line of the node.

        Raises:
            TemplateError: Always.
        """
        raise TemplateError(f"{self._where}, line {node.lineno or 1}: {why}")

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Visits a node that stands in the whitelist."""
        if type(node) not in _ALLOWED:
            name = type(node).__name__
            self.refuse(node, f"the template language has no {_INSTEAD.get(name, f'`{name}`')}")
        if not isinstance(node, BLOCKS):
            return super().visit(node, *args, **kwargs)
        self._blocks += 1
        super().visit(node, *args, **kwargs)
        self._blocks -= 1
        return None

    def visit_Name(self, node: nodes.Name | nodes.NSRef) -> None:
        """A variable; what Jinja or Python gives a meaning is not one."""
        if node.name.startswith("_"):
            self.refuse(node, f"names do not begin with an underscore: {node.name[:60]!r}")
        if node.name in _RESERVED:
            hint = "; read a fact of it: `loop.index`" if node.name == "loop" else ""
            self.refuse(node, f"{node.name!r} is reserved{hint}")
        if node.name in self._macros:
            self.refuse(node, f"{node.name!r} is a macro: call it, and give nothing else its name")

    def visit_NSRef(self, node: nodes.NSRef) -> None:
        """`{% set name.key = … %}`."""
        self.visit_Name(node)
        self._check_attribute(node, node.attr)

    def visit_Const(self, node: nodes.Const) -> None:
        """A literal: text, or a number of a size that stays cheap."""
        value = node.value
        if isinstance(value, int) and not -MAX_INTEGER < value < MAX_INTEGER:
            raise TemplateBudgetExceeded(
                f"{self._where}, line {node.lineno}: an integer of more than 64 bits"
            )
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            self.refuse(node, "a number too large for a float")
        if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
            self.refuse(node, "a string holds half of a surrogate pair")

    def visit_For(self, node: nodes.For) -> None:
        """A loop; `loop` is readable in its body only."""
        if node.recursive:
            self.refuse(node, "loops are not recursive")
        self.visit(node.target)
        self.visit(node.iter)
        if node.test is not None:
            loops, self._loops = self._loops, 0
            self.visit(node.test)
            self._loops = loops
        self._loops += 1
        self._visit_all(node.body)
        self._loops -= 1
        self._visit_all(node.else_)

    def visit_If(self, node: nodes.If) -> None:
        """A condition with a bounded number of branches."""
        if len(node.elif_) > _MAX_ELIF:
            raise TemplateBudgetExceeded(
                f"{self._where}, line {node.lineno}: {len(node.elif_)} elif branches, "
                f"the limit is {_MAX_ELIF}; look the value up in a mapping"
            )
        self.generic_visit(node)

    def visit_Macro(self, node: nodes.Macro) -> None:
        """A macro at the top of a template; it can call only those that stand before it."""
        if self._blocks > 1:
            self.refuse(node, "a macro stands at the top level of its template")
        if node.name in self._macros or node.name in _RESERVED or node.name.startswith("_"):
            self.refuse(node, f"a macro cannot be called {node.name[:60]!r} here")
        if len(self._macros) >= _MAX_MACROS:
            raise TemplateBudgetExceeded(f"{self._where}: more than {_MAX_MACROS} macros")
        self._visit_all([*node.args, *node.defaults])
        self._visit_all(node.body)
        self._macros.add(node.name)

    def visit_Include(self, node: nodes.Include) -> None:
        """`{% include "name" %}` with a constant name and the includer's variables."""
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if not isinstance(name, str):
            self.refuse(node, 'include takes one constant name: {% include "shared.tone" %}')
        if node.ignore_missing or not node.with_context:
            self.refuse(node, "include knows neither `ignore missing` nor `without context`")
        self.includes.append(name)

    def visit_Getattr(self, node: nodes.Getattr) -> None:
        """`value.key`, or a fact of the running loop."""
        if isinstance(node.node, nodes.Name) and node.node.name == "loop":
            self._check_loop(node, LOOP_FACTS)
            return
        self._check_attribute(node, node.attr)
        self.visit(node.node)

    def visit_Getitem(self, node: nodes.Getitem) -> None:
        """`value[key]` or a slice."""
        self.visit(node.node)
        if isinstance(node.arg, nodes.Slice):
            self.generic_visit(node.arg)
        else:
            self.visit(node.arg)

    def visit_Slice(self, node: nodes.Slice) -> None:
        """A slice that is not alone between the brackets."""
        self.refuse(node, "a slice stands alone between brackets")

    def visit_Call(self, node: nodes.Call) -> None:
        """A macro, `range`, `namespace`, `loop.cycle` or a method from the whitelist."""
        self._check_arguments(node)
        callee = node.node
        if isinstance(callee, nodes.Getattr):
            self._visit_method(node, callee)
        elif not isinstance(callee, nodes.Name):
            self.refuse(node, "only macros, range, namespace and methods can be called")
        elif callee.name == "namespace":
            if node.args:
                self.refuse(node, "namespace takes keywords: namespace(total=0)")
        elif callee.name == "range":
            if node.kwargs or not 1 <= len(node.args) <= 3:
                self.refuse(node, "range takes one to three numbers")
        elif callee.name not in self._macros:
            self.refuse(
                node,
                f"{callee.name[:60]!r} cannot be called; there are range, namespace and "
                "the macros that stand before (a macro cannot call itself)",
            )
        self._visit_all([*node.args, *node.kwargs])

    def _visit_method(self, node: nodes.Call, callee: nodes.Getattr) -> None:
        if isinstance(callee.node, nodes.Name) and callee.node.name == "loop":
            self._check_loop(callee, frozenset({"cycle"}))
            return
        if callee.attr not in METHODS:
            self.refuse(
                node, f"no method {callee.attr[:60]!r}; there are {', '.join(sorted(METHODS))}"
            )
        if node.kwargs:
            self.refuse(node, f"the method {callee.attr!r} takes no keywords")
        self.visit(callee.node)

    def visit_Filter(self, node: nodes.Filter) -> None:
        """A filter from the whitelist with arguments it takes."""
        self._check_named(node, "filter", FILTERS)
        inner: tuple[str, dict[str, Callable[..., Any]], int] | None = {
            "map": ("filter", FILTERS, 0),
            "select": ("test", PREDICATES, 0),
            "reject": ("test", PREDICATES, 0),
            "selectattr": ("test", PREDICATES, 1),
            "rejectattr": ("test", PREDICATES, 1),
        }.get(node.name)
        if inner is not None:
            self._check_inner(node, *inner)
        self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> None:
        """A test from the whitelist with arguments it takes."""
        self._check_named(node, "test", PREDICATES)
        self.generic_visit(node)

    def _check_inner(
        self, node: nodes.Filter, kind: str, table: dict[str, Callable[..., Any]], place: int
    ) -> None:
        """`map("upper")`, `select("odd")`, `selectattr("name", "eq", 1)` name their work."""
        keywords = _keywords(node)
        if node.name == "map" and not node.args:
            if "attribute" not in keywords or keywords - {"attribute", "default"}:
                self.refuse(node, 'map takes a filter name or attribute="…"')
            return
        if node.name == "map" and keywords & {"attribute"}:
            self.refuse(node, "map takes a filter name or an attribute, not both")
        if len(node.args) <= place:
            if len(node.args) < place:
                self.refuse(node, f"{node.name} takes the name of an attribute first")
            return
        named = node.args[place]
        name = named.value if isinstance(named, nodes.Const) else None
        if not isinstance(name, str) or name not in table or name == "map":
            self.refuse(node, f"{node.name} takes the name of a {kind}, written out")
        extra = len(node.args) - place - 1
        self._check_signature(
            node, kind, name, work=table[name], arguments=extra, keywords=keywords
        )

    def _check_named(
        self, node: nodes.Filter | nodes.Test, kind: str, table: dict[str, Callable[..., Any]]
    ) -> None:
        self._check_arguments(node)
        if node.name not in table:
            known = ", ".join(sorted(table))
            self.refuse(node, f"no {kind} {node.name[:60]!r}; there are {known}")
        names = _keywords(node)
        self._check_signature(
            node,
            kind,
            node.name,
            work=table[node.name],
            arguments=len(node.args),
            keywords=names,
        )

    def _check_signature(
        self,
        node: nodes.Node,
        kind: str,
        name: str,
        *,
        work: Callable[..., Any],
        arguments: int,
        keywords: set[str],
    ) -> None:
        given = (None,) * (2 + arguments)  # the rendering and the value come first
        try:
            inspect.signature(work).bind(*given, **dict.fromkeys(keywords))
        except TypeError as error:
            self.refuse(node, f"the {kind} {name!r}: {error}")

    def _check_arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self.refuse(node, "arguments are written out, without * and **")

    def _check_attribute(self, node: nodes.Node, attribute: str) -> None:
        if attribute.startswith("_"):
            self.refuse(node, f"attributes do not begin with an underscore: {attribute[:60]!r}")

    def _check_loop(self, node: nodes.Getattr, facts: frozenset[str]) -> None:
        if not self._loops:
            self.refuse(node, "`loop` is there only in the body of a `for`")
        if node.attr not in facts:
            known = ", ".join(sorted({*LOOP_FACTS, "cycle()"}))
            self.refuse(node, f"`loop` has no {node.attr[:60]!r}; there are {known}")

    def _visit_all(self, children: list[Any]) -> None:
        for child in children:
            self.visit(child)


def _keywords(node: nodes.Filter | nodes.Test) -> set[str]:
    return {str(keyword.key) for keyword in node.kwargs}
