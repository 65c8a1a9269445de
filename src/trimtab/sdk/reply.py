"""What a provider's answer says about itself, as event columns; nothing in it is trusted.

A column of a wrong type or size would make the server refuse the whole event, and a count that is
missing only for odd answers would bias a comparison: odd parts are left out one by one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

NAME_CHARS = 256
MOST_NAMES = 32
LARGEST_COUNT = 2**53 - 1

Columns = dict[str, Any]


def reply_fields(reply: object) -> Columns:
    """The event columns in an OpenAI chat completion, given as object or dict."""
    data = _mapping(reply)
    choices = _mappings(data.get("choices"))
    messages = [_mapping(choice.get("message")) for choice in choices]
    reasons = [choice.get("finish_reason") for choice in choices]
    refused = any(message.get("refusal") for message in messages)
    calls = sum(len(_mappings(message.get("tool_calls"))) for message in messages)
    fields = {
        **origin_fields(data),
        "finish_reasons": names(reasons) or None,
        "flagged": (refused or "content_filter" in reasons) if choices else None,
        "output_chars": sum(text_length(message.get("content")) for message in messages)
        if choices
        else None,
        "tool_calls": calls or None,
        **usage_fields(data.get("usage")),
    }
    return {key: value for key, value in fields.items() if value is not None}


def origin_fields(data: Mapping[str, Any]) -> Columns:
    """Which model answered, and the ids it gave."""
    return {
        "model_answered": name(data.get("model")),
        "response_id": name(data.get("id")),
        "system_fingerprint": name(data.get("system_fingerprint")),
    }


def usage_fields(usage: object) -> Columns:
    """Token columns of an OpenAI `usage` object; input tokens include the cached ones."""
    found = _mapping(usage)
    counts = {
        "input_tokens": count(found.get("prompt_tokens")),
        "output_tokens": count(found.get("completion_tokens")),
        "cached_input_tokens": count(
            _mapping(found.get("prompt_tokens_details")).get("cached_tokens")
        ),
        "reasoning_tokens": count(
            _mapping(found.get("completion_tokens_details")).get("reasoning_tokens")
        ),
    }
    known: Columns = {key: value for key, value in counts.items() if value is not None}
    return {**known, "usage_source": "provider"} if known else {}


def count(value: object) -> int | None:
    """A whole number that an event can hold, else None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT:
        return value
    return None


def name(value: object) -> str | None:
    """A text cut to the length of a name, else None."""
    return value[:NAME_CHARS] if isinstance(value, str) and value else None


def names(values: Iterable[object]) -> list[str]:
    """Those of the values that are names; at most as many as an event holds."""
    return [found for value in values if (found := name(value)) is not None][:MOST_NAMES]


def text_length(content: object) -> int:
    """Characters of a message's content: a string, or a list of parts with text."""
    if isinstance(content, str):
        return len(content)
    return sum(text_length(part.get("text")) for part in _mappings(content))


def _mapping(value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    dump = getattr(value, "model_dump", None)
    data = dump() if callable(dump) else None
    return data if isinstance(data, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
