"""The test corpus of the GrowthBook SDKs, as far as the format is ours.

The folder named by TRIMTAB_CONFORMANCE holds `growthbook-cases.json` (517 cases of spec 0.8.0).
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from trimtab.routing.conditions import compile_condition
from trimtab.routing.draws import Document, Outside
from trimtab.routing.hashing import hash_fraction
from trimtab.routing.results import FeatureSet, SplitResult
from trimtab.routing.splits import bucket_ranges, choose_variation, equal_weights, in_namespace

pytestmark = pytest.mark.more

# Contextual bandits and query-string overrides are not ours; these cases, and no others, need them.
NOT_OURS = {
    "feature": [
        "CB rule with empty contexts (explore) buckets on marginal weights with fallback leaf -1",
        "CB rule with no contexts key falls back to marginal weights (fallback leaf -1)",
        "CB rule with empty contexts uses marginal weights (fallback leaf -1)",
        "CB rule with empty contexts is overridden by forced variation like a normal experiment",
    ],
    "run": ["querystring force", "querystring force with inactive"],
}

Case = list[Any]


MISSING = "TRIMTAB_CONFORMANCE is not set: it names the folder of growthbook-cases.json"

Say = Callable[[str], None]
Ran = Callable[[str, int, int], None]


@pytest.fixture(name="corpus", scope="module")
def fixture_corpus() -> dict[str, list[Case]]:
    folder = os.environ.get("TRIMTAB_CONFORMANCE")
    if not folder:
        pytest.skip(MISSING)
    corpus: dict[str, list[Case]] = msgspec.json.decode(
        (Path(folder) / "growthbook-cases.json").read_bytes()
    )
    return corpus


@pytest.fixture(name="say")
def fixture_say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Prints a line the reader sees, also from a worker process of a parallel run."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", file=sys.__stderr__, flush=True)

    return say


@pytest.fixture(name="ran")
def fixture_ran(say: Say, record_property: Callable[[str, object], None]) -> Ran:
    """Says and records how many cases of a section ran; checks that it is all of them."""

    def ran(section: str, cases: int, want: int) -> None:
        record_property(f"{section}_cases", cases)
        say(f"growthbook corpus: {section}: {cases} cases ran")
        assert cases == want

    return ran


def test_the_corpus_is_there(say: Say) -> None:
    if "TRIMTAB_CONFORMANCE" not in os.environ:
        say(f"missing prerequisite: {MISSING}")
        pytest.skip(MISSING)

    folder = Path(os.environ["TRIMTAB_CONFORMANCE"])

    assert (folder / "growthbook-cases.json").is_file()


def outside_of(context: dict[str, Any]) -> Outside | None:
    """What a case's context forces; None where nothing is, so that the hash alone decides."""
    given = Outside(
        enabled=context.get("enabled", True),
        qa_mode=context.get("qaMode", False),
        forced=context.get("forcedVariations", {}),
    )
    return None if given == Outside() else given


def as_json(result: SplitResult | None) -> Any:
    return None if result is None else msgspec.to_builtins(result)


def rounded(ranges: Any) -> list[list[float]]:
    return [[round(low, 6), round(high, 6)] for low, high in ranges]


def test_every_condition_matches_as_stated(corpus: dict[str, list[Case]], ran: Ran) -> None:
    wrong = [
        name
        for name, condition, attributes, want, *groups in corpus["evalCondition"]
        if compile_condition(condition, *groups)(attributes) is not want
    ]

    assert wrong == []
    ran("evalCondition", len(corpus["evalCondition"]), 248)


def test_every_hash_is_as_stated(corpus: dict[str, list[Case]], ran: Ran) -> None:
    for seed, value, version, want in corpus["hash"]:
        assert hash_fraction(seed, value, version=version) == want
    ran("hash", len(corpus["hash"]), 15)


def test_every_bucket_range_is_as_stated(corpus: dict[str, list[Case]], ran: Ran) -> None:
    for name, (variations, coverage, weights), want in corpus["getBucketRange"]:
        got = bucket_ranges(variations, coverage=coverage, weights=weights)
        assert rounded(got) == rounded(want), name
    ran("getBucketRange", len(corpus["getBucketRange"]), 13)


def test_every_place_falls_into_the_stated_variation(
    corpus: dict[str, list[Case]], ran: Ran
) -> None:
    for name, place, ranges, want in corpus["chooseVariation"]:
        assert choose_variation(place, ranges) == want, name
    ran("chooseVariation", len(corpus["chooseVariation"]), 13)


def test_every_namespace_holds_the_stated_units(corpus: dict[str, list[Case]], ran: Ran) -> None:
    for name, value, namespace, want in corpus["inNamespace"]:
        assert in_namespace(value, namespace) is want, name
    ran("inNamespace", len(corpus["inNamespace"]), 16)


def test_equal_weights_are_as_stated(corpus: dict[str, list[Case]], ran: Ran) -> None:
    for variations, want in corpus["getEqualWeights"]:
        assert [round(weight, 8) for weight in equal_weights(variations)] == want
    ran("getEqualWeights", len(corpus["getEqualWeights"]), 6)


def test_every_feature_has_the_stated_result(corpus: dict[str, list[Case]], ran: Ran) -> None:
    excluded = [name for name, *_ in corpus["feature"] if name in NOT_OURS["feature"]]
    cases = [case for case in corpus["feature"] if case[0] not in NOT_OURS["feature"]]
    for name, context, key, want in cases:
        features = FeatureSet(context.get("features", {}), saved_groups=context.get("savedGroups"))
        attributes = context.get("attributes", {})

        got = features.evaluate(key, attributes, outside=outside_of(context))

        value, origin = want["value"], want["source"]
        assert (got.value, got.origin, got.rule_id) == (value, origin, want["ruleId"]), name
        assert (bool(got.value), not got.value) == (want["on"], want["off"]), name
        assert as_json(got.result) == want.get("experimentResult"), name
        if got.split is not None and "experiment" in want:
            assert got.split.key == want["experiment"]["key"], name
            assert got.split.rule.variations == want["experiment"]["variations"], name
    assert excluded == NOT_OURS["feature"]
    ran("feature", len(cases), 51)


def test_every_experiment_has_the_stated_result(corpus: dict[str, list[Case]], ran: Ran) -> None:
    excluded = [name for name, *_ in corpus["run"] if name in NOT_OURS["run"]]
    cases = [case for case in corpus["run"] if case[0] not in NOT_OURS["run"]]
    for name, context, experiment, *want in cases:
        features = FeatureSet(context.get("features", {}), saved_groups=context.get("savedGroups"))

        got = features.run_experiment(
            experiment, context.get("attributes", {}), outside=outside_of(context)
        )

        assert [got.value, got.in_experiment, got.hash_used] == want, name
    assert excluded == NOT_OURS["run"]
    ran("run", len(cases), 71)


def test_every_kept_assignment_is_used_and_stored_as_stated(
    corpus: dict[str, list[Case]], ran: Ran
) -> None:
    for name, context, documents, key, want, want_documents in corpus["stickyBucket"]:
        attributes = context["attributes"]
        sticky: dict[str, Document] = {
            f"{each['attributeName']}||{each['attributeValue']}": each for each in documents
        }

        got = FeatureSet(context["features"]).evaluate(
            key, attributes, outside=Outside(sticky=sticky)
        )

        assert as_json(got.result) == want, name
        kept = sticky
        if got.draw is not None and got.split is not None:
            kept = got.split.keep(got.draw, attributes, sticky)
        own = {f"{attribute}||{value}" for attribute, value in attributes.items()}
        assert {place: kept[place] for place in kept if place in own} == want_documents, name
    ran("stickyBucket", len(corpus["stickyBucket"]), 13)
