"""Rewrites a checked syntax tree so that every loop, call and operator pays before it works."""

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from trimtab.prompts.sandbox.environment import METHOD_PREFIX, PIECE_STEPS

# Any: Jinja's visitor passes and returns anything.
# ruff: noqa: ANN401, N802

_TURN_STEPS = 2
_CALL_STEPS = 5
_MACRO_STEPS = 20
_SIGNS: dict[type[nodes.Node], str] = {
    nodes.Add: "+",
    nodes.Sub: "-",
    nodes.Mul: "*",
    nodes.Div: "/",
    nodes.FloorDiv: "//",
    nodes.Mod: "%",
    nodes.Pow: "**",
}


def cost(tree: nodes.Node | None) -> int:
    """Steps of going through a tree once; bodies of loops and macros pay for themselves."""
    if tree is None or isinstance(tree, nodes.Macro):
        return 1
    if isinstance(tree, nodes.For):
        return _CALL_STEPS + cost(tree.iter) + costs(tree.else_)
    if isinstance(tree, nodes.If):
        bodies = [tree.body, tree.else_, *(branch.body for branch in tree.elif_)]
        tests = [tree.test, *(branch.test for branch in tree.elif_)]
        return costs(tests) + max(map(costs, bodies))
    return _own_cost(tree) + costs(tree.iter_child_nodes())


def _own_cost(node: nodes.Node) -> int:
    if isinstance(node, nodes.TemplateData):
        return 1 + (len(node.data) >> 1)
    if isinstance(node, nodes.Output):
        return PIECE_STEPS * len(node.nodes)
    if isinstance(node, nodes.Filter | nodes.Test | nodes.Getattr | nodes.Getitem):
        return _CALL_STEPS
    return _MACRO_STEPS if isinstance(node, nodes.Call) else 1


def costs(trees: Iterable[nodes.Node]) -> int:
    """Steps of several trees, one after the other."""
    return sum(map(cost, trees))


class Metering(NodeTransformer):
    """Puts the calls of `operators.OPERATORS` and `methods.METHODS` into a tree, in place.

    Args:
        unit: Number of the template or fragment among those of its version; its macros carry it,
            so that no name of another one can mean them.
        include: The metered statements of a fragment, by the name written in the include.
    """

    def __init__(self, *, unit: int, include: Callable[[str], list[nodes.Node]]) -> None:
        self._unit = unit
        self._include = include

    def _macro(self, name: str) -> str:
        # Templates cannot write names that begin with an underscore.
        return f"_{self._unit}_{name}"

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> nodes.Node:
        """Rewrites what is below; a binary operator becomes a call."""
        node = super().generic_visit(node, *args, **kwargs)
        sign = _SIGNS.get(type(node))
        if sign is None or not isinstance(node, nodes.BinExpr):
            return node
        return _call(node, sign, node.left, [node.right])

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Pays for all turns before the first."""
        self.generic_visit(node)
        weight = _TURN_STEPS + costs(node.body) + (cost(node.test) if node.test else 0)
        node.iter = _call(node, "for", node.iter, [nodes.Const(weight, lineno=node.lineno)])
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        """Pays for a call when it begins."""
        self.generic_visit(node)
        weight = nodes.Const(_MACRO_STEPS + costs([*node.body, *node.defaults]), lineno=node.lineno)
        pay = nodes.ExprStmt(_call(node, "macro", weight, []), lineno=node.lineno)
        node.body.insert(0, pay)
        node.name = self._macro(node.name)
        return node

    def visit_Include(self, node: nodes.Include) -> list[nodes.Node]:
        """The fragment's statements, as if they stood here."""
        assert isinstance(node.template, nodes.Const)  # noqa: S101  # the grammar saw to it
        return self._include(node.template.value)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """`a ~ b ~ c` in one call."""
        self.generic_visit(node)
        return _call(node, "~", node.nodes[0], node.nodes[1:])

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        """`a if b`; without an else it is empty text, as Jinja prints it."""
        self.generic_visit(node)
        if node.expr2 is None:
            node.expr2 = nodes.Const("", lineno=node.lineno)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        """A comparison; with a constant on one side it is cheap, and stays Python's own."""
        self.generic_visit(node)
        if len(node.ops) == 1 and _cheap(node.expr, node.ops[0]):
            return node
        chain: list[nodes.Expr] = []
        for operand in node.ops:
            chain += [nodes.Const(operand.op, lineno=node.lineno), operand.expr]
        return _call(node, "compare", node.expr, chain)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        """A list literal; constants alone need no count."""
        self.generic_visit(node)
        return node if _constant(node) else _call(node, "[]", *_split(node.items))

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        """A tuple literal; targets of loops and assignments stay as they are."""
        self.generic_visit(node)
        if node.ctx != "load" or _constant(node):
            return node
        return _call(node, "()", *_split(node.items))

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        """A mapping literal."""
        self.generic_visit(node)
        flat = [part for pair in node.items for part in (pair.key, pair.value)]
        if all(map(_constant, flat)) and all(isinstance(p.key, nodes.Const) for p in node.items):
            return node
        return _call(node, "{}", *_split(flat))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """A slice; a single item is read by the environment."""
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        none = nodes.Const(None, lineno=node.lineno)
        bounds = [node.arg.start or none, node.arg.stop or none, node.arg.step or none]
        return _call(node, "[:]", node.node, bounds)

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        """Methods and global functions; macros stay calls."""
        self.generic_visit(node)
        callee = node.node
        if isinstance(callee, nodes.Name):
            if callee.name == "range":
                return _call(node, "range()", *_split(node.args))
            if callee.name == "namespace":
                none = nodes.Const(None, lineno=node.lineno)
                return _call(node, "namespace()", none, [], node.kwargs)
            callee.name = self._macro(callee.name)
            return node
        assert isinstance(callee, nodes.Getattr)  # noqa: S101  # the grammar saw to it
        if isinstance(callee.node, nodes.Name) and callee.node.name == "loop":
            return _call(node, "loop.cycle()", callee.node, node.args)
        return _call(node, METHOD_PREFIX + callee.attr, callee.node, node.args)


def _call(
    at: nodes.Node,
    name: str,
    first: nodes.Node,
    rest: list[nodes.Expr],
    keywords: list[nodes.Keyword] | None = None,
) -> nodes.Filter:
    """A filter node: compiled into the plainest call Jinja has."""
    return nodes.Filter(first, name, rest, keywords or [], None, None, lineno=at.lineno)


def _split(items: list[nodes.Expr]) -> tuple[nodes.Expr, list[nodes.Expr]]:
    return items[0], items[1:]


def _constant(node: nodes.Expr) -> bool:
    """Whether a literal holds constants only; an empty one does."""
    if isinstance(node, nodes.List | nodes.Tuple):
        return all(map(_constant, node.items))
    return isinstance(node, nodes.Const)


def _cheap(left: nodes.Expr, operand: nodes.Operand) -> bool:
    if operand.op in ("in", "notin"):
        return _constant(operand.expr)
    return isinstance(left, nodes.Const) or isinstance(operand.expr, nodes.Const)
