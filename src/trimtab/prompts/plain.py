"""Values of an application made plain: what a template sees are built-in types only."""

from collections.abc import Mapping
from typing import Any

from trimtab.errors import VariableError
from trimtab.prompts.limits import Limits

# Any: an application hands over values of every type.
# ruff: noqa: ANN401


def plain(value: Any, *, path: str, limits: Limits) -> Any:
    """A copy in which enum members, named tuples, `Markup` and mappings are plain data.

    What is not a kind of string, number, list or mapping stays as it is, for the caller to refuse.

    Args:
        value: Any value.
        path: The variable's name, for errors.
        limits: Caps on items and depth of one value.

    Raises:
        VariableError: It holds too many items or levels.
    """
    return _Copy(path, limits).of(value, 0)


class _Copy:
    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._items = 0

    def of(self, value: Any, depth: int) -> Any:
        self._items += 1
        if self._items > self._limits.input_items or depth > self._limits.value_depth:
            raise VariableError(
                f'variable "{self._path}" has more than {self._limits.input_items} items or '
                f"{self._limits.value_depth} levels"
            )
        if isinstance(value, Mapping):
            return {_key(key): self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item, depth + 1) for item in value]
        if value is None or isinstance(value, bool):
            return value
        # The base types' own methods: a subclass may print itself otherwise.
        if isinstance(value, int):
            return int.__int__(value)
        if isinstance(value, float):
            return float.__float__(value)
        return _key(value)


def _key(value: Any) -> Any:
    return str.__str__(value) if isinstance(value, str) else value
