from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from trimtab.releases.guardrails import Assessment, Reading, SideReading, Split
from trimtab.releases.ramp import Action, Position, next_action
from trimtab.releases.rollout import Guardrail, Plan, Step
from trimtab.releases.verdict import Verdict
from trimtab.stats.undefined import Undefined

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
RULE = Guardrail(text="flagged_rate > 1.5x", metric="flagged_rate", alpha=0.05, ratio=1.5)
PLAN = Plan(
    prompt="support.reply",
    environment="prod",
    candidate="b" * 64,
    baseline="a" * 64,
    unit="thread",
    alpha=0.05,
    steps=[
        Step(share=1_000, hold_s=60.0, min_treated=100),
        Step(share=2_500, hold_s=60.0, min_treated=200),
    ],
    guardrails=[RULE],
)


def reading(verdict: Verdict, **changes: Any) -> Reading:
    side = SideReading(first_k=1, k=1, n=10)
    plain = Reading(
        text=RULE.text,
        metric=RULE.metric,
        verdict=verdict,
        reason="as counted",
        e_breach=1.0,
        e_harm=1.0,
        e_within=1.0,
        log10_e_breach=0.0,
        log10_e_harm=0.0,
        log10_e_within=0.0,
        threshold=20.0,
        harm_shown=verdict == "breach",
        within_shown=verdict == "pass",
        treatment=side,
        control=side,
        effect=Undefined(reason="no_traffic"),
        effect_is="rate_ratio",
        fixed_n_power=Undefined(reason="no_traffic"),
    )
    return msgspec.structs.replace(plain, **changes)


def assessed(*readings: Reading, verdict: Verdict) -> Assessment:
    split = Split(e_srm=1.0, log10_e_srm=0.0, switched=0, fault="")
    return Assessment(
        verdict=verdict, readings=list(readings), split=split, epoch=1, n_treated=1, n_control=1
    )


def act(
    verdict: Verdict,
    *,
    step: int = 0,
    held_s: float = 60.0,
    treated: int = 200,
    paused: bool = False,
    behind_s: float = 0.0,
    plan: dict[str, Any] | None = None,
    **changes: Any,
) -> Action:
    position = Position(
        step=step,
        epoch=1,
        step_started_at=NOW - timedelta(seconds=held_s),
        n_treated_in_step=treated,
        is_paused=paused,
    )
    return next_action(
        msgspec.structs.replace(PLAN, **(plan or {})),
        position,
        assessed(reading(verdict, **changes), verdict=verdict),
        now=NOW,
        behind_s=behind_s,
    )


@pytest.mark.parametrize("verdict", ["pass", "inconclusive"])
def test_a_step_that_is_held_and_treated_enough_is_left(verdict: Verdict) -> None:
    action = act(verdict)

    assert (action.kind, action.step) == ("advance", 1)
    assert action.why == (
        "step 1 of 2 at 10 %: held for 60.0 s (at least 60), 200 units treated (at least 100), "
        "no guardrail breached; going to 25 %"
    )


@pytest.mark.parametrize(("held_s", "treated"), [(59.9, 200), (3_600.0, 99), (0.0, 0)])
def test_a_step_needs_both_its_hold_and_its_units(held_s: float, treated: int) -> None:
    action = act("pass", held_s=held_s, treated=treated)

    assert action.kind == "hold"
    assert f"held for {held_s:.1f} s (at least 60), {treated} units treated" in action.why


def test_the_last_step_ends_the_plan() -> None:
    action = act("inconclusive", step=1)

    assert action.kind == "finish"
    assert action.why.endswith("it was the last step")


@pytest.mark.parametrize("held_s", [0.0, 3_600.0])
def test_a_breach_takes_the_candidate_back_at_any_moment(held_s: float) -> None:
    action = act("breach", held_s=held_s)

    assert (action.kind, action.guardrail) == ("roll_back", RULE.text)
    assert action.why == "guardrail flagged_rate > 1.5x is breached: as counted"


def test_a_plan_may_pause_at_a_breach_instead() -> None:
    assert act("breach", plan={"on_breach": "hold"}).kind == "pause"


def test_a_breach_takes_the_candidate_of_a_paused_plan_back_too() -> None:
    assert act("breach", paused=True).kind == "roll_back"


def test_a_paused_plan_that_only_pauses_at_a_breach_stays_paused() -> None:
    action = act("breach", paused=True, plan={"on_breach": "hold"})

    assert action.kind == "hold"
    assert action.why.endswith("paused; guardrail flagged_rate > 1.5x is breached: as counted")


@pytest.mark.parametrize("verdict", ["fault", "no_data", "inconclusive", "pass"])
def test_nothing_but_a_breach_moves_a_paused_plan(verdict: Verdict) -> None:
    assert act(verdict, paused=True).kind == "hold"


def test_a_ramp_does_not_climb_on_evidence_that_is_behind() -> None:
    assert act("pass", behind_s=5.0).kind == "advance"

    late = act("pass", behind_s=7.2)

    assert (late.kind, late.why) == ("hold", "step 1 of 2 at 10 %: the evidence is 7 s behind")


def test_evidence_that_is_behind_still_takes_a_candidate_back() -> None:
    assert act("breach", behind_s=600.0).kind == "roll_back"


def test_of_several_breaches_the_strongest_is_named() -> None:
    weak = reading("breach", log10_e_breach=2.0)
    strong = reading("breach", text="error_rate > 1.5x", log10_e_breach=9.0)
    position = Position(step=0, epoch=1, step_started_at=NOW, n_treated_in_step=0)

    action = next_action(PLAN, position, assessed(weak, strong, verdict="breach"), now=NOW)

    assert action.guardrail == "error_rate > 1.5x"


@pytest.mark.parametrize("verdict", ["fault", "no_data"])
def test_fault_and_missing_data_hold_however_long(verdict: Verdict) -> None:
    action = act(verdict, held_s=86_400.0)

    assert action.kind == "hold"
    assert action.guardrail == RULE.text
    assert "as counted" in action.why


def test_harm_within_the_tolerance_holds() -> None:
    action = act("inconclusive", harm_shown=True)

    assert (action.kind, action.guardrail) == ("hold", RULE.text)


def test_a_plan_may_accept_harm_within_the_tolerance() -> None:
    action = act("inconclusive", harm_shown=True, plan={"tolerated_harm": "continue"})

    assert action.kind == "advance"


def test_a_plan_may_demand_that_the_tolerance_is_shown_to_be_kept() -> None:
    demanding = {"advance_on": "pass"}

    assert act("inconclusive", plan=demanding).kind == "hold"
    assert act("pass", plan=demanding).kind == "advance"


def test_accepted_harm_that_is_shown_to_be_within_the_tolerance_is_a_pass() -> None:
    plan = {"advance_on": "pass", "tolerated_harm": "continue"}

    assert act("inconclusive", harm_shown=True, within_shown=True, plan=plan).kind == "advance"


def test_a_step_that_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="step 2 of a plan with 2"):
        act("pass", step=2)


def test_an_assessment_of_another_epoch_is_refused() -> None:
    position = Position(step=0, epoch=2, step_started_at=NOW, n_treated_in_step=0)

    with pytest.raises(ValueError, match="assessed epoch 1, but 2"):
        next_action(PLAN, position, assessed(reading("pass"), verdict="pass"), now=NOW)
