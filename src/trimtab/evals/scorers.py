"""Scorers: functions of an answer and what was expected that give a score in [0, 1]."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from trimtab.errors import DatasetError
from trimtab.prompts.schema import schema_faults
from trimtab.prompts.variables import compile_schema, same

ScorerKind = Literal["exact", "contains", "regex", "json_schema", "sentence_count", "token_overlap"]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A value in [0, 1], and in a few words why it is not 1."""

    value: float
    why: str = ""


Scorer = Callable[[str, Any], Score]
"""Scores an answer's text against the sample's `expected`."""

RIGHT = Score(value=1.0)
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]]*(?=\s|$)")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|approx|Mr|Mrs|Ms|Dr|No|vs)\.", re.IGNORECASE)
_TOKEN = re.compile(r"\w+")
_MAX_QUOTED = 80


class ExactParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of `exact`; an expected value that is no text is compared as JSON."""

    expected: Any = None
    key: str | None = None
    ignore_case: bool = False


class ContainsParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of `contains`; `match` says how many of the texts must be there."""

    expected: str | list[str] | None = None
    key: str | None = None
    match: Literal["all", "any", "none"] = "all"
    ignore_case: bool = True


class RegexParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of `regex`; `found: false` wants the pattern to be nowhere."""

    pattern: str
    found: bool = True
    ignore_case: bool = False


class JsonSchemaParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of `json_schema`; the keywords are those of prompt variables.

    With `values`, the share of the expected object's fields that the answer has right counts too.
    """

    json_schema: dict[str, Any] = msgspec.field(name="schema")
    values: bool = False
    key: str | None = None


class SentenceCountParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of `sentence_count`, both bounds included."""

    at_least: int = 1
    at_most: int | None = None


class TokenOverlapParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of `token_overlap`."""

    expected: str | None = None
    key: str | None = None


def make_scorer(kind: ScorerKind, params: Mapping[str, Any], *, where: str) -> Scorer:
    """The scorer of this kind with these settings.

    Raises:
        DatasetError: A setting is unknown, missing or of another type; `where` is named.
    """
    settings, make = _MAKERS[kind]
    try:
        converted = msgspec.convert(params, settings)
    except msgspec.ValidationError as error:
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(settings))
        raise DatasetError(f"{where}: {error}; {kind} takes {known}") from error
    return make(converted, where)


def count_sentences(text: str) -> int:
    """Sentences of a text by their end marks; a last one without a mark counts."""
    plain = _ABBREVIATION.sub("", text).strip()
    if not plain:
        return 0
    ends = list(_SENTENCE_END.finditer(plain))
    return len(ends) + (1 if not ends or ends[-1].end() < len(plain) else 0)


def overlap_f1(answer: str, expected: str) -> float:
    """F1 of the two texts' words as multisets, lower-cased.

    Source:
        Rajpurkar et al. (2016), SQuAD, section 6.1.
    """
    words, wanted = (Counter(_TOKEN.findall(text.lower())) for text in (answer, expected))
    if not words or not wanted:
        return float(words == wanted)
    common = (words & wanted).total()
    return 2 * common / (words.total() + wanted.total())


def _exact(params: ExactParams, _where: str) -> Scorer:
    def score(answer: str, expected: Any) -> Score:  # noqa: ANN401 — any JSON value can be expected
        wanted = _pick(expected, params.expected, params.key)
        if not isinstance(wanted, str):
            return RIGHT if same(_as_json(answer), wanted) else _wrong(answer, wanted)
        given = answer.strip(), wanted.strip()
        if params.ignore_case:
            given = given[0].casefold(), given[1].casefold()
        return RIGHT if given[0] == given[1] else _wrong(answer, wanted)

    return score


def _contains(params: ContainsParams, where: str) -> Scorer:
    def score(answer: str, expected: Any) -> Score:  # noqa: ANN401 — any JSON value can be expected
        wanted = _pick(expected, params.expected, params.key)
        texts = [wanted] if isinstance(wanted, str) else wanted
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise DatasetError(f"{where}: contains wants a text or a list of texts, not {wanted!r}")
        held = answer.casefold() if params.ignore_case else answer
        found = [t for t in texts if (t.casefold() if params.ignore_case else t) in held]
        return _contained(texts, found, params.match)

    return score


def _contained(texts: list[str], found: list[str], match: str) -> Score:
    if match == "none":
        return Score(value=0.0, why=f"holds {_quote(found[0])}") if found else RIGHT
    if not texts or (match == "any" and found) or len(found) == len(texts):
        return RIGHT
    missing = next(text for text in texts if text not in found)
    value = 0.0 if match == "any" else len(found) / len(texts)
    return Score(value=value, why=f"lacks {_quote(missing)}")


def _regex(params: RegexParams, where: str) -> Scorer:
    try:
        pattern = re.compile(params.pattern, re.IGNORECASE if params.ignore_case else 0)
    except re.error as error:
        raise DatasetError(f"{where}: pattern {params.pattern!r}: {error}") from error

    def score(answer: str, _expected: Any) -> Score:  # noqa: ANN401 — any JSON value can be expected
        if (pattern.search(answer) is not None) == params.found:
            return RIGHT
        return Score(value=0.0, why=("does not match" if params.found else "matches"))

    return score


def _json_schema(params: JsonSchemaParams, where: str) -> Scorer:
    for fault in schema_faults(params.json_schema):
        path = ".".join(fault.path) or "schema"
        raise DatasetError(f"{where}: {path}: {fault.message}")
    check = compile_schema(params.json_schema)

    def score(answer: str, expected: Any) -> Score:  # noqa: ANN401 — any JSON value can be expected
        value = _as_json(answer)
        if value is msgspec.UNSET:
            return Score(value=0.0, why=f"not JSON: {_quote(answer)}")
        problems: list[str] = []
        check(value, "answer", problems)
        if problems:
            return Score(value=0.0, why=problems[0])
        return _values(value, _pick(expected, None, params.key)) if params.values else RIGHT

    return score


def _values(value: object, wanted: object) -> Score:
    if not isinstance(value, dict) or not isinstance(wanted, dict) or not wanted:
        return RIGHT if same(value, wanted) else _wrong(str(value), wanted)
    wrong = [
        key for key, right in wanted.items() if key not in value or not same(value[key], right)
    ]
    if not wrong:
        return RIGHT
    right = 1 - len(wrong) / len(wanted)
    return Score(value=right, why=f"{wrong[0]} is {_quote(str(value.get(wrong[0])))}")


def _sentence_count(params: SentenceCountParams, where: str) -> Scorer:
    most = params.at_most
    if params.at_least < 0 or (most is not None and most < params.at_least):
        raise DatasetError(f"{where}: at_least {params.at_least} and at_most {most} exclude all")

    def score(answer: str, _expected: Any) -> Score:  # noqa: ANN401 — any JSON value can be expected
        n = count_sentences(answer)
        if n >= params.at_least and (most is None or n <= most):
            return RIGHT
        return Score(value=0.0, why=f"{n} sentences")

    return score


def _token_overlap(params: TokenOverlapParams, where: str) -> Scorer:
    def score(answer: str, expected: Any) -> Score:  # noqa: ANN401 — any JSON value can be expected
        wanted = _pick(expected, params.expected, params.key)
        if not isinstance(wanted, str):
            raise DatasetError(f"{where}: token_overlap wants a text, not {wanted!r}")
        value = overlap_f1(answer, wanted)
        return Score(value=value, why="" if value == 1 else f"F1 {value:.2f}")

    return score


def _pick(expected: Any, fixed: Any, key: str | None) -> Any:  # noqa: ANN401 — any JSON value can be expected
    if fixed is not None:
        return fixed
    if key is not None:
        return expected.get(key) if isinstance(expected, dict) else None
    return expected


def _as_json(text: str) -> Any:  # noqa: ANN401 — a JSON value, or UNSET for none
    try:
        return msgspec.json.decode(text.strip().encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return msgspec.UNSET


def _wrong(answer: str, wanted: object) -> Score:
    return Score(value=0.0, why=f"{_quote(answer)}, want {_quote(str(wanted))}")


def _quote(text: str) -> str:
    short = text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…"
    return f'"{short}"'


# Any: each maker takes the settings class beside it.
_MAKERS: dict[ScorerKind, tuple[type[msgspec.Struct], Callable[[Any, str], Scorer]]] = {
    "exact": (ExactParams, _exact),
    "contains": (ContainsParams, _contains),
    "regex": (RegexParams, _regex),
    "json_schema": (JsonSchemaParams, _json_schema),
    "sentence_count": (SentenceCountParams, _sentence_count),
    "token_overlap": (TokenOverlapParams, _token_overlap),
}
