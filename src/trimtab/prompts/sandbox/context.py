"""One rendering: the values it reads and the fuel it has left."""

from collections.abc import Mapping
from typing import Any

from jinja2.environment import Environment
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, Undefined
from jinja2.utils import missing

from trimtab.errors import TemplateBudgetExceeded, TemplateError
from trimtab.prompts.limits import Limits
from trimtab.prompts.sandbox.size import SCALARS, kind_of, size_of

ITEM_STEPS = 5  # one list item: eight bytes of pointer and up to 32 of object
VISIT_STEPS = 2  # looking at one item while counting


class RenderContext(Context):
    """What compiled templates, filters and operators of one rendering share.

    Attributes:
        fuel: Steps left.
        limits: The caps of this rendering.
    """

    # The base class looks for plain methods in its subclasses and would copy globals and blocks
    # into every instance; a rendering here has neither, so only what compiled code reads is set.
    def __init__(
        self, environment: Environment, values: Mapping[str, Any], *, limits: Limits
    ) -> None:
        self.environment = environment
        self.parent = dict(values)
        self.vars = {}
        self.exported_vars = set()
        self.eval_ctx = EvalContext(environment)
        self.blocks = {}
        self.name = None
        self.limits = limits
        self.fuel = limits.fuel

    # Any: a template's values have every type.
    def resolve_or_missing(self, key: str) -> Any:  # noqa: ANN401
        """The value given under this name, or Jinja's marker for none."""
        try:
            return self.parent[key]
        except KeyError:
            return missing

    def spend(self, steps: int) -> None:
        """Take steps from the fuel.

        Raises:
            TemplateBudgetExceeded: None are left.
        """
        self.fuel -= steps
        if self.fuel < 0:
            raise TemplateBudgetExceeded(
                f"the rendering needs more than {self.limits.fuel} steps of work; "
                "loop over less, or prepare the value before it is given"
            )

    def claim(self, chars: int, *, what: str) -> None:
        """Pay for a string of so many characters before it is made.

        Raises:
            TemplateBudgetExceeded: It is longer than a string may be, or the fuel is used up.
        """
        if chars > self.limits.text_chars:
            raise TemplateBudgetExceeded(
                f"{what} would make a text of {chars} characters, "
                f"the limit is {self.limits.text_chars}"
            )
        self.spend(chars >> 1)

    def claim_items(self, items: int, *, what: str) -> None:
        """Pay for a list of so many items before it is made.

        Raises:
            TemplateBudgetExceeded: It is longer than a value may be, or the fuel is used up.
        """
        if items > self.limits.value_items:
            raise TemplateBudgetExceeded(
                f"{what} would make {items} items, the limit is {self.limits.value_items}"
            )
        self.spend(items * ITEM_STEPS)

    def weigh(self, value: object, *, what: str) -> int:
        """Characters that printing the value can need; pays for looking at all of it.

        Raises:
            TemplateBudgetExceeded: It holds too many items or levels.
            TemplateError: Something in it is not data.
        """
        limits = self.limits
        size = size_of(value, items=limits.value_items, depth=limits.value_depth)
        self.spend(VISIT_STEPS * size.items)
        if size.stray is not None:
            refuse_stray(size.stray, what=what)
        if not size.full:
            raise TemplateBudgetExceeded(
                f"{what} holds a value of more than {limits.value_items} items or "
                f"{limits.value_depth} levels"
            )
        return size.text_chars

    def built(self, value: list[Any], *, what: str) -> list[Any]:
        """The list itself, once its items, levels and kinds are known to be within the caps."""
        self.weigh(value, what=what)
        return value

    def text(self, value: object) -> str:
        """The value as Jinja prints it.

        Raises:
            TemplateBudgetExceeded: The text would be too long.
            TemplateError: The value is not data.
        """
        if type(value) is str:
            return value
        if type(value) in SCALARS:
            return str(value)
        needed = self.weigh(value, what="printing a container")
        if needed > 4 * self.limits.text_chars:  # an upper bound; the exact length is claimed
            self.claim(needed, what="printing a container")
        printed = str(value)
        self.claim(len(printed), what="printing a container")
        return printed


def refuse_stray(value: object, *, what: str) -> None:
    """Raise for a value that is not data: undefined, a macro, a namespace.

    Raises:
        TemplateError: Always.
    """
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()  # noqa: SLF001  # what Jinja itself calls for this
    raise TemplateError(f"{what} cannot be done with {kind_of(value)}")
