"""Lint: what is wrong, or likely to go wrong, in a set of prompt files."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from trimtab.errors import PromptFileError, TemplateError
from trimtab.prompts.files import FileSet, PromptFile
from trimtab.prompts.model_pin import is_model, is_pinned
from trimtab.prompts.schema import schema_faults
from trimtab.prompts.usage import FUNCTIONS, Use, template_usage
from trimtab.prompts.variables import compile_schema
from trimtab.prompts.version import Version

Level = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing lint found; `rule` is stable, `line` counts from 1 in the file.

    Rules: `floating-model`, `unknown-model-form`, `undeclared-variable`, `unused-variable`,
    `untrusted-in-system`, `unknown-schema-keyword`, `bad-default`, `missing-include`,
    `unknown-include-kind`, `include-cycle`, `include-depth`, `template`, `unknown-field`, `file`.
    """

    level: Level
    rule: str
    prompt: str
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.level}: {self.message} [{self.rule}]"


def lint(
    files: Mapping[str, PromptFile],
    *,
    registered: Mapping[str, str] | None = None,
    registered_versions: Mapping[str, Version] | None = None,
    pinned_models: Collection[str] = (),
    errors: Sequence[PromptFileError] = (),
) -> list[Finding]:
    """Everything lint has to say about a set of files, by path and line.

    Args:
        files: Prompt name → file.
        registered: As in `files.build_set`.
        registered_versions: As in `files.build_set`; variables that these fragments read count too.
        pinned_models: Models the team declares pinned, `provider/name`, `*` and `?` for any text.
        errors: Of files that could not be read (`files.read_set`); they become findings.
    """
    whole = FileSet(files, registered=registered, registered_versions=registered_versions)
    found = {_from_error(error, "") for error in errors}
    for name, file in files.items():
        linter = _Linter(file, whole)
        found.update(linter.model(pinned_models))
        found.update(linter.schemas())
        found.update(linter.includes())
        found.update(linter.templates())
        found.update(linter.variables())
        found.update(_from_error(error, name) for error in _unresolved(whole, name))
        if not any(finding.level == "error" and finding.path == file.path for finding in found):
            found.update(linter.assembled())
    return sorted(found, key=lambda f: (f.path, f.line, f.rule, f.message, f.prompt))


def _unresolved(whole: FileSet, name: str) -> Iterator[PromptFileError]:
    """A cycle or depth that begins at this file; other faults are reported where they stand."""
    try:
        whole.check(name)
    except PromptFileError as error:
        if error.rule in ("include-cycle", "include-depth"):
            yield error


def _from_error(error: PromptFileError, prompt: str) -> Finding:
    line = error.line or 1
    message = (
        str(error).removeprefix(f"{error.path}, line {line}: ").removeprefix(f"{error.path}: ")
    )
    return Finding(
        level="error",
        rule=error.rule,
        prompt=prompt,
        path=error.path,
        line=line,
        message=message,
    )


class _Linter:
    """The rules for one file."""

    def __init__(self, file: PromptFile, whole: FileSet) -> None:
        self._file = file
        self._whole = whole

    def model(self, pinned_models: Collection[str]) -> Iterator[Finding]:
        """The model is `provider/name` and stays what it is."""
        model = self._file.model
        if model is None:
            return
        line = self._file.line_of("model")
        if not is_model(model):
            yield self._error(
                "unknown-model-form",
                line,
                f'model "{model}" is not provider/name, such as "openai/gpt-4o-2024-11-20"',
            )
        elif not is_pinned(model, pinned_models=pinned_models):
            yield self._error(
                "floating-model",
                line,
                f'model "{model}" is an alias that moves; pin a dated snapshot such as '
                '"openai/gpt-4o-2024-11-20", or declare it among the provider\'s pinned models',
            )

    def schemas(self) -> Iterator[Finding]:
        """Variables use keywords that are enforced, and their defaults fit."""
        for name, schema in self._file.variables.items():
            problems: list[str] = []
            if "default" in schema:
                compile_schema(schema)(schema["default"], name, problems)
            for problem in problems:
                line = self._file.line_of("variables", name, "default")
                yield self._error("bad-default", line, f"the default does not fit: {problem}")
            for fault in schema_faults(schema):
                if fault.unknown_keyword:
                    line = self._file.line_of("variables", name, *fault.path)
                    message = f'variable "{name}": {fault.message}'
                    yield self._error("unknown-schema-keyword", line, message)

    def includes(self) -> Iterator[Finding]:
        """Includes name fragments that are there."""
        for error in self._whole.include_faults(self._file.name):
            yield _from_error(error, self._file.name)

    def templates(self) -> Iterator[Finding]:
        """Each template stays within the language and its static budget."""
        for usage in self._file.usages:
            if usage.refused:
                yield self._error("template", usage.refused_line, usage.refused)

    def assembled(self) -> Iterator[Finding]:
        """The prompt stays within the budget with all its fragments in place."""
        if self._file.kind != "prompt":
            return
        try:
            self._whole.compile(self._file.name)
        except PromptFileError as error:
            yield _from_error(error, self._file.name)
        except TemplateError as error:
            line = self._file.template_lines[0]
            yield self._error("template", line, str(error).removeprefix(f"{self._file.name}: "))

    def variables(self) -> Iterator[Finding]:
        """What is read is declared, what is declared is read, and the system stays trusted."""
        if self._file.kind != "prompt":
            return
        uses = list(self._uses())
        yield from self._undeclared(use for _, use in uses)
        yield from self._untrusted(use for role, use in uses if role in ("system", "developer"))
        used = {use.name for _, use in uses}
        for name in self._file.variables:
            if name not in used:
                line = self._file.line_of("variables", name)
                yield self._finding(
                    "warning",
                    "unused-variable",
                    line,
                    f'variable "{name}" is declared and never used; remove it',
                )

    def _uses(self) -> Iterator[tuple[str, Use]]:
        """Role and use of every outer variable, through fragments too."""
        for message, line in zip(self._file.messages, self._file.template_lines, strict=True):
            usage = template_usage(
                message.get("template", ""),
                where=self._file.path,
                first_line=line,
                owner=f"file:{self._file.name}",
                find=self._whole.find,
            )
            for use in usage.variables:
                yield message.get("role", ""), use

    def _undeclared(self, uses: Iterable[Use]) -> Iterator[Finding]:
        declared = self._file.variables
        for use in uses:
            if use.name not in declared and use.name not in FUNCTIONS:
                yield self._error(
                    "undeclared-variable",
                    use.line,
                    f'variable "{use.name}"{_through(use)} is not declared; add '
                    f'"{use.name}: {{type: string}}" (or its type) under variables'
                    f"{_nearest(use.name, declared)}",
                )

    def _untrusted(self, uses: Iterable[Use]) -> Iterator[Finding]:
        for use in uses:
            if self._file.variables.get(use.name, {}).get("trusted") is False:
                yield self._finding(
                    "warning",
                    "untrusted-in-system",
                    use.line,
                    f'"{use.name}" is what an end user wrote (trusted: false) and stands'
                    f"{_through(use)} in a system or developer message; move it to a user message",
                )

    def _error(self, rule: str, line: int, message: str) -> Finding:
        return self._finding("error", rule, line, message)

    def _finding(self, level: Level, rule: str, line: int, message: str) -> Finding:
        return Finding(
            level=level,
            rule=rule,
            prompt=self._file.name,
            path=self._file.path,
            line=line,
            message=message,
        )


def _through(use: Use) -> str:
    return f' (in "{" → ".join(use.via)}")' if use.via else ""


def _nearest(name: str, declared: Collection[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, declared, n=1, cutoff=0.7)
    return f'; did you mean "{near[0]}"?' if near else ""
