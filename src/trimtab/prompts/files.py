"""Prompt files and sets of them: reading one, and resolving what a set includes."""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import msgspec

from trimtab.errors import BadReference, IdentityError, PromptFileError, TemplateError
from trimtab.prompts.budget import check_template
from trimtab.prompts.prompt_file import PromptFile, name_from_path, parse_prompt_file
from trimtab.prompts.reference import check_name
from trimtab.prompts.template import CompiledTemplate, compile_version
from trimtab.prompts.usage import MAX_DEPTH, Include, Source
from trimtab.prompts.version import Version, version_from_identity

__all__ = [
    "FileSet",
    "PromptFile",
    "ReadSet",
    "build_set",
    "name_from_path",
    "parse_prompt_file",
    "read_set",
]

_FILE = "file:"
_SHA = "sha:"


class ReadSet(msgspec.Struct, frozen=True, kw_only=True):
    """A folder's files by prompt name, and the errors of those that cannot be read."""

    files: dict[str, PromptFile]
    errors: list[PromptFileError]


def read_set(texts: Mapping[str, str | bytes]) -> ReadSet:
    """Parse all files of a folder, keeping the errors instead of stopping at the first.

    Args:
        texts: Path below the prompts folder, with `/` → content.
    """
    files: dict[str, PromptFile] = {}
    errors: list[PromptFileError] = []
    for path in sorted(texts):
        try:
            name = name_from_path(PurePosixPath(path))
            files[name] = parse_prompt_file(texts[path], name=name, path=path)
        except PromptFileError as error:
            errors.append(error)
    return ReadSet(files=files, errors=errors)


def build_set(
    files: Mapping[str, PromptFile],
    *,
    registered: Mapping[str, str] | None = None,
    registered_versions: Mapping[str, Version] | None = None,
) -> dict[str, Version]:
    """The version of each file, with includes resolved in the set.

    Args:
        files: Prompt name → file.
        registered: Included name as written (`shared.tone@1.2.0`, or `shared.tone` where the set
            has no such file) → sha of the registered fragment.
        registered_versions: sha → registered version, those that registered fragments include among
            them; without it their kind and depth cannot be checked here.

    Raises:
        PromptFileError: An include is missing, is no fragment, or is no plain name; includes form a
            cycle or go deeper than 8; the identity of a file has no valid form.
        TemplateError: A template is outside the language, or beyond the budget.
    """
    whole = FileSet(files, registered=registered, registered_versions=registered_versions)
    return {name: whole.version(name) for name in files}


class FileSet:
    """A set of files whose includes are resolved on demand; each version is made once."""

    def __init__(
        self,
        files: Mapping[str, PromptFile],
        *,
        registered: Mapping[str, str] | None = None,
        registered_versions: Mapping[str, Version] | None = None,
    ) -> None:
        self._files = files
        self._registered = registered or {}
        self._stored = dict(registered_versions or {})
        self._heights: dict[str, int] = {}
        self._versions: dict[str, Version] = {}

    def version(self, name: str) -> Version:
        """The version of a file of the set.

        Raises:
            PromptFileError: As in `build_set`.
            TemplateError: As in `build_set`.
        """
        if name in self._versions:
            return self._versions[name]
        self.check(name)
        file = self._files[name]
        _refuse_templates(file)
        includes = {written: self._sha(written) for written in file.includes}
        try:
            version = version_from_identity(file.identity(includes))
        except IdentityError as error:
            raise PromptFileError(f"{file.path}: {error}", path=file.path) from error
        self._versions[name] = version
        return version

    def compile(self, name: str) -> CompiledTemplate | None:
        """A prompt of the set with its fragments in place; None if a registered one is not here.

        Raises:
            PromptFileError: As in `build_set`.
            TemplateError: As in `template.compile_version`.
        """
        version = self.version(name)
        fragments = {made.sha: made for made in self._versions.values()} | self._stored
        pending = list(version.includes.values())
        while pending:
            found = fragments.get(pending.pop())
            if found is None:
                return None
            pending.extend(found.includes.values())
        return compile_version(version, fragments, name=name)

    def check(self, name: str) -> None:
        """Refuse a file whose includes, or theirs in turn, cannot be resolved.

        Raises:
            PromptFileError: As in `build_set`.
        """
        self._height(_FILE + name, ())

    def include_faults(self, name: str) -> Iterator[PromptFileError]:
        """What is wrong with the includes that stand in this file itself."""
        file = self._files[name]
        for usage in file.usages:
            for include in usage.includes:
                if (fault := self._include_fault(include, file)) is not None:
                    yield fault

    def find(self, owner: str, name: str) -> Source | None:
        """The fragment that an owner (`file:NAME` or `sha:…`) means by an included name."""
        key = self._key(owner, name)
        if key is None:
            return None
        messages = (
            self._files[key.removeprefix(_FILE)].messages
            if key.startswith(_FILE)
            else self._stored[key.removeprefix(_SHA)].messages
            if key.removeprefix(_SHA) in self._stored
            else []
        )
        template = messages[0].get("template") if messages else None
        return Source(key=key, template=template) if isinstance(template, str) else None

    def _include_fault(self, include: Include, file: PromptFile) -> PromptFileError | None:
        key = self._key(_FILE + file.name, include.name)
        if key is None:
            return _fault(file, include.line, self._missing(include.name), rule="missing-include")
        kind = self._kind(key)
        if kind in (None, "fragment"):
            return None
        return _fault(
            file,
            include.line,
            f'"{include.name}" is a {kind}; only a fragment can be included '
            '(put "kind: fragment" into its front matter)',
            rule="unknown-include-kind",
        )

    def _missing(self, name: str) -> str:
        try:
            check_name(name.partition("@")[0])
        except BadReference as error:
            return f"include: {error}"
        if "@" in name:
            return f'include "{name}" names no registered version; register it or use the file'
        known = sorted(other for other, file in self._files.items() if file.kind == "fragment")
        return (
            f'include "{name}" is missing: no such file in this set; '
            f"fragments here: {', '.join(known) or 'none'}"
        )

    def _key(self, owner: str, name: str) -> str | None:
        """The key of an included fragment, or None where there is none."""
        if owner.startswith(_SHA):
            stored = self._stored.get(owner.removeprefix(_SHA))
            sha = stored.includes.get(name) if stored is not None else None
        elif name in self._files:
            return _FILE + name
        else:
            sha = self._registered.get(name)
        return None if sha is None else _SHA + sha

    def _kind(self, key: str) -> str | None:
        if key.startswith(_FILE):
            return self._files[key.removeprefix(_FILE)].kind
        stored = self._stored.get(key.removeprefix(_SHA))
        return stored.kind if stored is not None else None

    def _sha(self, written: str) -> str:
        if written in self._files:
            return self.version(written).sha
        return self._registered[written]

    def _included(self, key: str) -> list[str]:
        if key.startswith(_FILE):
            return self._files[key.removeprefix(_FILE)].includes
        stored = self._stored.get(key.removeprefix(_SHA))
        return list(stored.includes) if stored is not None else []

    def _height(self, key: str, path: tuple[str, ...]) -> int:
        """Levels of includes below a file or a registered fragment; `path` leads to it."""
        if key in path:
            raise self._loop((*path[path.index(key) :], key))
        path = (*path, key)
        if key in self._heights:
            height = self._heights[key]
        else:
            for fault in self._own_faults(key):
                raise fault
            height = 0
            if len(path) - 1 <= MAX_DEPTH:
                below = (self._key(key, name) for name in self._included(key))
                heights = (self._height(child, path) for child in below if child is not None)
                height = max((1 + levels for levels in heights), default=0)
                self._heights[key] = height
        if len(path) - 1 + height > MAX_DEPTH:
            raise self._deep(path)
        return height

    def _own_faults(self, key: str) -> Iterator[PromptFileError]:
        if key.startswith(_FILE):
            yield from self.include_faults(key.removeprefix(_FILE))

    def _loop(self, path: tuple[str, ...]) -> PromptFileError:
        names = " → ".join(self._show(key) for key in path)
        file = self._files[path[0].removeprefix(_FILE)]
        line = self._include_line(file, path[1])
        return _fault(file, line, f"includes go round in a circle: {names}", rule="include-cycle")

    def _deep(self, path: tuple[str, ...]) -> PromptFileError:
        file = self._files[path[0].removeprefix(_FILE)]
        names = " → ".join(self._show(key) for key in path)
        line = self._include_line(file, path[1]) if len(path) > 1 else 1
        return _fault(
            file,
            line,
            f"includes go deeper than {MAX_DEPTH} levels: {names}…; inline one of them",
            rule="include-depth",
        )

    def _include_line(self, file: PromptFile, key: str) -> int:
        owner = _FILE + file.name
        lines = (
            include.line
            for usage in file.usages
            for include in usage.includes
            if include.name and self._key(owner, include.name) == key
        )
        return next(lines, 1)

    def _show(self, key: str) -> str:
        return key.removeprefix(_FILE) if key.startswith(_FILE) else key[: len(_SHA) + 8]


def _refuse_templates(file: PromptFile) -> None:
    """Raise what the template language raised for a template, with the line in the file."""
    for message, usage in zip(file.messages, file.usages, strict=True):
        if usage.refused:
            try:
                check_template(message["template"], name=file.path)
            except TemplateError as error:
                where = f"{file.path}, line {usage.refused_line}"
                raise type(error)(f"{where}: {usage.refused}") from error


def _fault(file: PromptFile, line: int, reason: str, *, rule: str) -> PromptFileError:
    return PromptFileError(
        f"{file.path}, line {line}: {reason}", path=file.path, line=line, rule=rule
    )
