"""Versions and renderings for tests, written in one line."""

from collections.abc import Mapping
from typing import Any

from trimtab.prompts.template import CompiledTemplate, compile_version
from trimtab.prompts.version import Version, version_from_identity


def prompt(
    *messages: str | tuple[str, str],
    variables: Mapping[str, Any] | None = None,
    includes: Mapping[str, Version] | None = None,
) -> Version:
    """A prompt; a bare string is a user message, `history` the place of history."""
    entries: list[dict[str, Any]] = []
    for message in messages:
        role, template = ("user", message) if isinstance(message, str) else message
        history = role == "history"
        entries.append({"history": True} if history else {"role": role, "template": template})
    identity: dict[str, Any] = {"messages": entries}
    if variables:
        identity["variables"] = {
            "type": "object",
            "properties": dict(variables),
            "required": sorted(n for n, schema in variables.items() if "default" not in schema),
            "additionalProperties": False,
        }
    identity["includes"] = {name: version.sha for name, version in (includes or {}).items()}
    return version_from_identity(identity)


def fragment(template: str, includes: Mapping[str, Version] | None = None) -> Version:
    """A fragment."""
    return version_from_identity(
        {
            "kind": "fragment",
            "messages": [{"template": template}],
            "includes": {name: version.sha for name, version in (includes or {}).items()},
        }
    )


def compiled(version: Version, *fragments: Version) -> CompiledTemplate:
    """The version ready to render, with these fragments at hand."""
    return compile_version(version, {entry.sha: entry for entry in fragments})


def rendered(template: str, **values: Any) -> str:
    """The text of a single message whose variables may be anything."""
    version = prompt(template, variables={name: {} for name in values})
    content: str = compiled(version).render(values)[0]["content"]
    return content
