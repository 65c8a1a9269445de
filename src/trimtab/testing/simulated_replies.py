"""What the simulated provider answers: a pure function of seed and rendered messages.

Every draw is a hash of (seed, messages, what is drawn), so the same request fares the same way in
every process, and two questions to one prompt fare independently.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import msgspec

from trimtab.testing.simulated_fields import fill_schema, named_fields
from trimtab.testing.simulation_rules import (
    Behaviour,
    behaviour_of,
    instructions_of,
    sentence_limit,
    text_of,
)

Messages = Sequence[Mapping[str, Any]]  # Any: a message's content is text, parts or null

BASE_LATENCY_MS = 150.0
ERROR_LATENCY_MS = 40.0
LATENCY_SIGMA = 0.35  # of the logarithm: p95 = 1.78 medians
_LENGTH_SIGMA = 0.25
_TOKENS_A_SENTENCE = 16
_CHARACTERS_A_TOKEN = 4
_ERROR_STATUSES = (500, 500, 429, 503)
_CUT_SHARE = 0.2  # of the errors of streamed requests; the rest answer with a status

REFUSAL = "I'm sorry, but I can't help with that request."
VAGUE = "Thank you for your message, I am not certain what this is about."
_SENTENCES = (
    "You can see the current state on your account page.",
    "Please keep the confirmation we sent you by mail.",
    "It usually takes two working days until the change shows.",
    "You do not have to do anything else for now.",
    "If something looks wrong, reply here and we look at it again.",
    "Open the settings, choose the entry and confirm with your password.",
    "We check it by hand and write to you when it is done.",
    "There is no charge for this.",
)
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "about after again also been before could does doing from have having hello here into just "
        "know like long many more much need please should since some still thank thanks that their "
        "them then there these they this today want were what when where which while will with "
        "would your yours",
    )
)
_TOOL_REQUEST = re.compile(r"\b(?:use|call|invoke)\b[^.]*\b(?:tool|function)s?\b")
_WORD = re.compile(r"[A-Za-z0-9][\w#-]*")
_SUMMARY_REQUEST = re.compile(r"\bsum(?:mari[sz]e|mary|s? up)\b")


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of one of the request's tools; `arguments` is JSON text."""

    name: str
    arguments: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one request.

    Attributes:
        digest: sha256 of seed and messages, hex.
        latency_ms: From the request's arrival to the last byte.
        error_status: HTTP status of the error answered instead; None for an answer.
        cut: A streamed answer breaks off half way.
    """

    digest: str
    latency_ms: float
    input_tokens: int
    output_tokens: int = 0
    text: str = ""
    finish_reason: str = "stop"
    tool_call: ToolCall | None = None
    error_status: int | None = None
    cut: bool = False


class Draws:
    """Independent uniform numbers in (0, 1) for one request, by name."""

    def __init__(self, seed: int, messages: Messages) -> None:
        raw = msgspec.json.encode(messages)
        self.digest = hashlib.sha256(b"%d\0%b" % (seed, raw)).hexdigest()

    def uniform(self, name: str) -> float:
        """The number of this name."""
        raw = hashlib.sha256(f"{self.digest}:{name}".encode()).digest()
        return (int.from_bytes(raw[:7]) + 0.5) / 2**56

    def lognormal(self, name: str, *, median: float, sigma: float) -> float:
        """A lognormal number: `median` times e to the `sigma` times a standard normal."""
        return median * math.exp(sigma * _NORMAL.inv_cdf(self.uniform(name)))


_NORMAL = NormalDist()


def reply_to(request: Mapping[str, Any], *, seed: int) -> Reply:
    """What happens to a chat completion request (its decoded JSON body)."""
    messages: Messages = request["messages"]
    instructions = instructions_of(messages)
    fares = behaviour_of(instructions)
    draws = Draws(seed, messages)
    input_tokens = sum(4 + count_tokens(text_of(m.get("content"))) for m in messages)
    if draws.uniform("error") < fares.error_rate:
        return _failed(request, draws, input_tokens)
    latency_ms = draws.lognormal(
        "latency", median=BASE_LATENCY_MS * fares.latency_scale, sigma=LATENCY_SIGMA
    )
    bare = Reply(digest=draws.digest, latency_ms=latency_ms, input_tokens=input_tokens)
    if draws.uniform("flagged") < fares.flagged_rate:
        return _with_text(bare, REFUSAL, finish_reason="content_filter")
    if (call := _tool_call(request, instructions)) is not None:
        return msgspec.structs.replace(
            bare,
            tool_call=call,
            finish_reason="tool_calls",
            output_tokens=count_tokens(call.name + call.arguments),
        )
    text = _compose(request, instructions, fares, draws)
    return _truncated(_with_text(bare, text), request)


def count_tokens(text: str) -> int:
    """Tokens of a text by the rule of thumb of four characters each, at least one."""
    return max(1, round(len(text) / _CHARACTERS_A_TOKEN))


def _failed(request: Mapping[str, Any], draws: Draws, input_tokens: int) -> Reply:
    cut = bool(request.get("stream")) and draws.uniform("cut") < _CUT_SHARE
    status = _ERROR_STATUSES[int(draws.uniform("status") * len(_ERROR_STATUSES))]
    return Reply(
        digest=draws.digest,
        latency_ms=draws.lognormal("latency", median=ERROR_LATENCY_MS, sigma=LATENCY_SIGMA),
        input_tokens=input_tokens,
        text=VAGUE if cut else "",
        output_tokens=count_tokens(VAGUE) if cut else 0,
        error_status=None if cut else status,
        cut=cut,
    )


def _with_text(reply: Reply, text: str, *, finish_reason: str = "stop") -> Reply:
    return msgspec.structs.replace(
        reply, text=text, finish_reason=finish_reason, output_tokens=count_tokens(text)
    )


def _truncated(reply: Reply, request: Mapping[str, Any]) -> Reply:
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if limit is None or reply.output_tokens <= limit:
        return reply
    return msgspec.structs.replace(
        reply,
        text=reply.text[: limit * _CHARACTERS_A_TOKEN],
        output_tokens=limit,
        finish_reason="length",
    )


def _compose(request: Mapping[str, Any], instructions: str, fares: Behaviour, draws: Draws) -> str:
    question = text_of(_last_user(request["messages"]).get("content"))
    to_the_point = draws.uniform("quality") < fares.quality
    lowered = instructions.lower()
    wanted = request.get("response_format") or {}
    if wanted.get("type") in ("json_object", "json_schema") or "json" in lowered:
        return _json_answer(wanted, instructions, question, to_the_point=to_the_point)
    limit = sentence_limit(instructions)
    if _SUMMARY_REQUEST.search(lowered):
        return _summary(question, limit or 3, to_the_point=to_the_point)
    length = draws.lognormal("length", median=fares.output_tokens_mean, sigma=_LENGTH_SIGMA)
    n_sentences = max(1, round(length / _TOKENS_A_SENTENCE))
    if limit is not None:
        n_sentences = min(n_sentences, limit) if to_the_point else limit + 2
    return _answer(question, n_sentences, draws, to_the_point=to_the_point)


def _last_user(messages: Messages) -> Mapping[str, Any]:
    for message in reversed(messages):
        if message["role"] == "user":
            return message
    return messages[-1]


def _answer(question: str, n_sentences: int, draws: Draws, *, to_the_point: bool) -> str:
    first = f"I looked into {_subject(question)} for you." if to_the_point else VAGUE
    start = int(draws.uniform("sentences") * len(_SENTENCES))
    rest = [_SENTENCES[(start + i) % len(_SENTENCES)] for i in range(n_sentences - 1)]
    return " ".join([first, *rest])


def _subject(question: str) -> str:
    words = (word for word in _WORD.findall(question) if len(word) > 3)
    kept = dict.fromkeys(word for word in words if word.lower() not in _STOP_WORDS)
    return " ".join(list(kept)[:8]) or "it"


def _summary(text: str, n_sentences: int, *, to_the_point: bool) -> str:
    if not to_the_point:
        return "The customer wrote to us. " * (n_sentences + 1) + "An answer was given."
    spoken = re.sub(r"(?m)^\s*\w+:\s*", "", text)
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+", spoken) if s.strip()]
    return " ".join(sentences[:n_sentences])


def _json_answer(
    wanted: Mapping[str, Any], instructions: str, text: str, *, to_the_point: bool
) -> str:
    schema = (wanted.get("json_schema") or {}).get("schema") or named_fields(instructions)
    filled = fill_schema(schema, text if to_the_point else "")
    return msgspec.json.encode(filled).decode()


def _tool_call(request: Mapping[str, Any], instructions: str) -> ToolCall | None:
    functions = [t["function"] for t in request.get("tools") or () if t.get("type") == "function"]
    choice = request.get("tool_choice")
    last = request["messages"][-1]
    if not functions or choice == "none" or last["role"] == "tool":
        return None
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    lowered = instructions.lower()
    asked = [f for f in functions if f["name"] == named or f["name"].lower() in lowered]
    if not (asked or choice == "required" or _TOOL_REQUEST.search(lowered)):
        return None
    function = (asked or functions)[0]
    question = text_of(_last_user(request["messages"]).get("content"))
    arguments = fill_schema(function.get("parameters") or {"type": "object"}, question)
    return ToolCall(name=function["name"], arguments=msgspec.json.encode(arguments).decode())
