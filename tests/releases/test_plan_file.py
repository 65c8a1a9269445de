import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.errors import PlanError
from trimtab.releases.plan_file import PlanFile, document_sha, parse_guardrail, read_plan

WRITTEN: dict[str, Any] = {
    "prompt": "support.reply",
    "environment": "prod",
    "candidate": "1.1.0",
    "unit": "thread",
    "alpha": 0.05,
    "steps": [
        {"share": 10, "hold_s": 5, "min_treated": 60},
        {"share": 25, "hold_s": 5, "min_treated": 150},
        {"share": 50, "hold_s": 5, "min_treated": 400},
    ],
    "guardrails": ["flagged_rate > 1.5x", "error_rate worse", "latency_p95 +25%"],
    "on_breach": "rollback",
    "tolerated_harm": "continue",
    "why": "shorter answers",
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(WRITTEN), **changes}


def read(document: object) -> PlanFile:
    return read_plan(document, where="plans/good.yaml")


def steps(*shares: float) -> list[dict[str, Any]]:
    return [{"share": share, "hold_s": 5, "min_treated": 60} for share in shares]


def test_a_plan_is_read_as_written_with_shares_in_ten_thousandths() -> None:
    plan = read(WRITTEN)

    assert [step.share for step in plan.steps] == [1_000, 2_500, 5_000]
    assert plan.guardrails == WRITTEN["guardrails"]
    assert plan.tolerated_harm == "continue"
    assert plan.advance_on == "no_breach"


def test_what_may_be_left_out_has_its_default() -> None:
    needed = ("prompt", "environment", "candidate", "unit", "steps", "guardrails")

    plan = read({key: WRITTEN[key] for key in needed})

    assert (plan.alpha, plan.on_breach, plan.tolerated_harm) == (0.05, "rollback", "hold")


def test_a_plan_may_demand_a_pass() -> None:
    assert read(changed(advance_on="pass")).advance_on == "pass"


def test_a_share_may_be_a_hundredth_of_a_percent() -> None:
    assert read(changed(steps=steps(0.01, 2.5, 99.99))).steps[0].share == 1


@given(st.integers(min_value=1, max_value=9_999))
def test_every_share_in_hundredths_of_a_percent_is_read_exactly(share: int) -> None:
    assert read(changed(steps=steps(share / 100))).steps[0].share == share


def test_a_last_step_of_all_traffic_says_what_finishing_does_anyway() -> None:
    plain = read(WRITTEN)

    closed = read(changed(steps=[*WRITTEN["steps"], {"share": 100}]))

    assert closed == plain
    assert document_sha(closed) == document_sha(plain)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": steps(10, 50, 25)}, "step 3 has share 25 %, not above the 50 %"),
        ({"steps": steps(10, 10)}, "step 2 has share 10 %, not above the 10 %"),
        ({"steps": steps(10, 101)}, "step 2 has share 101 %, which exceeds 100 %"),
        ({"steps": steps(0)}, "step 1 has share 0, not above|more than 0"),
        ({"steps": steps(-5)}, "more than 0"),
        ({"steps": steps(0.001)}, "hundredths of a percent"),
        ({"steps": steps(100)}, "begin with a share below 100"),
        ({"steps": steps(50, 100)}, "leaves no control"),
        ({"steps": [*steps(50), {"share": 100}, *steps(50)]}, "make it the last"),
        ({"steps": [{"share": "10%", "hold_s": 5, "min_treated": 6}]}, "percent as a number"),
        ({"steps": [{"share": True, "hold_s": 5, "min_treated": 6}]}, "percent as a number"),
        ({"steps": [{"share": float("nan"), "hold_s": 5, "min_treated": 6}]}, "as a number"),
        ({"steps": [{"share": 10, "hold_s": -1, "min_treated": 6}]}, "hold_s -1"),
        ({"steps": [{"share": 10, "min_treated": 6}]}, "hold_s None; write seconds"),
        ({"steps": [{"share": 10, "hold_s": 5}]}, "min_treated None"),
        ({"steps": [{"share": 10, "hold_s": 5, "min_treated": 0}]}, "min_treated 0"),
        ({"steps": [{"share": 10, "hold": 5, "min_treated": 6}]}, 'did you mean "hold_s"'),
        ({"steps": []}, "steps is a list"),
        ({"steps": [7]}, "step 1 is a mapping"),
        ({"guardrails": []}, "at least one rule"),
        ({"guardrails": "error_rate worse"}, "at least one rule"),
        ({"guardrails": [5]}, "guardrail 5 is not a text"),
        ({"guardrails": ["flaged_rate > 1.5x"]}, 'did you mean "flagged_rate"'),
        ({"guardrails": ["error_rate worse", "error_rate > 2x"]}, "second on error_rate"),
        ({"unit": "session"}, "unit is 'session'; write one of user, thread, request"),
        ({"alpha": 0}, "alpha is 0"),
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"alpha": "5%"}, "alpha is '5%'"),
        ({"on_breach": "stop"}, "on_breach is 'stop'; write one of rollback, hold"),
        ({"tolerated_harm": "ignore"}, "write one of hold, continue"),
        ({"advance_on": "green"}, "write one of no_breach, pass"),
        ({"candidate": 1.1}, "candidate is 1.1; write a text"),
        ({"prompt": " "}, "prompt is ' '"),
        ({"garudrails": []}, 'no key "garudrails"; did you mean "guardrails"'),
        ({"else": "request"}, 'no key "else"; known are prompt'),
        ({"prompt": None, "unit": None}, "a plan needs prompt, unit"),
    ],
)
def test_what_is_wrong_is_named_with_its_way_out(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        read(changed(**changes))

    assert str(caught.value).startswith("plans/good.yaml: ")


@pytest.mark.parametrize("document", [None, [], "a plan", 7])
def test_what_is_no_mapping_is_no_plan(document: object) -> None:
    with pytest.raises(PlanError, match="a plan is a mapping"):
        read(document)


@pytest.mark.parametrize(
    ("text", "ratio", "tolerance"),
    [
        ("flagged_rate > 1.5x", 1.5, None),
        ("flagged_rate>2x", 2.0, None),
        ("  error_rate  worse ", 1.0, None),
        ("latency_p95 +25%", 1.0, 0.25),
        ("latency_p95 + 12.5 %", 1.0, 0.125),
        ("latency_p95 worse", 1.0, 0.0),
    ],
)
def test_a_rule_is_understood(text: str, ratio: float, tolerance: float | None) -> None:
    rule = parse_guardrail(text)

    assert (rule.ratio, rule.tolerance) == (ratio, tolerance)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("error_rate < 2x", "cannot be read; write it like"),
        ("error_rate", "cannot be read"),
        ("error_rate > 2", "cannot be read"),
        ("", "cannot be read"),
        ("latency_p95 > 1.5x", r'is a quantile; write "latency_p95 \+25%"'),
        ("error_rate +25%", 'is a rate; write "error_rate > 1.5x"'),
        ("error_rate > 0.9x", "equal candidate a breach"),
    ],
)
def test_a_rule_that_cannot_be_read_shows_how_to_write_it(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        parse_guardrail(text)


def test_any_change_of_the_document_changes_its_identity() -> None:
    first = document_sha(read(WRITTEN))

    assert document_sha(read(changed(why="longer answers"))) != first
    assert document_sha(read(changed(alpha=0.01))) != first
    assert document_sha(read(changed(steps=steps(10, 25, 51)))) != first
