from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import DatasetError
from trimtab.evals.scorers import ScorerKind, count_sentences, make_scorer, overlap_f1


def score(kind: ScorerKind, answer: str, expected: Any = None, /, **params: Any) -> float:
    return make_scorer(kind, params, where="suite")(answer, expected).value


def test_exact_compares_texts_without_their_borders() -> None:
    assert score("exact", " yes\n", "yes") == 1
    assert score("exact", "Yes", "yes") == 0
    assert score("exact", "Yes", "yes", ignore_case=True) == 1


def test_exact_compares_other_values_as_json() -> None:
    assert score("exact", '{"b": 2, "a": 1.0}', {"a": 1, "b": 2}) == 1
    assert score("exact", "true", 1) == 0
    assert score("exact", "not json", [1]) == 0


def test_contains_gives_the_share_that_is_there() -> None:
    assert score("contains", "A refund for order 17", ["refund", "order"]) == 1
    assert score("contains", "A refund", ["refund", "order"]) == 0.5
    assert score("contains", "A refund", ["order", "refund"], match="any") == 1
    assert score("contains", "A refund", ["order"], match="none") == 1
    assert score("contains", "A refund", "refund", match="none") == 0
    assert score("contains", "A REFUND", "refund", ignore_case=False) == 0


def test_a_key_picks_a_part_of_what_is_expected() -> None:
    assert score("contains", "A refund", {"names": "refund", "text": "x"}, key="names") == 1


def test_a_fixed_expectation_in_the_suite_wins() -> None:
    assert score("contains", "Kind regards", "something else", expected="regards") == 1


def test_regex_looks_anywhere_or_wants_nothing() -> None:
    assert score("regex", "order A-12345", pattern=r"[A-Z]-\d{5}") == 1
    assert score("regex", "order 12345", pattern=r"[A-Z]-\d{5}") == 0
    assert score("regex", "Dear [NAME]", pattern=r"\[[A-Z]+\]", found=False) == 0


SCHEMA = {
    "type": "object",
    "properties": {"topic": {"enum": ["a", "b"]}, "urgent": {"type": "boolean"}},
    "required": ["topic", "urgent"],
    "additionalProperties": False,
}


def test_json_schema_checks_form_and_then_values() -> None:
    right = {"topic": "a", "urgent": False}

    assert score("json_schema", '{"topic": "a", "urgent": true}', schema=SCHEMA) == 1
    assert score("json_schema", '{"topic": "c", "urgent": true}', schema=SCHEMA) == 0
    assert score("json_schema", "topic: a", schema=SCHEMA) == 0
    answer = '{"topic": "a", "urgent": true}'
    assert score("json_schema", answer, right, schema=SCHEMA, values=True) == 0.5


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("One. Two! Three?", 3),
        ("No end mark", 1),
        ("One. and a tail", 2),
        ("It costs 3.50 euros.", 1),
        ("Use tools, e.g. a saw, etc. and go. Done.", 2),
        ('He said "stop." Then he left.', 2),
    ],
)
def test_sentences_are_counted_by_their_ends(text: str, n: int) -> None:
    assert count_sentences(text) == n


def test_sentence_count_keeps_both_bounds() -> None:
    assert score("sentence_count", "One. Two.", at_most=2) == 1
    assert score("sentence_count", "One. Two. Three.", at_most=2) == 0
    assert score("sentence_count", "", at_most=2) == 0


def test_token_overlap_is_the_f1_of_the_words() -> None:
    # Two of three words on each side in common: precision = recall = 2/3.
    assert score("token_overlap", "the red fox", "the red hen") == pytest.approx(2 / 3)
    assert overlap_f1("", "") == 1


@given(st.text(), st.text())
def test_overlap_is_symmetric_and_within_bounds(one: str, other: str) -> None:
    value = overlap_f1(one, other)

    assert 0 <= value <= 1
    assert value == pytest.approx(overlap_f1(other, one))


@pytest.mark.parametrize(
    ("kind", "params", "named"),
    [
        ("contains", {"texts": ["a"]}, "texts.*expected, key, match, ignore_case"),
        ("regex", {}, "pattern"),
        ("regex", {"pattern": "("}, "pattern"),
        ("json_schema", {"schema": {"oneOf": []}}, "oneOf"),
        ("sentence_count", {"at_least": 3, "at_most": 2}, "exclude all"),
        ("sentence_count", {"at_most": "two"}, "at_most"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    kind: ScorerKind, params: dict[str, Any], named: str
) -> None:
    with pytest.raises(DatasetError, match=named):
        make_scorer(kind, params, where="suite")


def test_an_expectation_a_scorer_cannot_use_is_trouble_of_the_suite() -> None:
    with pytest.raises(DatasetError, match="text"):
        score("token_overlap", "answer", None)
    with pytest.raises(DatasetError, match="list of texts"):
        score("contains", "answer", 7)
