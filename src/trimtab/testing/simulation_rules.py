"""How the simulated provider behaves: a table of rules over what a prompt's instructions say.

The rules read the rendered instructions (system and developer messages; without any, the first
message) as a stranger may have written them. They never see a name, a version or a sha, and no
rule matches a whole text. What a rule does is multiplied onto the base, quality is added.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

_NUMBER_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: number for number, word in enumerate(_NUMBER_WORDS, start=1)}
_NUMBER = rf"(?:\d+|{'|'.join(NUMBERS)})"
_NEGATION = re.compile(
    r"\b(?:not|never|no|don't|won't|cannot|can't|mustn't|avoid|without|refrain|rather than"
    r"|instead of|neither)\b"
)
_CLAUSE_END = re.compile(r"[.;!?]+(?:\s|$)|\n\s*\n|\n\s*(?:[-*•]|\d+[.)])\s|\bbut\b")
# "If you are not sure, guess": the condition is a clause of its own, its "not" does not negate.
_CONDITION = re.compile(r"\b((?:if|when|whenever|unless|although|where)\b[^,.;!?\n]*),")
SENTENCE_LIMIT = re.compile(
    rf"\b(?:at most|no more than|up to|maximum of|max|in|exactly|within)"
    rf"\s+({_NUMBER})(?:\s+or\s+(?:fewer|less))?(?:\s+\w+)?\s+sentences?\b"
)
_BREVITY = (
    rf"\b(?:at most|no more than|up to|maximum of|within|under)\s+{_NUMBER}"
    r"(?:\s+\w+)?\s+(?:sentences?|words|lines)\b"
    r"|\bin (?:one|two|three|1|2|3)(?:\s+\w+)? sentences?\b|\b(?:be|stay|keep (?:it|\w+ \w+)) "
    r"(?:brief|concise|short|terse)\b|\b(?:brief|concise|short) (?:answer|repl|respon|summar)"
)


class Instructions(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules may look at: the text in lower case, cut into clauses, and its length."""

    clauses: tuple[str, ...]
    words: int
    topics: int


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """How requests with these instructions fare, as rates and means over many of them.

    Attributes:
        flagged_rate: Share answered by a refusal (`finish_reason` content_filter), in [0, 1].
        latency_scale: Factor on the base latency.
        output_tokens_mean: Mean length of an unrestricted answer.
        error_rate: Share answered by an error, in [0, 1].
        quality: Share of answers that are to the point, in [0, 1].
        rules: Names of the rules that hold, in the table's order.
    """

    flagged_rate: float
    latency_scale: float
    output_tokens_mean: float
    error_rate: float
    quality: float
    rules: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: when it holds, and what it does to the behaviour."""

    name: str
    holds: Callable[[Instructions], bool]
    flagged: float = 1.0
    latency: float = 1.0
    tokens: float = 1.0
    quality: float = 0.0


def _over_clauses(pattern: str, wanted: Callable[[bool], bool]) -> Callable[[Instructions], bool]:
    compiled = re.compile(pattern)

    def holds(text: Instructions) -> bool:
        found = ((clause, compiled.search(clause)) for clause in text.clauses)
        return any(
            wanted(_NEGATION.search(clause, 0, match.start()) is not None)
            for clause, match in found
            if match is not None
        )

    return holds


def says(pattern: str) -> Callable[[Instructions], bool]:
    """Holds when a clause matches."""
    return _over_clauses(pattern, lambda _negated: True)


def asks(pattern: str) -> Callable[[Instructions], bool]:
    """Holds when a clause matches and no negation stands before the match in it."""
    return _over_clauses(pattern, lambda negated: not negated)


def forbids(pattern: str) -> Callable[[Instructions], bool]:
    """Holds when a clause matches and a negation stands before the match in it."""
    return _over_clauses(pattern, lambda negated: negated)


BASE = Behaviour(
    flagged_rate=0.084,
    latency_scale=1.0,
    output_tokens_mean=90.0,
    error_rate=0.01,
    quality=0.9,
)
_ADVICE = r"\b(?:medical|legal|financial|tax|investment|health)\b.*\badvice\b"

RULES: tuple[Rule, ...] = (
    Rule(name="says very little", holds=lambda text: text.words < 12, flagged=1.2, quality=-0.1),
    Rule(name="says very much", holds=lambda text: text.words > 400, latency=1.2, quality=-0.03),
    Rule(name="covers many topics", holds=lambda text: text.topics > 8, flagged=1.2, quality=-0.05),
    Rule(name="asks for brevity", holds=asks(_BREVITY), latency=0.9, tokens=0.6, quality=0.02),
    Rule(
        name="asks for depth",
        holds=asks(
            r"\bstep[- ]by[- ]step\b|\bin (?:great |full )?(?:detail|depth)\b|\bat length\b"
            r"|\bthorough|\bcomprehensive|\bexhaustive|\bevery (?:detail|step)\b"
        ),
        latency=1.8,
        tokens=2.2,
    ),
    Rule(
        name="asks for a format",
        holds=asks(r"\bbullet|\bnumbered list|\bjson\b|\btable\b|\bheadings?\b|\bmarkdown\b"),
        latency=1.03,
        quality=0.03,
    ),
    Rule(name="forbids advice", holds=forbids(_ADVICE), flagged=0.75),
    Rule(name="offers advice", holds=asks(_ADVICE), flagged=1.5),
    Rule(
        name="gives a way out",
        holds=says(
            r"\b(?:say so|say that you do(?:n't| not) know|admit|escalate|hand (?:it )?over"
            r"|human (?:agent|colleague))\b"
        ),
        quality=0.03,
    ),
    Rule(
        name="invites speculation",
        holds=asks(r"\bspeculat|\bguess|\bmake (?:up|assumptions)\b|\bassume whatever\b|\binvent"),
        flagged=1.5,
        quality=-0.1,
    ),
    Rule(
        name="answers anything",
        holds=says(
            r"\b(?:never|do not|don't) (?:refuse|decline|turn)|\banswer (?:anything|everything)"
            r"|\bany (?:question|request|topic)\b|\bwhatever (?:\w+ ){1,3}asks?\b"
            r"|\bno (?:topic|subject|question) is off"
        ),
        flagged=1.5,
    ),
    Rule(
        name="asks for a role",
        holds=asks(r"\bpretend\b|\brole-?play|\bact as if\b|\bin character\b|\bunfiltered\b"),
        flagged=1.4,
    ),
    Rule(
        name="sets a warm tone",
        holds=asks(r"\b(?:friendly|warm|polite|kind|courteous|empath\w*|respectful)\b"),
        flagged=0.95,
        quality=0.02,
    ),
    Rule(
        name="sets a harsh tone",
        holds=asks(r"\b(?:blunt|sarcas\w*|aggressive|rude|edgy|provocative|opinionated)\b"),
        flagged=1.3,
        quality=-0.03,
    ),
)


def instructions_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text the rules read: system and developer messages, else the first message."""
    texts = [m.get("content") for m in messages if m["role"] in ("system", "developer")]
    if not texts and messages:
        texts = [messages[0].get("content")]
    return "\n\n".join(text_of(content) for content in texts)


def text_of(content: object) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def behaviour(messages: Sequence[Mapping[str, Any]]) -> Behaviour:
    """How requests with these messages' instructions fare."""
    return behaviour_of(instructions_of(messages))


@lru_cache(maxsize=1024)
def behaviour_of(text: str) -> Behaviour:
    """How requests with this instruction text fare, by the table."""
    read = read_instructions(text)
    held = [rule for rule in RULES if rule.holds(read)]
    flagged, latency, tokens = BASE.flagged_rate, BASE.latency_scale, BASE.output_tokens_mean
    quality = BASE.quality
    for rule in held:
        flagged *= rule.flagged
        latency *= rule.latency
        tokens *= rule.tokens
        quality += rule.quality
    return Behaviour(
        flagged_rate=min(flagged, 0.6),
        latency_scale=latency,
        output_tokens_mean=tokens,
        error_rate=BASE.error_rate,
        quality=min(max(quality, 0.05), 0.99),
        rules=tuple(rule.name for rule in held),
    )


def read_instructions(text: str) -> Instructions:
    """Cut a text into the clauses the rules look at."""
    lowered = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    parted = _CLAUSE_END.split(_CONDITION.sub(r"\1. ", lowered))
    clauses = tuple(" ".join(clause.split()) for clause in parted)
    return Instructions(
        clauses=tuple(clause for clause in clauses if clause),
        words=len(lowered.split()),
        topics=max((clause.count(",") + 1 for clause in clauses), default=0),
    )


def sentence_limit(text: str) -> int | None:
    """The number of sentences the instructions allow, if they name one."""
    found = SENTENCE_LIMIT.search(text.lower())
    if found is None:
        return None
    number = found.group(1)
    return NUMBERS.get(number) or int(number)
