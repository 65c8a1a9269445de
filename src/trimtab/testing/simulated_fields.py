"""Filling a JSON schema from a text, the way a model asked for structured output would."""

import re
from collections.abc import Mapping
from typing import Any

_FINDERS = (
    ("email", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    ("order", re.compile(r"\b(?:[A-Z]{1,3}-?)?\d{4,}\b")),
    ("number", re.compile(r"\b(?:[A-Z]{1,3}-?)?\d{2,}\b")),
    ("date", re.compile(r"\b\d{4}-\d{2}-\d{2}\b")),
    (
        "amount",
        re.compile(r"\d+(?:\.\d+)?(?= ?(?:EUR|USD|€|dollars|euros))|(?<=[$€])\d+(?:\.\d+)?"),
    ),
    ("price", re.compile(r"(?<=[$€])\d+(?:\.\d+)?")),
    ("name", re.compile(r"(?:[Mm]y name is|I am|[Rr]egards,) ([A-Z]\w+(?: [A-Z]\w+)?)")),
    ("phone", re.compile(r"\+?\d[\d /-]{6,}\d")),
)
_SYNONYMS = {
    "refund": ("money back", "refund", "return"),
    "shipping": ("parcel", "package", "deliver", "shipping", "shipment"),
    "account": ("password", "log in", "login", "account"),
    "invoice": ("invoice", "bill", "receipt"),
    "urgent": ("urgent", "asap", "immediately", "right now"),
    "negative": ("angry", "terrible", "disappointed"),
    "positive": ("great", "love", "thank"),
}
_FIELD_LIST = re.compile(r"\b(?:fields?|keys?)\s*:?\s+([\w\s,`\"']+)", re.IGNORECASE)
_MAX_FIELDS = 20


def fill_schema(schema: Mapping[str, Any], text: str, *, name: str = "") -> Any:  # noqa: ANN401 — a JSON value of the schema's type
    """A value that fits the schema, with what the text says where it says it.

    Understood: type, properties, items, enum, const; a string not found becomes null where the
    schema allows it, else `""`.
    """
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return _choose(schema["enum"], text)
    kinds = schema.get("type", "string")
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if "object" in kinds or "properties" in schema:
        fields = schema.get("properties") or {}
        return {key: fill_schema(field, text, name=key) for key, field in fields.items()}
    if "array" in kinds:
        items = schema.get("items") or {"type": "string"}
        return [fill_schema(items, text, name=name)] if text else []
    return _scalar(kinds, name, text)


def named_fields(instructions: str) -> dict[str, Any]:
    """A schema of string fields out of "… JSON … with the fields a, b and c"."""
    found = _FIELD_LIST.search(instructions)
    names = re.findall(r"\w+", found.group(1)) if found else []
    kept = [name for name in names if name not in {"and", "or", "the", "as"}][:_MAX_FIELDS]
    field = {"type": ["string", "null"]}
    return {"type": "object", "properties": dict.fromkeys(kept or ["answer"], field)}


def _scalar(kinds: list[str], name: str, text: str) -> Any:  # noqa: ANN401 — a JSON scalar
    if "boolean" in kinds:
        return _mentions(text, name)
    found = _find(name, text)
    if "string" in kinds:
        if found is not None:
            return found
        return None if "null" in kinds else ""
    digits = re.search(r"-?\d+(?:\.\d+)?", found or text)
    if digits is None:
        return None if "null" in kinds else 0
    return int(float(digits.group())) if "integer" in kinds else float(digits.group())


def _find(name: str, text: str) -> str | None:
    for part, pattern in _FINDERS:
        if part in name.lower() and (match := pattern.search(text)):
            return match.group(match.lastindex or 0)
    return None


def _choose(options: list[Any], text: str) -> Any:  # noqa: ANN401 — one of the enum's values
    for option in options:
        if isinstance(option, str) and _mentions(text, option):
            return option
    return options[-1]


def _mentions(text: str, word: str) -> bool:
    lowered = text.lower()
    return any(part in lowered for part in _SYNONYMS.get(word.lower(), (word.lower(),)))
