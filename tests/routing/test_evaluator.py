from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.payloads import payload_of, rollout_rule, value_of
from trimtab.errors import BadUnit, MissingUnit, PayloadError, UnknownPrompt
from trimtab.routing.evaluator import Context, Decision, Table, compile_table
from trimtab.routing.hashing import bucket
from trimtab.routing.payload import PromptState

UNIT_IDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
SHARES = st.integers(0, 9_999)


def table_of(*rules: dict[str, Any], **rest: Any) -> Table:
    rest.setdefault("plan_units", {"p": "user"})
    return compile_table(
        payload_of({"a": {"defaultValue": value_of("1"), "rules": list(rules)}}, **rest)
    )


def test_a_prompt_without_rules_is_decided_by_default() -> None:
    decision = table_of().decide("a", Context(unit_id="u"))

    assert decision == Decision(
        prompt="a", reason="default", sha="1", version="1", model="sim/m", sampling={}
    )


def test_a_plans_decision_says_all_that_an_event_needs() -> None:
    decision = table_of(rollout_rule(9_999)).decide("a", Context(unit_id="user-1"))

    assert decision == Decision(
        prompt="a",
        reason="plan",
        sha="2",
        version="2",
        variant="treatment",
        plan_id="p",
        epoch=3,
        rule_id="p:3",
        bucket=bucket("seed", "user-1"),
        unit_kind="user",
        model="sim/m",
        sampling={},
    )


@pytest.mark.parametrize(
    ("attribute", "kind", "context"),
    [
        ("id", "user", Context(unit_id="x")),
        ("thread_id", "thread", Context(thread_id="x", unit_id="other")),
        ("request_id", "request", Context(request_id="x")),
    ],
)
def test_each_kind_of_unit_is_hashed_by_its_own_id(
    attribute: str, kind: str, context: Context
) -> None:
    decision = table_of(rollout_rule(5_000, unit=attribute)).decide("a", context)

    assert (decision.bucket, decision.unit_kind) == (bucket("seed", "x"), kind)


def test_ids_among_the_attributes_are_not_believed() -> None:
    table = table_of(rollout_rule(5_000))

    named = table.decide("a", Context(unit_id="u", attributes={"id": "v"}))
    unnamed = table.decide("a", Context(attributes={"id": "v"}))

    assert (named.bucket, unnamed.reason) == (bucket("seed", "u"), "no_unit")


def test_a_plan_without_its_unit_serves_the_baseline_and_claims_no_plan() -> None:
    decision = table_of(rollout_rule(9_999)).decide("a", Context(request_id="r"))

    assert decision == Decision(
        prompt="a", reason="no_unit", sha="1", version="1", model="sim/m", sampling={}
    )


def test_a_strict_environment_refuses_a_plan_without_its_unit() -> None:
    table = table_of(rollout_rule(1), strict_units=True)

    with pytest.raises(MissingUnit, match=r"runs plan 'p' by user, .* give unit_id"):
        table.decide("a", Context())


def test_a_prompt_without_a_plan_needs_no_unit_even_where_units_are_strict() -> None:
    assert table_of(strict_units=True).decide("a", Context()).reason == "default"


def test_a_request_outside_the_plans_audience_misses_no_unit() -> None:
    rule = rollout_rule(5_000) | {"condition": {"tier": "vip"}}

    table = table_of(rule, strict_units=True)

    assert table.decide("a", Context(attributes={"tier": "pro"})).reason == "default"
    with pytest.raises(MissingUnit):
        table.decide("a", Context(attributes={"tier": "vip"}))


@pytest.mark.parametrize("field", ["unit_id", "thread_id", "request_id"])
@pytest.mark.parametrize("value", ["", "x" * 257, "a\udc00", 5])
def test_a_bad_id_is_an_error_whether_or_not_it_is_hashed(field: str, value: Any) -> None:
    with pytest.raises(BadUnit, match=field):
        table_of().decide("a", Context(**{field: value}))


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        ({}, "force"),
        ({"trimtab": {"reason": "opt_in"}}, "opt_in"),
        ({"trimtab": {"reason": "override"}}, "override"),
        ({"trimtab": {"reason": "plan"}}, "force"),
        ({"trimtab": {"reason": "later", "more": 1}}, "force"),
    ],
)
def test_a_force_gives_its_reason_and_no_plan(note: dict[str, Any], reason: str) -> None:
    rule = {"id": "qa", "force": value_of("2"), "condition": {"id": {"$in": ["tester"]}}}

    decision = table_of(rule | note, rollout_rule(0)).decide("a", Context(unit_id="tester"))

    assert (decision.reason, decision.sha, decision.plan_id) == (reason, "2", None)
    assert decision.rule_id == "qa"


def test_a_split_that_is_no_plan_of_ours_claims_none() -> None:
    decision = table_of(rollout_rule(9_999), plan_units={}).decide("a", Context(unit_id="u"))

    assert (decision.reason, decision.plan_id, decision.variant, decision.epoch) == (
        "force",
        None,
        None,
        None,
    )


def test_a_killed_prompt_serves_one_thing_to_everybody() -> None:
    state = PromptState(live="2", killed=True, serving="1")
    forced = {"force": value_of("2")}

    decision = table_of(forced, prompts={"a": state}).decide("a", Context(unit_id="u"))

    assert (decision.reason, decision.sha, decision.plan_id) == ("killed", "1", None)


def test_a_killed_prompt_with_nothing_to_serve_says_so() -> None:
    state = PromptState(live="2", killed=True, serving=None)
    table = compile_table(payload_of({}, prompts={"a": state}))

    decision = table.decide("a", Context())

    assert (decision.reason, decision.sha, decision.version) == ("killed", None, None)


def test_a_shut_gate_is_the_applications_fallback() -> None:
    gate = {"parentConditions": [{"id": "b", "condition": {"value": "on"}, "gate": True}]}

    decision = table_of(gate).decide("a", Context())

    assert (decision.reason, decision.sha) == ("fallback", None)


def test_an_unknown_prompt_is_named_with_the_nearest_known() -> None:
    with pytest.raises(UnknownPrompt, match=r"'support.repl' .* 'prod'; did you mean 'support.rep"):
        compile_table(
            payload_of({"support.reply": {"defaultValue": value_of("1", "support.reply")}})
        ).decide("support.repl", Context())


@pytest.mark.parametrize("value", ["yes", {"prompt": "a"}, [1]])
def test_a_feature_that_names_no_version_is_refused_when_the_table_is_made(value: object) -> None:
    with pytest.raises(PayloadError, match="feature 'a' has a value that names no version"):
        compile_table(payload_of({"a": {"defaultValue": value}}))


def test_a_payload_without_our_block_makes_no_table() -> None:
    payload = msgspec.structs.replace(payload_of({}), trimtab=None)

    with pytest.raises(PayloadError, match="no trimtab block"):
        compile_table(payload)


def test_the_table_says_which_revision_it_decides_by() -> None:
    table = table_of()

    assert (table.lineage, table.environment, table.revision) == ("lineage", "prod", 7)


@given(UNIT_IDS, SHARES)
def test_the_same_unit_gets_the_same_variant_from_every_table(unit_id: str, share: int) -> None:
    context = Context(unit_id=unit_id)

    decisions = [
        table_of(rollout_rule(share)).decide("a", each)
        for each in (context, context, Context(unit_id=unit_id, request_id="other"))
    ]

    assert decisions[0] == decisions[1] == decisions[2]


@given(UNIT_IDS, SHARES, SHARES)
def test_a_growing_share_never_moves_a_unit_out_of_treatment(
    unit_id: str, one: int, other: int
) -> None:
    small, large = sorted([one, other])
    context = Context(unit_id=unit_id)

    before = table_of(rollout_rule(small)).decide("a", context).variant
    after = table_of(rollout_rule(large)).decide("a", context).variant

    assert (before, after) != ("treatment", "control")


@given(UNIT_IDS, SHARES)
def test_every_unit_is_in_the_plan_on_the_side_its_bucket_says(unit_id: str, share: int) -> None:
    decision = table_of(rollout_rule(share)).decide("a", Context(unit_id=unit_id))

    assert decision.reason == "plan"
    assert decision.variant == ("treatment" if bucket("seed", unit_id) < share else "control")


ONE_UNIT_A_BUCKET: dict[int, str] = {}


def one_unit_a_bucket() -> dict[int, str]:
    number = 0
    while len(ONE_UNIT_A_BUCKET) < 10_000:
        unit_id = f"user-{number}"
        ONE_UNIT_A_BUCKET.setdefault(bucket("seed", unit_id), unit_id)
        number += 1
    return ONE_UNIT_A_BUCKET


@pytest.mark.parametrize("share", [0, 1, 700, 2_900, 5_700, 5_701, 9_999])
def test_a_share_holds_exactly_its_part_of_the_ten_thousand_buckets(share: int) -> None:
    table = table_of(rollout_rule(share))

    variants = [
        table.decide("a", Context(unit_id=unit_id)).variant
        for unit_id in one_unit_a_bucket().values()
    ]

    assert (variants.count("treatment"), variants.count("control")) == (share, 10_000 - share)
