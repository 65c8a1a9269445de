"""What a caller of the gateway asks for: the body and headers of a chat completion, checked."""

from collections.abc import Mapping
from typing import Any

import msgspec

from trimtab.errors import BadInput, BadReference, MalformedBody, NotFound
from trimtab.prompts.reference import check_name
from trimtab.prompts.version import Version
from trimtab.sdk.columns import check_ids

MODEL_PREFIX = "trimtab/"
TRIMTAB_KEYS = ("variables", "unit_id", "thread_id", "attributes", "request_id")
PASSED_FIELDS = frozenset(
    {"stream", "stream_options", "user", "metadata"}
    # the provider's transport: how it stores, bills, caches and screens, not what it says
    | {"store", "service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"}
)
OWN_FIELDS = frozenset({"model", "messages", "trimtab"})


class FieldRefused(BadInput):
    """A request field would change what the version says; the message names both values."""

    status = 400
    code = "field_refused"


class ModelNotFound(NotFound):
    """The `model` of a request names no prompt of ours."""

    code = "model_not_found"


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a completion, as trimtab reads it."""

    prompt: str
    reference: str | None
    messages: list[dict[str, Any]]
    fields: dict[str, Any]
    variables: dict[str, Any]
    unit_id: str | None
    thread_id: str | None
    request_id: str | None
    attributes: dict[str, Any]
    stream: bool
    wants_usage: bool


def parse_chat(body: bytes, headers: Mapping[str, str]) -> ChatRequest:
    """The request in a body and its lower-case headers.

    Raises:
        MalformedBody: Not a JSON object.
        ModelNotFound: `model` is not `trimtab/NAME` or `trimtab/NAME@REFERENCE`.
        FieldRefused: An unknown key under `trimtab`, or header and body disagree on an id.
        BadUnit: An id is not a non-empty string of at most 256 bytes.
    """
    document = decode_object(body)
    ours = document.get("trimtab", {})
    if not isinstance(ours, dict):
        raise FieldRefused(f"`trimtab` must be an object, not {ours!r}")
    for key in ours:
        if key not in TRIMTAB_KEYS:
            raise FieldRefused(f"`trimtab.{key}` is not known; it takes {', '.join(TRIMTAB_KEYS)}")
    prompt, reference = parse_model(document.get("model"))
    unit_id, thread_id = _agreed("unit_id", ours, headers), _agreed("thread_id", ours, headers)
    request_id = _text(ours.get("request_id"), "trimtab.request_id")
    check_ids(unit_id=unit_id, thread_id=thread_id, request_id=request_id)
    stream_options = document.get("stream_options") or {}
    return ChatRequest(
        prompt=prompt,
        reference=reference,
        messages=_messages(document.get("messages", [])),
        fields={key: value for key, value in document.items() if key not in OWN_FIELDS},
        variables=_object(ours, "variables"),
        unit_id=unit_id,
        thread_id=thread_id,
        request_id=request_id,
        attributes=_object(ours, "attributes"),
        stream=_flag(document, "stream"),
        wants_usage=isinstance(stream_options, dict)
        and stream_options.get("include_usage") is True,
    )


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object from bytes."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedBody(f"the body is not JSON: {error}; send a chat completion") from error
    if not isinstance(document, dict):
        raise MalformedBody(f"the body is a JSON {type(document).__name__}, want an object")
    return document


def parse_model(model: object) -> tuple[str, str | None]:
    """Prompt name and reference in `trimtab/NAME[@REFERENCE]`."""
    if not isinstance(model, str) or not model.startswith(MODEL_PREFIX):
        raise ModelNotFound(
            f'model {model!r} is not served here; ask for "trimtab/NAME", e.g.'
            ' "trimtab/support.reply"'
        )
    name, at, reference = model.removeprefix(MODEL_PREFIX).partition("@")
    if not name or (at and not reference):
        raise ModelNotFound(f'model {model!r} names no prompt; write "trimtab/NAME[@VERSION]"')
    try:
        check_name(name)
    except BadReference as error:
        raise ModelNotFound(f"model {model[:80]!r} names no prompt: {error}") from error
    return name, reference or None


def upstream_body(request: ChatRequest, version: Version, messages: list[dict[str, Any]]) -> bytes:
    """The body for the provider: the version's own fields, the caller's where they may pass.

    Raises:
        FieldRefused: A field of the identity differs and is not listed in `sampling.open`.
    """
    if version.model is None:
        raise ModelNotFound(f"prompt {request.prompt!r} names no model; the gateway cannot call it")
    own = own_fields(version)
    opened = version.sampling.get("open") or []
    body: dict[str, Any] = {"model": version.model.partition("/")[2], "messages": messages, **own}
    for field, value in request.fields.items():
        if field in PASSED_FIELDS or field in opened:
            body[field] = value
        elif field not in own or own[field] != value:
            raise FieldRefused(
                f"`{field}` is {value!r} in the request and {own.get(field)!r} in version"
                f" {version.sha[:12]}; leave it out, or list it in `sampling: {{open: [...]}}`"
            )
    if request.stream:
        options = body.get("stream_options")
        body["stream_options"] = {
            **(options if isinstance(options, dict) else {}),
            "include_usage": True,
        }
    return msgspec.json.encode(body)


def own_fields(version: Version) -> dict[str, Any]:
    """The request fields a version fixes: sampling, tools, response format."""
    fields = {key: value for key, value in version.sampling.items() if key != "open"}
    if version.tools:
        fields["tools"] = version.tools
    if version.response_format:
        fields["response_format"] = version.response_format
    return fields


def _messages(value: object) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(message, dict) for message in value):
        raise FieldRefused("`messages` must be a list of objects (the conversation so far, or [])")
    return value


def _object(ours: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = ours.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise FieldRefused(f"`trimtab.{key}` must be an object, not {value!r}")
    return value


def _text(value: object, where: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise FieldRefused(f"`{where}` must be a string, not {value!r}")


def _flag(document: Mapping[str, Any], key: str) -> bool:
    value = document.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise FieldRefused(f"`{key}` must be true or false, not {value!r}")


def _agreed(key: str, ours: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    inside = _text(ours.get(key), f"trimtab.{key}")
    name = f"x-trimtab-{key.replace('_', '-')}"
    outside = headers.get(name)
    if inside is not None and outside is not None and inside != outside:
        raise FieldRefused(f"`trimtab.{key}` is {inside!r} and {name} is {outside!r}; send one")
    return inside if inside is not None else outside
