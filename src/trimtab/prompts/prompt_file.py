"""One prompt file: its front matter, its message blocks, and what they use."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from trimtab.errors import BadReference, IdentityError, PromptFileError
from trimtab.prompts.blocks import Block, cut_blocks
from trimtab.prompts.canonical import canonical_json
from trimtab.prompts.reference import check_name, check_tag
from trimtab.prompts.schema import name_fault, schema_faults
from trimtab.prompts.shape import KINDS, check_steps, keys_of
from trimtab.prompts.text import decode_text
from trimtab.prompts.usage import Usage, template_usage
from trimtab.prompts.version import ENGINE, variables_schema
from trimtab.prompts.yaml import Document, read_document

IDENTITY_KEYS = ("kind", "model", "sampling", "variables", "tools", "response_format", "steps")
META_KEYS = ("description", "owner", "tag", "links", "policy")
SUFFIX = ".prompt"
MAX_FRONT_MATTER = 96 * 1024
"""Characters; a hundred tool definitions fit. Reading dense YAML takes some 10 s a megabyte."""

MAX_BODY = 128 * 1024
"""Characters; twice what templates may have together, so that a wrong file is refused unread."""

_FENCE = "---"


class PromptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt file as written, checked for form; includes are not resolved yet.

    `messages` has the identity's form (`version.Version.messages`). For each of its entries
    `template_lines` holds the line of the file on which the template begins and `usages` what it
    uses. `variables` maps names to schemas as written. `includes` are the names as written, each
    once, in order.
    """

    name: str
    path: str
    kind: str
    messages: list[dict[str, Any]]  # {"role": str, "template": str} or {"history": True}
    template_lines: list[int]
    usages: list[Usage]
    includes: list[str]
    meta: dict[str, Any] = {}  # JSON: description, owner, tag, links, policy
    model: str | None = None
    sampling: dict[str, Any] = {}  # JSON, as the provider takes it
    variables: dict[str, dict[str, Any]] = {}  # JSON Schema
    tools: list[Any] = []  # JSON, as the provider takes it
    response_format: dict[str, Any] | None = None  # JSON, as the provider takes it
    steps: list[dict[str, Any]] = []  # JSON, see shape.check_steps
    lines: Mapping[tuple[str | int, ...], int] = {}

    def line_of(self, *path: str | int) -> int:
        """Line of a part of the front matter, such as `"variables", "question"`; 1 if unknown."""
        return Document(value=None, lines=self.lines).line_of(*path) or 1

    def identity(self, includes: Mapping[str, str]) -> dict[str, Any]:
        """The identity of this file with its includes resolved to shas."""
        return {
            "kind": self.kind,
            "engine": ENGINE,
            "messages": self.messages,
            "variables": variables_schema(self.variables),
            "model": self.model,
            "sampling": self.sampling,
            "tools": self.tools,
            "response_format": self.response_format,
            "includes": {name: includes[name] for name in self.includes},
            "steps": self.steps,
        }


def name_from_path(relative: PurePosixPath) -> str:
    """The name of a path below the prompts folder: `support/reply.prompt` → `support.reply`.

    Raises:
        PromptFileError: Another suffix, a dot in a folder or stem, or a name no prompt can have.
    """
    if relative.suffix != SUFFIX or relative.is_absolute():
        raise PromptFileError(
            f"{relative}: a prompt file lies below its folder and ends in {SUFFIX}",
            path=str(relative),
        )
    parts = (*relative.parts[:-1], relative.stem)
    if dotted := next((part for part in parts if "." in part), None):
        raise PromptFileError(
            f'{relative}: "{dotted}" holds a dot, which separates folders in a name; rename it',
            path=str(relative),
        )
    try:
        return check_name(".".join(parts))
    except BadReference as error:
        raise PromptFileError(f"{relative}: {error}", path=str(relative)) from error


def parse_prompt_file(text: str | bytes, *, name: str, path: str = "") -> PromptFile:
    """Read one prompt file.

    A file without front matter is a prompt of one user message. Needs PyYAML where there is some.

    Args:
        text: The file's bytes, or its text.
        name: The prompt's name, see `name_from_path`.
        path: What errors and findings call the file; the name when empty.

    Raises:
        PromptFileError: What cannot be read, the line, and the way out.
        BadReference: The name is not a prompt's.
    """
    check_name(name)
    where = path or name
    front, body, body_line = _split(decode_text(text, where=where), where=where)
    _check_size(front, "front matter", MAX_FRONT_MATTER, where=where, rule="file")
    _check_size(body, "templates", MAX_BODY, where=where, rule="template")
    document = Document(value=None, lines={})
    if front:
        document = read_document(front, where=where, first_line=2)
    fields = _FrontMatter(document, where=where).fields()
    blocks = _blocks(body, kind=fields["kind"], where=where, first_line=body_line)
    usages = [
        template_usage(block.template, where=where, first_line=block.line) for block in blocks
    ]
    return PromptFile(
        name=name,
        path=where,
        messages=[_message(block, kind=fields["kind"]) for block in blocks],
        template_lines=[block.line for block in blocks],
        usages=usages,
        includes=_included(usages),
        lines=document.lines,
        **fields,
    )


def _split(text: str, *, where: str) -> tuple[str, str, int]:
    """Front matter, body, and the line on which the body begins."""
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        if text.lstrip().startswith(f"{_FENCE}\n"):
            raise PromptFileError(
                f'{where}, line 1: the front matter begins with "---" on the first line; '
                "remove what stands before it",
                path=where,
                line=1,
            )
        return "", text, 1
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == _FENCE:
            front = "".join(f"{line}\n" for line in lines[1 : number - 1])
            return front, "\n".join(lines[number:]), number + 1
    raise PromptFileError(
        f'{where}, line 1: the front matter is never closed; add a line "---" after it',
        path=where,
        line=1,
    )


def _check_size(text: str, what: str, cap: int, *, where: str, rule: str) -> None:
    if len(text) > cap:
        raise PromptFileError(
            f"{where}: {len(text)} characters of {what}; a prompt file has at most {cap}",
            path=where,
            rule=rule,
        )


def _blocks(body: str, *, kind: str, where: str, first_line: int) -> list[Block]:
    """The blocks of a body that fit its kind; a chain has neither."""
    if kind != "chain":
        blocks = cut_blocks(body, where=where, first_line=first_line)
        _check_blocks(blocks, kind=kind, where=where)
        return blocks
    if body.strip():
        raise PromptFileError(
            f"{where}, line {first_line}: a chain has steps and no body; remove the text",
            path=where,
            line=first_line,
        )
    return []


def _check_blocks(blocks: Sequence[Block], *, kind: str, where: str) -> None:
    if kind == "fragment" and (tag := next((b for b in blocks if b.kind != "text"), None)):
        raise PromptFileError(
            f"{where}, line {tag.line}: a fragment has no {tag.kind} blocks; it is included in one",
            path=where,
            line=tag.line,
        )
    if kind != "prompt":
        return
    texts = [block for block in blocks if block.kind != "history"]
    if not texts or (texts[0].kind == "text" and not texts[0].template.strip()):
        raise PromptFileError(
            f"{where}: the prompt has no message; write text below the front matter, or "
            '{% message role="user" %}…{% endmessage %}',
            path=where,
        )


def _message(block: Block, *, kind: str) -> dict[str, Any]:
    if block.kind == "history":
        return {"history": True}
    if kind == "fragment":
        return {"template": block.template}
    return {"role": block.role or "user", "template": block.template}


def _included(usages: Sequence[Usage]) -> list[str]:
    names = (include.name for usage in usages for include in usage.includes if include.name)
    return list(dict.fromkeys(names))


class _FrontMatter:
    """Checks the form of each front-matter key and gives the fields of a `PromptFile`."""

    def __init__(self, document: Document, *, where: str) -> None:
        self._document = document
        self._where = where
        self._values: dict[str, Any] = {}

    def fields(self) -> dict[str, Any]:
        """Keyword arguments of `PromptFile` that come from the front matter."""
        value = self._document.value
        if value is not None and not isinstance(value, dict):
            raise self._fault("the front matter is not a mapping such as model: openai/…", "")
        self._values = {key: part for key, part in (value or {}).items() if part is not None}
        for key in value or {}:
            if key not in IDENTITY_KEYS and key not in META_KEYS:
                raise self._fault(_unknown_key(key), key, rule="unknown-field")
        kind = self._kind()
        self._check_canonical()
        return {
            "kind": kind,
            "meta": self._meta(),
            "model": self._get("model", str, "text such as openai/gpt-4o-2024-11-20", None),
            "sampling": self._get("sampling", dict, "a mapping such as {temperature: 0.2}", {}),
            "variables": self._variables(),
            "tools": self._get("tools", list, "a list of tool definitions", []),
            "response_format": self._get("response_format", dict, "a mapping", None),
            "steps": self._steps(kind),
        }

    def _kind(self) -> str:
        kind = self._values.get("kind", "prompt")
        if kind not in KINDS:
            raise self._fault(f"kind {kind!r} is not one of {', '.join(KINDS)}", "kind")
        for key, part in self._values.items():
            if key in IDENTITY_KEYS and key not in keys_of(kind) and part not in ({}, []):
                raise self._fault(f"a {kind} has no {key}; remove it or change the kind", key)
        return str(kind)

    def _check_canonical(self) -> None:
        for key in IDENTITY_KEYS:
            try:
                canonical_json({key: self._values.get(key)})
            except IdentityError as error:
                raise self._fault(str(error), key) from error

    def _meta(self) -> dict[str, Any]:
        for key in ("description", "owner", "tag"):
            self._get(key, str, "text", None)
        self._get("policy", dict, "a mapping", None)
        try:
            if "tag" in self._values:
                check_tag(self._values["tag"], environments=())
        except BadReference as error:
            raise self._fault(str(error), "tag") from error
        return {key: self._values[key] for key in META_KEYS if key in self._values}

    def _variables(self) -> dict[str, dict[str, Any]]:
        variables: dict[str, dict[str, Any]] = self._get(
            "variables", dict, "a mapping of names to schemas", {}
        )
        for name, schema in variables.items():
            if message := name_fault(name):
                raise self._fault(message, "variables", name)
            for fault in schema_faults(schema):
                if not fault.unknown_keyword:
                    path = ("variables", name, *fault.path)
                    raise self._fault(f"{'.'.join(path)}: {fault.message}", *path)
        return variables

    def _steps(self, kind: str) -> list[dict[str, Any]]:
        steps: list[dict[str, Any]] = self._get("steps", list, "a list of steps", [])
        if kind == "chain":
            try:
                check_steps(steps)
            except IdentityError as error:
                raise self._fault(str(error), "steps") from error
        return steps

    # Any: a JSON value of the type asked for, or the default.
    def _get(self, key: str, kind: type, want: str, default: Any) -> Any:  # noqa: ANN401
        value = self._values.get(key, default)
        if value is not default and not isinstance(value, kind):
            raise self._fault(f"{key} is {want}, not {value!r:.60}", key)
        return value

    def _fault(self, reason: str, *path: str, rule: str = "file") -> PromptFileError:
        line = self._document.line_of(*path) or 2
        return PromptFileError(
            f"{self._where}, line {line}: {reason}", path=self._where, line=line, rule=rule
        )


def _unknown_key(key: str) -> str:
    import difflib

    known = (*IDENTITY_KEYS, *META_KEYS)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else "remove it"
    return f'unknown key "{key}"; {hint} (keys: {", ".join(known)})'
