"""What a provider's answer says about itself: tokens, finish reasons, flags; whole or streamed."""

from typing import Any

import msgspec

from trimtab.sdk.reply import names, origin_fields, reply_fields, text_length, usage_fields


class StreamFacts:
    """Collects the event columns of a streamed chat completion, chunk by chunk.

    Args:
        readable: Whether its events can be read at all (not in a coding we do not know).
    """

    def __init__(self, *, readable: bool = True) -> None:
        self._readable = readable
        self.chunks = 0
        self.done = False
        self.failed: str | None = None
        self._chars = 0
        self._first: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._reasons: list[str] = []
        self._tool_calls: set[tuple[str, str]] = set()
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
        if chunk.get("error"):
            self.failed = named_error(chunk["error"])
        self._first = self._first or chunk
        usage = chunk.get("usage")
        if isinstance(usage, dict):
            self._usage = usage
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            return False
        for choice in choices:
            if isinstance(choice, dict):
                self._choice(choice)
        self.chunks += bool(choices)
        return bool(usage) and not choices

    def _choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._chars += text_length(delta.get("content"))
            self._refused = self._refused or bool(delta.get("refusal"))
            for call in delta.get("tool_calls") or ():
                at = call.get("index", 0) if isinstance(call, dict) else 0
                self._tool_calls.add((str(choice.get("index", 0)), str(at)))
        self._reasons += names([choice.get("finish_reason")])

    @property
    def complete(self) -> bool:
        """The provider said that this is all."""
        return self.done or bool(self._reasons)

    def fields(self) -> dict[str, Any]:
        """The event columns known by now; none of a stream that could not be read."""
        if not self._readable:
            return {}
        flagged = self._refused or "content_filter" in self._reasons
        found = {
            **origin_fields(self._first),
            "finish_reasons": names(self._reasons) or None,
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
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return "unknown"
    return named_error(document.get("error") if isinstance(document, dict) else None)


def named_error(error: object) -> str:
    """The `type` or `code` of an OpenAI error object, else `unknown`."""
    if not isinstance(error, dict):
        return "unknown"
    return str(error.get("type") or error.get("code") or "unknown")[:80]
