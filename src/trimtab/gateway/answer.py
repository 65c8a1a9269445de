"""What a provider's answer says about itself: tokens, finish reasons, flags; whole or streamed."""

from typing import Any

import msgspec

from trimtab.sdk.prompt import reply_fields, usage_fields


class StreamFacts:
    """Collects the event columns of a streamed chat completion, chunk by chunk."""

    def __init__(self) -> None:
        self.chunks = 0
        self.done = False
        self.failed = False
        self._chars = 0
        self._first: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._reasons: list[str] = []
        self._tool_calls: set[tuple[int, int]] = set()
        self._refused = False

    def read(self, data: bytes) -> bool:
        """Take the data of one event; True if it carries usage and nothing else."""
        if data == b"[DONE]":
            self.done = True
            return False
        try:
            chunk = msgspec.json.decode(data)
        except msgspec.DecodeError:
            return False  # not ours to judge: passed on as it came
        if not isinstance(chunk, dict):
            return False
        if "error" in chunk:
            self.failed = True
        self._first = self._first or chunk
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        choices = chunk.get("choices") or []
        for choice in choices:
            self._choice(choice)
        self.chunks += bool(choices)
        return bool(usage) and not choices

    def _choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {}
        self._chars += len(delta.get("content") or "")
        self._refused = self._refused or bool(delta.get("refusal"))
        for call in delta.get("tool_calls") or ():
            self._tool_calls.add((choice.get("index", 0), call.get("index", 0)))
        if choice.get("finish_reason"):
            self._reasons.append(choice["finish_reason"])

    @property
    def complete(self) -> bool:
        """The provider said that this is all."""
        return self.done or bool(self._reasons)

    def fields(self) -> dict[str, Any]:
        """The event columns known by now."""
        flagged = self._refused or "content_filter" in self._reasons
        found = {
            "model_answered": self._first.get("model"),
            "response_id": self._first.get("id"),
            "system_fingerprint": self._first.get("system_fingerprint"),
            "finish_reasons": self._reasons or None,
            "flagged": flagged if self.complete else None,
            "output_chars": self._chars,
            "output_chunks": self.chunks,
            "tool_calls": len(self._tool_calls) or None,
            **usage_fields(self._usage),
        }
        return {key: value for key, value in found.items() if value is not None}


def whole_fields(body: bytes) -> dict[str, Any]:
    """The event columns in a whole chat completion; empty when it is none."""
    try:
        reply = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return {}
    return reply_fields(reply) if isinstance(reply, dict) else {}


def error_type(body: bytes) -> str:
    """The `type` or `code` in an OpenAI-shaped error body, else `unknown`."""
    try:
        error = msgspec.json.decode(body).get("error", {})
    except (msgspec.DecodeError, AttributeError):
        return "unknown"
    if not isinstance(error, dict):
        return "unknown"
    found = error.get("type") or error.get("code") or "unknown"
    return str(found)[:80]
