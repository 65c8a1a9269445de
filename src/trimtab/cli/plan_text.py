"""Plans as text: where one stands, what it waits for, and what its guardrails say."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from trimtab.cli.api import JsonObject
from trimtab.cli.output import TIMES, Output, number, percent, share_percent

VERDICT_COLOURS = {
    "breach": "red",
    "fault": "red",
    "no_data": "yellow",
    "inconclusive": "yellow",
    "pass": "green",
}


def print_missing(out: Output, missing: Sequence[str]) -> None:
    """What a promotion or a plan still needs, one sentence a line."""
    for sentence in missing:
        out.line(f"  missing: {sentence}")


def print_plans(out: Output, plans: Sequence[JsonObject]) -> None:
    """Plans below each other."""
    rows = [
        (
            plan["id"],
            plan["prompt"],
            plan["environment"],
            plan["document"]["candidate"],
            plan["status"],
            _step(plan),
            out.when(plan["moved_at"]),
            plan["why"],
        )
        for plan in plans
    ]
    columns = ("plan", "prompt", "environment", "candidate", "status", "step", "moved", "why")
    out.table(columns, rows, empty="no plans")


def print_report(out: Output, report: JsonObject) -> None:
    """Everything known of one plan: standing, exposures, guardrails, moves."""
    detail = report["detail"]
    plan, now, end = detail["plan"], report["now"], report["end"]
    against = f" against {report['baseline']}" if report["baseline"] else ""
    out.heading(
        f"{plan['prompt']} in {plan['environment']}: "
        f"{report['candidate']}{against}, {plan['status']}"
    )
    exposures = report["exposures"]
    out.facts(
        [
            ("plan", plan["id"]),
            ("step", _step(plan)),
            ("since", out.when(plan["step_started_at"]) or None),
            ("treated in step", _treated(plan, now)),
            ("treated", _met(exposures, "treated")),
            ("control", _met(exposures, "control")),
            ("next", f"{now['action']['kind']}: {now['action']['why']}" if now else None),
            ("ended", f"{out.when(end['at'])} by {end['actor']}: {end['why']}" if end else None),
        ]
    )
    print_missing(out, detail["missing"] if plan["status"] == "draft" else [])
    if readings := _readings(report):
        out.line()
        print_readings(out, readings)
    out.line()
    _print_moves(out, detail["moves"])


def print_readings(out: Output, readings: Sequence[JsonObject]) -> None:
    """What each guardrail says, with the numbers used."""
    for reading in readings:
        verdict = click.style(
            reading["verdict"], fg=VERDICT_COLOURS.get(reading["verdict"]), bold=True
        )
        out.styled(f"{reading['text']}: ", verdict, "")
        out.facts(
            [
                ("  effect", effect_text(reading)),
                ("  evidence", _evidence(reading)),
                ("  treatment", _side(reading["treatment"])),
                ("  control", _side(reading["control"])),
                ("  fixed-n power", _power(reading["fixed_n_power"])),
                ("  why", reading["reason"]),
            ]
        )


def effect_text(reading: Mapping[str, Any]) -> str:
    """The effect of a reading with its interval, or why there is none."""
    effect = reading["effect"]
    if effect["kind"] == "undefined":
        return f"undefined ({effect['reason']})"
    show = _ratio if reading["effect_is"] == "rate_ratio" else _change
    low, high = effect["low"], effect["high"]
    below = show(low) if low is not None else "…"
    above = show(high) if high is not None else "…"
    return f"{show(effect['value'])} ({below} to {above})"


def standing_line(report: JsonObject) -> str:
    """One line for whoever follows a plan: status, step, treated units, verdict."""
    plan, now = report["detail"]["plan"], report["now"]
    verdict = f", guardrails: {now['assessment']['verdict']}" if now else ""
    return (
        f"{plan['status']}, {_step(plan)}, {report['exposures']['treated_units']} treated{verdict}"
    )


def _ratio(value: float) -> str:
    return f"{TIMES}{value:.3g}"


def _change(value: float) -> str:
    return f"{value * 100:+.3g} %"


def _step(plan: Mapping[str, Any]) -> str:
    steps = plan["document"]["steps"]
    shares = " → ".join(percent(step["share"] / 100) for step in steps)
    if plan["status"] == "draft":
        return f"{len(steps)} steps: {shares}"
    if plan["status"] not in {"running", "paused"}:
        return f"ended in step {plan['step'] + 1} of {len(steps)}"
    return f"{plan['step'] + 1} of {len(steps)} at {share_percent(plan['share'])}"


def _treated(plan: Mapping[str, Any], now: Mapping[str, Any] | None) -> str | None:
    """Treated units of the running step beside those it needs."""
    steps = plan["document"]["steps"]
    if now is None or plan["status"] not in {"running", "paused"} or plan["step"] >= len(steps):
        return None
    return f"{now['n_treated']} of at least {steps[plan['step']]['min_treated']}"


def _met(exposures: Mapping[str, Any], side: str) -> str:
    return f"{exposures[f'{side}_units']:,} units, {exposures[f'{side}_requests']:,} requests"


def _readings(report: Mapping[str, Any]) -> list[JsonObject]:
    """The readings that ended the plan, or those of now."""
    end, now = report["end"], report["now"]
    evidence = (end or {}).get("evidence") or {}
    assessment = evidence.get("assessment", evidence)
    found: list[JsonObject] = assessment.get("readings", [])
    return found or (now["assessment"]["readings"] if now else [])


def _evidence(reading: Mapping[str, Any]) -> str:
    return (
        f"breach e = {reading['e_breach']:.3g}, harm e = {reading['e_harm']:.3g}, "
        f"shown from {reading['threshold']:.3g}"
    )


def _side(side: Mapping[str, Any]) -> str:
    value = f", {number(side['value'])}" if side.get("value") is not None else ""
    return f"{side['k']:,} of {side['n']:,}{value}"


def _power(power: Mapping[str, Any]) -> str:
    if "power" not in power:
        return f"undefined ({power.get('reason', '')})"
    return f"{percent(power['power'] * 100)} to see {_ratio(power['ratio'])}"


def _print_moves(out: Output, moves: Sequence[JsonObject]) -> None:
    rows = [
        (out.when(move["at"]), move["action"], str(move["step"] + 1), move["actor"], move["why"])
        for move in reversed(moves)
    ]
    out.table(("when", "move", "step", "by", "why"), rows, empty="no moves")
