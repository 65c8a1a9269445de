"""A version ready to render: values and history in, messages out."""

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.errors import TemplateBudgetExceeded, TemplateError
from trimtab.prompts.assembly import Assembly, TemplateProgram
from trimtab.prompts.limits import DEFAULT_LIMITS, Limits
from trimtab.prompts.sandbox.context import RenderContext
from trimtab.prompts.sandbox.environment import SANDBOX
from trimtab.prompts.variables import VariableCheck, compile_variables
from trimtab.prompts.version import ENGINE, Version

HISTORY_ROLES = frozenset({"user", "assistant", "tool"})
_OPENING_ROLES = frozenset({"system", "developer"})


class CompiledTemplate:
    """A version's messages, compiled once; `render` can be called from any thread.

    Args:
        programs: Role and program of each message, in order.
        check: Checks the values given.
        history_at: Messages that stand before the history, or None if it has no place.
        limits: Caps of one rendering.
        label: What errors call the version.
    """

    def __init__(
        self,
        programs: Sequence[tuple[str, TemplateProgram]],
        *,
        check: VariableCheck,
        history_at: int | None,
        limits: Limits,
        label: str,
    ) -> None:
        self._programs = tuple(programs)
        self._check = check
        self._history_at = history_at
        self._limits = limits
        self._label = label

    # Any: message contents of a conversation have the provider's own shapes.
    def render(
        self, values: Mapping[str, Any], *, history: Sequence[dict[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """The messages for these values, the history at its place, unchanged.

        Args:
            values: One value for each variable; defaults are filled in.
            history: Messages of roles user, assistant and tool.

        Raises:
            VariableError: A value is missing, unknown or does not fit.
            TemplateBudgetExceeded: The rendering needs more than its limits.
            TemplateError: An expression failed, or the history cannot be placed.
        """
        if history:
            self._check_history(history)
        context = RenderContext(SANDBOX, self._check(values), limits=self._limits)
        messages: list[dict[str, Any]] = []
        size = 0
        for role, program in self._programs:
            content = program.render(context)
            size += _utf8_size(content, program.where)
            messages.append({"role": role, "content": content})
        if size > self._limits.output_bytes:
            raise TemplateBudgetExceeded(
                f"{self._label}: the messages have {size} bytes, "
                f"the limit is {self._limits.output_bytes}"
            )
        if history and self._history_at is not None:
            messages[self._history_at : self._history_at] = [dict(entry) for entry in history]
        return messages

    def _check_history(self, history: Sequence[dict[str, Any]]) -> None:
        if self._history_at is None:
            raise TemplateError(
                f"{self._label} has no place for {len(history)} messages of history; "
                "write {% history %} where they belong"
            )
        for index, message in enumerate(history):
            role = message.get("role") if hasattr(message, "get") else None
            if not isinstance(role, str) or role not in HISTORY_ROLES:
                raise TemplateError(
                    f"history message {index} has role {str(role)[:40]!r}, "
                    "want user, assistant or tool"
                )


def compile_version(
    version: Version,
    fragments: Mapping[str, Version],
    *,
    limits: Limits = DEFAULT_LIMITS,
    name: str = "",
) -> CompiledTemplate:
    """Compiles all templates of a prompt; nothing is compiled later.

    Args:
        version: A version of kind `prompt`.
        fragments: Fragments by sha; those the version includes, directly or not, must be there.
        limits: Caps on source and rendering.
        name: What errors call the version; its sha where not given.

    Raises:
        TemplateError: A template is outside the language, or a fragment is missing.
        TemplateBudgetExceeded: The sources with all includes go beyond the limits.
        VariableError: The variables' schema cannot be read.
    """
    label = name or f"version {version.sha[:12]}"
    if version.kind != "prompt":
        raise TemplateError(f"{label} is a {version.kind}; only prompts are rendered")
    if (engine := version.identity.get("engine", ENGINE)) != ENGINE:
        raise TemplateError(f"{label} is written for {engine!r}, this trimtab renders {ENGINE!r}")
    programs = Assembly(version, fragments, limits=limits).programs(label)
    pairs = [
        (str(entry["role"]), program)
        for entry, program in zip(version.messages, programs, strict=True)
        if program is not None
    ]
    return CompiledTemplate(
        pairs,
        check=compile_variables(version.variables, limits=limits),
        history_at=_history_place(programs, [role for role, _ in pairs], label=label),
        limits=limits,
        label=label,
    )


def _history_place(
    programs: Sequence[TemplateProgram | None], roles: Sequence[str], *, label: str
) -> int | None:
    """Where history stands among the messages: at its tag, or after system and developer ones."""
    if (tags := programs.count(None)) > 1:
        raise TemplateError(f"{label} has {tags} places for the history, want one")
    if tags:
        return programs.index(None)
    return len(roles) if _OPENING_ROLES.issuperset(roles) else None


def _utf8_size(text: str, where: str) -> int:
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise TemplateError(
            f"{where}: the text has half of a surrogate pair at {error.start}; "
            "one of the values was not decoded properly"
        ) from error
