import json
from typing import Any

import msgspec
import pytest
from growthbook import GrowthBook
from hypothesis import given
from hypothesis import strategies as st

from tests.releases.worlds import VERSIONS, environment, plan, prompt
from trimtab.releases.compile import (
    compile_payload,
    decision_bytes,
    needed_bodies,
    with_bodies,
)
from trimtab.releases.facts import EnvironmentFacts
from trimtab.routing.evaluator import Context, compile_table
from trimtab.routing.payload import BUCKETS, decode_payload

BODIES: dict[str, dict[str, Any]] = {
    sha: {"kind": "prompt", "messages": [sha]} for sha in ("good", "live", "new")
}


def wire(facts: EnvironmentFacts) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(decision_bytes(compile_payload(facts), scope="decide"))
    return written


def test_a_prompt_without_a_plan_is_one_default_value() -> None:
    payload = wire(environment(prompt("a")))

    assert payload["features"] == {
        "a": {
            "defaultValue": {
                "prompt": "a",
                "version": "1.1.0",
                "sha": "live",
                "model": "sim/m",
                "sampling": {"seed": 1},
            }
        }
    }
    assert payload["trimtab"]["prompts"]["a"] == {
        "live": "live",
        "last_good": "good",
        "killed": False,
        "serving": "live",
        "versions": {
            "good": {"version": "1.0.0", "tag": None},
            "live": {"version": "1.1.0", "tag": "spring"},
            "new": {"version": "1.2.0", "tag": None},
        },
        "plans": [],
    }


def test_sections_that_are_empty_are_sent_so_that_clients_clear_them() -> None:
    payload = wire(environment())

    assert (payload["features"], payload["experiments"], payload["savedGroups"]) == ({}, [], {})
    assert payload["status"] == 200


def test_the_date_that_clients_compare_is_the_time_of_publication() -> None:
    payload = wire(environment())

    assert payload["dateUpdated"] == payload["trimtab"]["published_at"]
    assert payload["trimtab"]["audit"] == {"count": 3, "head": "h"}
    assert "bodies" not in payload["trimtab"]


def test_a_rollout_is_one_rule_over_the_whole_audience() -> None:
    payload = wire(environment(prompt("a", plan=plan())))

    (rule,) = payload["features"]["a"]["rules"]
    values = [value["sha"] for value in rule.pop("variations")]
    assert values == ["new", "live"]
    assert rule == {
        "id": "p-1:2",
        "key": "p-1",
        "seed": "p-0",
        "hashAttribute": "thread_id",
        "hashVersion": 2,
        "meta": [
            {"key": "treatment", "name": "treatment"},
            {"key": "control", "name": "control"},
        ],
        "ranges": [[0.0, 0.1], [0.1, 1.0]],
        "disableStickyBucketing": True,
    }
    assert payload["trimtab"]["plans"] == {
        "p-1": {
            "kind": "rollout",
            "prompt": "a",
            "epoch": 2,
            "unit": "thread",
            "seed": "p-0",
            "share": 1_000,
            "variants": [
                {"key": "treatment", "sha": "new", "ranges": [[0, 1_000]]},
                {"key": "control", "sha": "live", "ranges": [[1_000, BUCKETS]]},
            ],
        }
    }


def test_a_killed_prompt_serves_what_the_switch_says_without_rules() -> None:
    payload = wire(environment(prompt("a", killed=True, serving="good")))

    assert payload["features"]["a"]["defaultValue"]["sha"] == "good"
    assert "rules" not in payload["features"]["a"]


@pytest.mark.parametrize("changes", [{"killed": True}, {"live": None, "last_good": None}])
def test_a_prompt_that_serves_nothing_has_no_feature_but_is_known(changes: dict[str, Any]) -> None:
    payload = compile_payload(environment(prompt("a", serving=None, **changes)))

    decision = compile_table(payload).decide("a", Context())

    assert payload.features == {}
    assert (decision.sha, decision.reason) == (
        None,
        "killed" if changes.get("killed") else "fallback",
    )


@given(st.permutations(["c", "a", "b.x"]), st.permutations(sorted(VERSIONS)))
def test_the_bytes_are_a_function_of_the_facts_not_of_their_order(
    names: list[str], shas: list[str]
) -> None:
    versions = {sha: VERSIONS[sha] for sha in shas}
    facts = environment(*(prompt(name, versions=versions) for name in names))
    sorted_facts = environment(*(prompt(name) for name in sorted(names)))

    written = decision_bytes(compile_payload(facts), scope="decide")

    assert written == decision_bytes(compile_payload(sorted_facts), scope="decide")


@given(st.integers(0, BUCKETS - 1))
def test_a_share_of_k_is_treatment_for_exactly_the_buckets_below_k(share: int) -> None:
    payload = compile_payload(environment(prompt("a", plan=plan(share=share))))
    (rule,) = payload.features["a"]["rules"]
    (low, cut), (start, end) = rule["ranges"]

    treated = sum(low <= bucket / BUCKETS < cut for bucket in range(BUCKETS))

    assert (treated, start, end) == (share, cut, 1.0)


def test_the_compiled_payload_survives_the_wire() -> None:
    payload = compile_payload(environment(prompt("a", plan=plan()), prompt("b"), strict_units=True))

    assert decode_payload(decision_bytes(payload, scope="render")) == payload


def test_the_growthbook_sdk_decides_by_the_same_bytes_as_we_do() -> None:
    raw = decision_bytes(
        compile_payload(environment(prompt("a", plan=plan(share=3_700)))), scope="decide"
    )
    table = compile_table(decode_payload(raw))
    theirs = GrowthBook(features=json.loads(raw)["features"])

    for number in range(300):
        thread = f"thread-{number}"
        theirs.set_attributes({"thread_id": thread})
        want = theirs.eval_feature("a")
        got = table.decide("a", Context(thread_id=thread))
        assert want.value is not None
        assert want.experimentResult is not None
        assert (got.sha, got.variant, got.rule_id) == (
            want.value["sha"],
            want.experimentResult.key,
            want.ruleId,
        )
    theirs.destroy()


def test_a_rendering_client_needs_the_bodies_it_could_be_asked_for() -> None:
    payload = compile_payload(environment(prompt("a", plan=plan()), prompt("b", last_good=None)))

    assert needed_bodies(payload) == {"good", "live", "new"}
    assert needed_bodies(compile_payload(environment())) == set()


def test_bodies_travel_to_keys_that_render_and_to_no_others() -> None:
    payload = with_bodies(compile_payload(environment(prompt("a", plan=plan()))), BODIES)

    rendering = json.loads(decision_bytes(payload, scope="render"))
    deciding = json.loads(decision_bytes(payload, scope="decide"))

    assert rendering["trimtab"].pop("bodies") == BODIES
    assert rendering == deciding


def test_a_missing_body_is_found_before_the_payload_leaves() -> None:
    payload = compile_payload(environment(prompt("a")))

    with pytest.raises(ValueError, match=r"bodies of \['live'\] are missing"):
        with_bodies(payload, {"good": {}})


def test_a_foreign_payload_needs_and_takes_no_bodies() -> None:
    foreign = msgspec.structs.replace(compile_payload(environment()), trimtab=None)

    assert needed_bodies(foreign) == set()
    with pytest.raises(ValueError, match="takes no bodies"):
        with_bodies(foreign, {})
