"""The Jinja environment all templates are compiled in."""

from typing import Any

from jinja2 import StrictUndefined, pass_context
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from trimtab.prompts.sandbox.context import RenderContext
from trimtab.prompts.sandbox.lists import FILTERS
from trimtab.prompts.sandbox.methods import METHODS
from trimtab.prompts.sandbox.operators import OPERATORS
from trimtab.prompts.sandbox.predicates import PREDICATES

# ruff: noqa: ANN401  # the overridden methods take what templates hold: every kind of data

PIECE_STEPS = 4

METHOD_PREFIX = "method "
"""A method's name among the filters; the space keeps templates from writing it."""


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's immutable sandbox without attributes: a dot reads a mapping's key, nothing else."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """The value under a key, a fact of the running `for`, or undefined."""
        if type(obj) is dict:
            try:
                return obj[attribute]
            except KeyError:
                return self.undefined(f"the mapping has no key {attribute!r}", name=attribute)
        if type(obj) is LoopContext:  # only the name `loop` holds one, its facts are whitelisted
            return getattr(obj, attribute)
        return self._seldom(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The value under a key or at a place, or undefined."""
        kind = type(obj)
        if kind is dict and type(argument) in (str, int, float, bool, type(None)):
            try:
                return obj[argument]
            except KeyError:
                return self.undefined(f"the mapping has no key {str(argument)[:60]!r}")
        if kind in (list, tuple, str) and isinstance(argument, int):
            try:
                return obj[argument]
            except IndexError:
                return self.undefined(f"there is no item {argument} among {len(obj)}")
        return self._seldom(obj, argument)

    def _seldom(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()  # noqa: SLF001  # what Jinja itself calls for this
        if isinstance(name, Undefined):
            name._fail_with_undefined_error()  # noqa: SLF001
        if type(obj) is Namespace and isinstance(name, str) and not name.startswith("_"):
            return getattr(obj, name, self.undefined(f"the namespace has no {name!r}", name=name))
        return self.undefined(f"{type(obj).__name__} has no {str(name)[:60]!r}")

    def call(self, context: Context, macro: Any, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        """Calls a macro; the grammar lets nothing else be called this way."""
        kwargs.pop("_loop_vars", None)
        kwargs.pop("_block_vars", None)
        return macro(*args, **kwargs)


@pass_context
def finalize(context: RenderContext, value: Any) -> str:
    """The text of one output; pays for it."""
    text = value if type(value) is str else context.text(value)
    context.fuel -= PIECE_STEPS + (len(text) >> 1)
    if context.fuel < 0:
        context.spend(0)
    return text


def _sandbox() -> Sandbox:
    # `optimized=False`, and a finalize that needs the context, keep Jinja from computing
    # constant expressions while it compiles, where no fuel is counted.
    sandbox = Sandbox(
        optimized=False,
        finalize=finalize,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
        cache_size=0,
    )
    sandbox.globals = {}
    sandbox.filters = FILTERS | OPERATORS
    sandbox.filters |= {METHOD_PREFIX + name: call for name, call in METHODS.items()}
    sandbox.tests = dict(PREDICATES)
    return sandbox


SANDBOX = _sandbox()
