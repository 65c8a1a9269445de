"""The shape of an identity: which keys a version has and what each may hold."""

import re
from collections.abc import Mapping
from typing import Any

from trimtab.errors import BadReference, IdentityError
from trimtab.prompts.model_pin import is_model
from trimtab.prompts.reference import check_name
from trimtab.prompts.schema import name_fault, schema_faults

KINDS = ("prompt", "fragment", "chain")
ROLES = ("system", "developer", "user", "assistant")
ENGINES = ("jinja2/1",)
KEYS = (
    "kind",
    "engine",
    "messages",
    "variables",
    "model",
    "sampling",
    "tools",
    "response_format",
    "includes",
    "steps",
)

_OF_FRAGMENT = frozenset({"kind", "engine", "messages", "includes"})
_OF_PROMPT = frozenset(KEYS) - {"steps"}
_OF_CHAIN = frozenset({"kind", "engine", "variables", "steps"})
_BY_KIND = {"prompt": _OF_PROMPT, "fragment": _OF_FRAGMENT, "chain": _OF_CHAIN}

_SHA = re.compile(r"[0-9a-f]{64}")
_STEP_KEYS = {"name", "prompt", "variables"}


def keys_of(kind: str) -> frozenset[str]:
    """The identity keys a version of this kind can have."""
    return _BY_KIND[kind]


def check_shape(identity: Mapping[str, Any]) -> None:
    """Refuse an identity that no version can have; empty top-level keys are gone already.

    Raises:
        IdentityError: Names the part and what it must be.
    """
    kind = identity.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise IdentityError(f"kind: {kind!r} is not one of {', '.join(KINDS)}")
    for key in identity:
        if key not in KEYS:
            raise IdentityError(f'key "{key}" is not part of an identity ({", ".join(KEYS)})')
        if key not in _BY_KIND[kind]:
            raise IdentityError(f"{key}: a {kind} has none; leave it out, or change its kind")
    if identity.get("engine") not in ENGINES:
        raise IdentityError(
            f"engine: {identity.get('engine')!r} is not known here ({', '.join(ENGINES)}); "
            "upgrade trimtab"
        )
    if kind == "chain":
        check_steps(identity.get("steps"))
    else:
        _check_messages(identity.get("messages"), kind=kind)
    _check_settings(identity)
    _check_variables(identity.get("variables"))
    _check_includes(identity.get("includes", {}))


def check_steps(steps: object) -> None:
    """Refuse steps that no chain can have.

    Each is `{"name", "prompt"}` with perhaps `variables`: variable of that prompt → where its value
    comes from, the name of a variable of the chain or of an earlier step. Names differ.

    Raises:
        IdentityError: Names the step and what it must be.
    """
    if not isinstance(steps, list) or not steps:
        raise IdentityError("steps: a chain has at least one, each with a name and a prompt")
    seen: set[str] = set()
    for index, step in enumerate(steps):
        where = f"steps[{index}]"
        if (
            not isinstance(step, Mapping)
            or set(step) - _STEP_KEYS
            or not {"name", "prompt"} <= set(step)
        ):
            raise IdentityError(f"{where}: a step has name, prompt and perhaps variables")
        _check_step(step, where=where)
        if step["name"] in seen:
            raise IdentityError(f'{where}: an earlier step is called "{step["name"]}" too')
        seen.add(step["name"])


def _check_step(step: Mapping[str, Any], *, where: str) -> None:
    name, prompt, variables = step["name"], step["prompt"], step.get("variables", {})
    if not isinstance(name, str) or name_fault(name) is not None:
        raise IdentityError(f"{where}.name: {name!r} is not a name; use letters, digits and _")
    if not isinstance(prompt, str):
        raise IdentityError(f"{where}.prompt: {prompt!r} is not a reference such as support.reply")
    try:
        check_name(prompt.partition("@")[0])
    except BadReference as error:
        raise IdentityError(f"{where}.prompt: {error}") from error
    if not isinstance(variables, Mapping) or not all(
        isinstance(source, str) for source in variables.values()
    ):
        raise IdentityError(f"{where}.variables: maps variables to names of earlier outputs")


def _check_messages(messages: object, *, kind: str) -> None:
    if not isinstance(messages, list) or not messages:
        raise IdentityError(f"messages: a {kind} has at least one entry, this has none")
    if kind == "fragment":
        if len(messages) != 1 or set(_keys(messages[0])) != {"template"}:
            raise IdentityError('messages: a fragment has one entry {"template"}, without role')
        _check_template(messages[0]["template"], where="messages[0]")
        return
    history = [entry for entry in messages if _keys(entry) == ["history"]]
    if len(history) > 1:
        raise IdentityError(f"messages: history stands {len(history)} times; once at most")
    if len(history) == len(messages):
        raise IdentityError("messages: a prompt has at least one message of its own")
    for index, entry in enumerate(messages):
        _check_message(entry, where=f"messages[{index}]")


def _check_message(entry: object, *, where: str) -> None:
    match entry:
        case {"history": True, **others} if not others:
            return
        case {"role": role, "template": template, **others} if not others:
            if role not in ROLES:
                raise IdentityError(f"{where}.role: {role!r} is not one of {', '.join(ROLES)}")
            _check_template(template, where=where)
        case _:
            raise IdentityError(
                f'{where}: an entry is {{"role", "template"}} or {{"history": true}}'
            )


def _check_template(template: object, *, where: str) -> None:
    if not isinstance(template, str):
        raise IdentityError(f"{where}.template: {template!r} is not text")


def _check_settings(identity: Mapping[str, Any]) -> None:
    model = identity.get("model")
    if model is not None and not (isinstance(model, str) and is_model(model)):
        raise IdentityError(
            f"model: {model!r} is not provider/name, such as openai/gpt-4o-2024-11-20"
        )
    for key in ("sampling", "response_format"):
        if not isinstance(identity.get(key, {}), Mapping):
            raise IdentityError(f"{key}: {identity[key]!r} is not an object")
    if not isinstance(identity.get("tools", []), list):
        raise IdentityError(f"tools: {identity['tools']!r} is not a list")


def _check_variables(variables: object) -> None:
    if variables is None:
        return
    match variables:
        case {
            "type": "object",
            "properties": dict() as properties,
            "required": list() as required,
            "additionalProperties": False,
            **others,
        } if not others:
            _check_properties(properties, required)
        case _:
            raise IdentityError(
                'variables: not {"type": "object", "properties": {…}, "required": […], '
                '"additionalProperties": false}'
            )


def _check_properties(properties: Mapping[str, Any], required: list[Any]) -> None:
    for name, schema in properties.items():
        if message := name_fault(name):
            raise IdentityError(f"variables: {message}")
        for fault in schema_faults(schema):
            if not fault.unknown_keyword:
                path = ".".join((name, *fault.path))
                raise IdentityError(f"variables.{path}: {fault.message}")
    wanted = sorted(name for name, schema in properties.items() if "default" not in schema)
    if required != wanted:
        raise IdentityError(
            f"variables.required: {required!r} must be the variables without default, sorted: "
            f"{wanted!r}"
        )


def _check_includes(includes: object) -> None:
    if not isinstance(includes, Mapping):
        raise IdentityError(f"includes: {includes!r} does not map names to shas")
    for name, sha in includes.items():
        try:
            check_name(name.partition("@")[0])
        except BadReference as error:
            raise IdentityError(f"includes: {error}") from error
        if not isinstance(sha, str) or _SHA.fullmatch(sha) is None:
            raise IdentityError(f'includes["{name}"]: {sha!r} is not a full sha (64 hex digits)')


def _keys(entry: object) -> list[str]:
    return list(entry) if isinstance(entry, Mapping) else []
