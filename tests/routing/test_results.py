from typing import Any

import pytest

from trimtab.routing.draws import Outside
from trimtab.routing.results import FeatureSet

SPLIT: dict[str, Any] = {
    "key": "split",
    "hashVersion": 2,
    "seed": "s",
    "variations": ["a", "b"],
    "ranges": [[0, 0.5], [0.5, 1]],
    "meta": [{"key": "A"}, {"key": "B"}],
}
UNITS = [{"id": f"user-{number}"} for number in range(200)]


def only(*rules: dict[str, Any], default: object = "default", **features: Any) -> FeatureSet:
    return FeatureSet({"f": {"defaultValue": default, "rules": list(rules)}, **features})


def test_the_first_rule_that_answers_wins() -> None:
    features = only(
        {"force": 1, "condition": {"c": "DE"}}, {"force": 2, "id": "second"}, {"force": 3}
    )

    result = features.evaluate("f", {"c": "FR"})

    assert (result.value, result.origin, result.rule_id) == (2, "force", "second")


def test_a_feature_nobody_defined_has_no_value() -> None:
    assert only().evaluate("g", {}).origin == "unknownFeature"


def test_no_draw_from_outside_changes_nothing_that_the_hash_decides() -> None:
    features = only(SPLIT | {"namespace": ["n", 0, 0.6], "coverage": 0.5})

    plain = [features.evaluate("f", unit).result for unit in UNITS]
    drawn = [features.evaluate("f", unit, outside=Outside()).result for unit in UNITS]

    assert plain == drawn
    assert None in plain
    assert any(plain)


def test_a_passed_on_variation_leaves_the_decision_to_the_next_rule() -> None:
    holdout = SPLIT | {"meta": [{"key": "held"}, {"passthrough": True}]}
    features = only(holdout, {"force": "rest"})

    values = {features.evaluate("f", unit).value for unit in UNITS}
    drawn = {features.evaluate("f", unit, outside=Outside()).value for unit in UNITS}

    assert values == drawn == {"a", "rest"}


@pytest.mark.parametrize(
    ("outside", "values"),
    [
        (Outside(forced={"split": 1}), {"b"}),
        (Outside(forced={"split": 7}), {"default"}),
        (Outside(enabled=False), {"default"}),
        (Outside(qa_mode=True), {"default"}),
        (Outside(qa_mode=True, forced={"split": 0}), {"a"}),
    ],
)
def test_switches_from_outside_stand_over_the_hash(outside: Outside, values: set[str]) -> None:
    features = only(SPLIT)

    assert {features.evaluate("f", unit, outside=outside).value for unit in UNITS} == values


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"variations": ["a"]},
        SPLIT | {"hashVersion": 99},
        {"force": 1, "coverage": 0},
        {"force": 1, "range": [0, 1], "hashVersion": 7},
        {"force": 1, "coverage": 1.0},
        {"force": 1, "filters": [{"seed": "s", "ranges": [[0, 1]], "hashVersion": 9}]},
    ],
)
def test_a_rule_that_cannot_answer_is_passed_over(rule: dict[str, Any]) -> None:
    assert only(rule).evaluate("f", {"user": "x"}).value == "default"


def test_coverage_of_a_force_holds_as_many_buckets_as_the_same_range() -> None:
    by_coverage = only({"force": 1, "coverage": 0.3, "hashVersion": 2, "seed": "s"})
    by_range = only({"force": 1, "range": [0, 0.3], "hashVersion": 2, "seed": "s"})

    given = [
        [features.evaluate("f", unit).value for unit in UNITS]
        for features in (by_coverage, by_range)
    ]

    assert given[0] == given[1]


def test_a_gate_that_is_shut_leaves_no_value() -> None:
    gate = {"parentConditions": [{"id": "p", "condition": {"value": "on"}, "gate": True}]}
    features = only(gate, {"force": 1}, p={"defaultValue": "off"})

    result = features.evaluate("f", {})

    assert (result.value, result.origin) == (None, "prerequisite")


def test_a_parent_without_a_gate_only_skips_its_rule() -> None:
    rule = {"force": 1, "parentConditions": [{"id": "p", "condition": {"value": "on"}}]}

    assert only(rule, p={"defaultValue": "off"}).evaluate("f", {}).value == "default"
    assert only(rule, p={"defaultValue": "on"}).evaluate("f", {}).value == 1


def test_features_that_wait_for_each_other_have_no_value() -> None:
    waits = {"parentConditions": [{"id": "f", "condition": {"value": "on"}, "gate": True}]}
    features = FeatureSet({"f": {"defaultValue": "on", "rules": [waits]}})

    assert features.evaluate("f", {}).origin == "cyclicPrerequisite"


def test_a_chain_of_a_thousand_parents_ends() -> None:
    chain = {
        f"f{n}": {
            "defaultValue": "on",
            "rules": [{"parentConditions": [{"id": f"f{n + 1}", "condition": {"value": "on"}}]}],
        }
        for n in range(1_000)
    }

    assert FeatureSet(chain).evaluate("f0", {}).origin == "cyclicPrerequisite"


def test_an_experiment_by_itself_checks_its_own_conditions() -> None:
    features = FeatureSet({})
    experiment = SPLIT | {"condition": {"c": "DE"}}

    results = [features.run_experiment(experiment, {"id": "user-1", "c": c}) for c in ("DE", "FR")]

    assert [result.in_experiment for result in results] == [True, False]
