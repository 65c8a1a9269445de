from typing import Any

import pytest

from trimtab.errors import PayloadError
from trimtab.routing.rules import NOT_OURS, read_feature, read_rule


def test_fields_of_other_tools_are_ignored() -> None:
    rule = read_rule({"force": 1, "foo": "bar", "tracks": [{}]}, where="rule")

    assert rule.force == 1


def test_a_null_field_counts_as_absent() -> None:
    rule = read_rule({"variations": [1, 2], "coverage": None, "meta": None}, where="rule")

    assert (rule.coverage, rule.meta, rule.hash_attribute) == (None, [], "id")


def test_empty_names_and_version_zero_count_as_absent() -> None:
    rule = read_rule({"hashAttribute": "", "hashVersion": 0}, where="rule")

    assert (rule.attribute, rule.version) == ("id", 1)


@pytest.mark.parametrize("field", sorted(NOT_OURS))
def test_a_rule_that_asks_for_what_we_do_not_do_is_skipped(field: str) -> None:
    feature = read_feature("f", {"rules": [{"force": 1, field: "x"}, {"force": 2}]})

    assert [rule.force for rule in feature.rules] == [2]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ({"rules": 5}, "rules of feature 'f' are int, want a list"),
        ({"rules": [5]}, "rule 1 of feature 'f' is int, want an object"),
        (
            {"rules": [{}, {"coverage": "a"}]},
            (
                r"rule 2 of feature 'f' cannot be read: Expected `float \| null`, got `str` - "
                r"at `\$.coverage`"
            ),
        ),
    ],
)
def test_what_cannot_be_read_is_named(document: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PayloadError, match=complaint):
        read_feature("f", document)


def test_a_variation_without_meta_has_no_names() -> None:
    rule = read_rule({"variations": [1, 2], "meta": [{"key": "a"}]}, where="rule")

    assert (rule.meta_of(0).key, rule.meta_of(1).key) == ("a", None)
