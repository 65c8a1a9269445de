from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from trimtab.cli.output import TIMES, Output
from trimtab.cli.plan_text import effect_text, print_readings, print_report
from trimtab.events.totals import EpochTotals, SideTotals
from trimtab.releases.guardrails import assess
from trimtab.releases.rollout import freeze, read_plan

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
RULE = "flagged_rate > 1.5x"
PLAN = {
    "prompt": "support.reply",
    "environment": "prod",
    "candidate": "1.2.0",
    "unit": "thread",
    "steps": [{"share": 10, "hold_s": 5, "min_treated": 60}],
    "guardrails": [RULE],
}


def side(flagged: int, n: int) -> SideTotals:
    return SideTotals(
        n_units=n,
        new_units=n,
        n_requests=n,
        k={"flagged_rate": flagged},
        n={"flagged_rate": n},
        first_k={"flagged_rate": {0: flagged}},
    )


def assessment(treatment: SideTotals, control: SideTotals) -> dict[str, Any]:
    """What the rules say of two sides, as JSON has it."""
    plan = freeze(
        read_plan(PLAN, where="test"), baseline_sha="a" * 64, candidate_sha="b" * 64, history=None
    ).plan
    sides = {"treatment": treatment, "control": control}
    totals = EpochTotals(plan_id="p", epoch=1, sides=sides)
    found = assess(plan, [totals], epochs={1: 1000}, current_epoch=1)
    built: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
    return built


def test_a_breach_is_shown_with_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    print_readings(
        Output(as_json=False, now=NOW), assessment(side(40, 100), side(72, 900))["readings"]
    )

    shown = capsys.readouterr().out
    assert f"{RULE}: breach" in shown
    assert f"effect         {TIMES}5 (" in shown
    assert "40 of 100" in shown
    assert "72 of 900" in shown
    assert "shown from 20" in shown


def test_without_traffic_no_number_is_made_up() -> None:
    (reading,) = assessment(SideTotals(), SideTotals())["readings"]

    assert effect_text(reading).startswith("undefined (")


def test_a_plan_that_ended_shows_the_readings_it_ended_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    move = {
        "action": "take_back",
        "at": "2026-01-31T08:59:00Z",
        "actor": "autopilot",
        "step": 0,
        "why": "flagged_rate is breached",
    }
    plan = {
        "id": "p",
        "prompt": "support.reply",
        "environment": "prod",
        "status": "rolled_back",
        "step": 0,
        "step_started_at": "2026-01-31T08:58:00Z",
        "share": 1000,
        "document": {**PLAN, "steps": [{"share": 1000, "hold_s": 5, "min_treated": 60}]},
    }
    exposures = {
        **{f"{each}_units": 1000 for each in ("treated", "control")},
        **{f"{each}_requests": 1500 for each in ("treated", "control")},
    }
    report = {
        "detail": {"plan": plan, "moves": [move], "missing": []},
        "candidate": "1.2.0",
        "baseline": "1.1.0",
        "now": None,
        "end": {**move, "evidence": {"assessment": assessment(side(40, 100), side(72, 900))}},
        "exposures": exposures,
    }

    print_report(Output(as_json=False, now=NOW), report)

    shown = capsys.readouterr().out
    assert "support.reply in prod: 1.2.0 against 1.1.0, rolled_back" in shown
    assert "ended in step 1 of 1" in shown
    assert "1 min ago (2026-01-31 08:59:00Z) by autopilot: flagged_rate is breached" in shown
    assert f"{RULE}: breach" in shown
    assert "1,000 units, 1,500 requests" in shown
