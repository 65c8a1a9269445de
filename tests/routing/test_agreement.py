"""Decisions equal those of the GrowthBook SDK on random payloads of the portable subset.

Left out is what SDKs themselves answer differently: a force with coverage, order operators on
values that may be missing or of another type, null forces, ids that are no strings.
"""

import itertools
import random
from collections import Counter
from typing import Any

from growthbook import GrowthBook

from tests.routing.payloads import payload_of, value_of
from trimtab.routing.evaluator import Context, Decision, compile_table
from trimtab.routing.results import FeatureSet

COUNTRIES = ["DE", "FR", "us"]
TAGS = ["a", "b", "c"]
PAYLOADS = 300
UNITS_A_PAYLOAD = 12

Document = dict[str, Any]


def test_thousands_of_random_decisions_are_the_growthbook_sdks() -> None:
    rng = random.Random(20_260_101)
    origins: Counter[str] = Counter()
    for _ in range(PAYLOADS):
        payload = payload_of(random_features(rng), plan_units={"plan": "user"}, saved_groups=GROUPS)
        table = compile_table(payload)
        features = FeatureSet(payload.features, saved_groups=GROUPS)
        theirs = GrowthBook(features=payload.features, saved_groups=GROUPS)
        for _ in range(UNITS_A_PAYLOAD):
            context = random_context(rng)
            attributes = attributes_of(context)
            theirs.set_attributes(attributes)
            want = theirs.eval_feature("a")
            origins[want.source] += 1

            got = features.evaluate("a", attributes)

            assert (got.value, got.origin, got.rule_id) == (
                want.value,
                want.source,
                want.ruleId or "",
            )
            assert_decision_is(table.decide("a", context), want)
        theirs.destroy()
    assert origins.keys() == {"defaultValue", "force", "experiment", "prerequisite"}
    assert min(origins.values()) > 100


def assert_decision_is(decision: Decision, want: Any) -> None:
    value = want.value or {}
    assert (decision.sha, decision.version) == (value.get("sha"), value.get("version"))
    if want.source in {"force", "experiment"}:
        assert decision.rule_id == want.ruleId
    if want.source == "experiment" and want.experiment.key == "plan":
        result = want.experimentResult
        assert (decision.variant, decision.bucket) == (result.key, round(result.bucket * 10_000))
        assert (decision.plan_id, decision.epoch) == ("plan", 3)


def random_features(rng: random.Random) -> dict[str, Document]:
    rules = [random_rule(rng, number) for number in range(rng.randint(0, 4))]
    parent_rules = [random_rule(rng, number) for number in range(rng.randint(0, 2))]
    return {
        "a": {"defaultValue": value_of("default"), "rules": rules},
        "parent": {
            "defaultValue": value_of("v9", "parent"),
            "rules": [rule for rule in parent_rules if "parentConditions" not in rule],
        },
    }


def random_rule(rng: random.Random, number: int) -> Document:
    rule: Document = {"id": f"r{number}"}
    if rng.random() < 0.5:
        rule["condition"] = random_condition(rng, depth=2)
    if rng.random() < 0.2:
        rule["filters"] = [
            {
                "seed": rng.choice(["n1", "n2"]),
                "attribute": rng.choice(["id", "thread_id"]),
                "ranges": [random_part(rng) for _ in range(rng.randint(1, 2))],
                "hashVersion": 2,
            }
        ]
    if rng.random() < 0.15:
        rule["parentConditions"] = [
            {
                "id": rng.choice(["parent", "parent", "nowhere"]),
                "condition": {"value.version": rng.choice(["v9", "v0", "v1"])},
                "gate": rng.random() < 0.5,
            }
        ]
    return rule | (random_force(rng) if rng.random() < 0.4 else random_split(rng))


def random_force(rng: random.Random) -> Document:
    force: Document = {"force": value_of(f"v{rng.randint(0, 3)}")}
    if rng.random() < 0.4:
        force |= {"range": random_part(rng), "seed": "force", "hashVersion": rng.choice([1, 2])}
    return force


def random_split(rng: random.Random) -> Document:
    sides = rng.randint(2, 4)
    split: Document = {
        "key": rng.choice(["plan", "other"]),
        "seed": rng.choice(["s1", "s2", "sé"]),
        "hashAttribute": rng.choice(["id", "thread_id", "request_id"]),
        "hashVersion": rng.choice([1, 2, 2]),
        "variations": [value_of(f"v{side}") for side in range(sides)],
        "meta": [
            {"key": f"side{side}", "passthrough": rng.random() < 0.1} for side in range(sides)
        ],
        "disableStickyBucketing": True,
    }
    if rng.random() < 0.7:
        cuts = sorted(rng.randint(0, 10_000) for _ in range(sides + 1))
        split["ranges"] = [[low / 10_000, high / 10_000] for low, high in itertools.pairwise(cuts)]
    else:
        weights = [rng.random() for _ in range(sides)]
        split["weights"] = [weight / sum(weights) for weight in weights]
        split["coverage"] = rng.choice([1, 0.5, rng.random()])
    if rng.random() < 0.2:
        split["namespace"] = ["ns", *random_part(rng)]
    return split


def random_part(rng: random.Random) -> list[float]:
    low, high = sorted([rng.randint(0, 10_000), rng.randint(0, 10_000)])
    return [low / 10_000, high / 10_000]


def random_condition(rng: random.Random, *, depth: int) -> Document:
    if depth and rng.random() < 0.35:
        inner = [random_condition(rng, depth=depth - 1) for _ in range(rng.randint(1, 3))]
        name = rng.choice(["$or", "$and", "$nor"])
        return {"$not": inner[0]} if rng.random() < 0.3 else {name: inner}
    return dict(rng.sample(list(LEAVES.items()), rng.randint(1, 2)))


GROUPS = {"team": ["user-1", "user-3", "user-5"]}

LEAVES: Document = {
    "country": {"$in": ["DE", "FR"]},
    "tier": "vip",
    "age": {"$gte": 30, "$lt": 60},
    "tags": {"$elemMatch": {"$eq": "a"}},
    "city.name": {"$regex": "^B"},
    "id": {"$inGroup": "team"},
    "thread_id": {"$exists": True},
    "app": {"$vgte": "1.9.0"},
    "beta": {"$ne": True},
    "city": {"$type": "object"},
    "city.zip": {"$nini": ["X1"]},
    "missing": None,
}


def random_context(rng: random.Random) -> Context:
    attributes: Document = {
        "country": rng.choice(COUNTRIES),
        "age": rng.randint(20, 70),
        "tags": rng.sample(TAGS, rng.randint(0, 3)),
        "app": rng.choice(["1.8.3", "1.9.0", "1.10.0", "2.0.0-rc.1"]),
        "city": {"name": rng.choice(["Bonn", "Berlin", "Köln"]), "zip": rng.choice(["x1", "y2"])},
    }
    if rng.random() < 0.5:
        attributes |= {"tier": rng.choice(["vip", "pro"]), "beta": rng.random() < 0.5}
    unit = rng.choice([f"user-{rng.randint(0, 99)}", f"日本-{rng.random()}", None])
    return Context(
        unit_id=unit,
        thread_id=rng.choice([f"thread-{rng.random()}", None]),
        request_id=f"request-{rng.random()}",
        attributes=attributes,
    )


def attributes_of(context: Context) -> Document:
    ids = {
        "id": context.unit_id,
        "thread_id": context.thread_id,
        "request_id": context.request_id,
    }
    return context.attributes | {name: value for name, value in ids.items() if value is not None}
