"""What the page shows, in the words and digits it shows it with."""

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from trimtab.events.rollup import VersionRollup
from trimtab.registry.audit import AuditRow
from trimtab.registry.plan_rows import PlanRecord
from trimtab.registry.status import PromptStatus, Status
from trimtab.releases.guardrails import Assessment, Reading, SideReading
from trimtab.stats.undefined import Undefined
from trimtab.workspace.report import PlanReport

Shown = dict[str, Any]  # plain values for the template

STATUS_TEXT = {
    "draft": "draft",
    "running": "running",
    "paused": "paused",
    "completed": "promoted",
    "rolled_back": "rolled back",
    "aborted": "aborted",
}
LIVE = frozenset({"running", "paused"})
LIMIT_AT = 75.0  # where the limit stands on an evidence bar of 100
ACTION_TEXT = {
    "register": "registered",
    "promote": "promoted",
    "request_promotion": "asked to promote",
    "approve_promotion": "approved a promotion of",
    "refuse_promotion": "refused a promotion of",
    "create_plan": "planned a rollout of",
    "approve_plan": "approved a rollout of",
    "start_plan": "started a rollout of",
    "advance_plan": "widened the rollout of",
    "finish_plan": "completed the rollout of",
    "take_back_plan": "took back the rollout of",
    "abort_plan": "aborted the rollout of",
    "pause_plan": "paused the rollout of",
    "resume_plan": "resumed the rollout of",
    "rollback": "rolled back",
    "kill": "killed",
    "unkill": "switched on again",
    "eval": "evaluated",
    "adopt_policy": "took over the policy",
    "create_key": "made a key",
    "revoke_key": "revoked a key",
    "initialise": "made this installation",
    "tag": "tagged",
}


def ago(then: datetime, now: datetime) -> str:
    """A duration as people say it: `12 s ago`, `3 min ago`, `5 h ago`, or the date."""
    seconds = max((now - then).total_seconds(), 0.0)
    if seconds < 90:
        return f"{seconds:.0f} s ago"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 129_600:
        return f"{seconds / 3600:.0f} h ago"
    return f"{then:%Y-%m-%d %H:%M}"


def percent(rate: float | None, digits: int = 1) -> str:
    """A rate in percent, or a dash."""
    return "–" if rate is None else f"{100 * rate:.{digits}f} %"


def number(value: float | None, unit: str = "") -> str:
    """A number with thin thousands, or a dash."""
    return "–" if value is None else f"{value:,.0f}{unit}".replace(",", "\u202f")


def matrix(status: Status) -> list[Shown]:
    """One row a prompt, one cell an environment."""
    places = [environment.environment for environment in status.environments]
    cells: dict[str, dict[str, Shown]] = {}
    for environment in status.environments:
        for prompt in environment.prompts:
            row = cells.setdefault(prompt.prompt, {})
            row[environment.environment] = _cell(prompt, status.at)
    empty: Shown = {"version": None}
    return [
        {"prompt": prompt, "cells": [row.get(place, empty) for place in places]}
        for prompt, row in sorted(cells.items())
    ]


def _cell(prompt: PromptStatus, now: datetime) -> Shown:
    plan = None
    if prompt.plan is not None:
        plan = f"{prompt.plan.candidate.version} at {prompt.plan.share / 100:g} %"
    return {
        "version": prompt.live.version if prompt.live is not None else None,
        "sha": prompt.live.sha if prompt.live is not None else "",
        "since": ago(prompt.since, now) if prompt.since is not None else "",
        "who": prompt.by or "",
        "killed": prompt.killed,
        "plan": plan,
    }


def most_wanted(plans: Sequence[PlanRecord], *, most: int) -> list[PlanRecord]:
    """The plans to show, newest first: all that divide traffic, then others up to `most`."""
    newest = list(reversed(plans))
    live = [plan for plan in newest if plan.status in LIVE]
    others = [plan for plan in newest if plan.status not in LIVE]
    return live + others[: max(most - len(live), 0)]


def rollout(report: PlanReport, now: datetime) -> Shown:
    """A plan with its steps, guardrails and exposures."""
    record = report.detail.plan
    assessment = _assessment(report)
    seen = report.exposures
    why = report.end.why if report.end is not None else report.now.action.why if report.now else ""
    return {
        "id": record.id,
        "short_id": record.id[-12:],
        "prompt": record.prompt,
        "environment": record.environment,
        "status": record.status,
        "status_text": STATUS_TEXT[record.status],
        "started": ago(record.created_at, now),
        "baseline": report.baseline or "?",
        "candidate": report.candidate,
        "unit": record.document.unit,
        "steps": _steps(report),
        "end_state": "done" if record.status == "completed" else "later",
        "guardrails": [_rail(reading) for reading in assessment.readings] if assessment else [],
        "exposures": f"{number(seen.treated_units)} treated and {number(seen.control_units)}"
        f" control {record.document.unit}s, {number(seen.treated_requests)} treated requests",
        "why": why,
    }


def _assessment(report: PlanReport) -> Assessment | None:
    """What was known at the end, or now; an end by the autopilot carries its own numbers."""
    evidence = report.end.evidence if report.end is not None else None
    if isinstance(evidence, Mapping) and "assessment" in evidence:
        return msgspec.convert(evidence["assessment"], Assessment, strict=False)
    return report.now.assessment if report.now is not None else None


def _steps(report: PlanReport) -> list[Shown]:
    record = report.detail.plan
    steps = []
    for index, step in enumerate(record.document.steps):
        if index < record.step or record.status == "completed":
            state = "done"
        elif index > record.step or record.status == "draft":
            state = "later"
        else:
            state = "failed" if record.status in {"rolled_back", "aborted"} else "now"
        note = f"≥ {step.min_treated} treated, ≥ {step.hold_s:g} s"
        if state == "now" and report.now is not None:
            note = f"{report.now.n_treated} of {step.min_treated} treated"
        steps.append({"percent": f"{step.share / 100:g}", "state": state, "note": note})
    return steps


def _rail(reading: Reading) -> Shown:
    limit = math.log10(reading.threshold)
    filled = LIMIT_AT * max(reading.log10_e_harm, 0.0) / limit if limit > 0 else 0.0
    if reading.verdict == "breach":
        filled = max(filled, LIMIT_AT * reading.log10_e_breach / limit)
    return {
        "text": reading.text,
        "verdict": reading.verdict,
        "verdict_text": _verdict_text(reading),
        "control": _side(reading, reading.control),
        "treatment": _side(reading, reading.treatment),
        "effect": _effect(reading),
        "bar": f"{min(filled, 100.0):.1f}",
        "e_text": _e(reading.e_breach if reading.verdict == "breach" else reading.e_harm),
        "limit_text": f"{reading.threshold:.0f}",
    }


def _verdict_text(reading: Reading) -> str:
    if reading.verdict == "inconclusive":
        return "worse, tolerated" if reading.harm_shown else "no breach"
    return {"no_data": "no data", "pass": "within"}.get(reading.verdict, reading.verdict)


def _side(reading: Reading, side: SideReading) -> str:
    if reading.effect_is == "relative_change":
        return "–" if side.value is None else f"{number(side.value)} ms"
    return f"{percent(side.rate)} of {number(side.n)}"


def _effect(reading: Reading) -> str:
    effect = reading.effect
    if isinstance(effect, Undefined):
        return "–"
    if reading.effect_is == "relative_change":
        low = "?" if effect.low is None else f"{100 * effect.low:+.0f}"
        high = "?" if effect.high is None else f"{100 * effect.high:+.0f}"
        return f"{100 * effect.value:+.0f} % ({low} … {high})"
    low = "0" if effect.low is None else f"{effect.low:.2f}"
    high = "∞" if effect.high is None else f"{effect.high:.2f}"
    return f"× {effect.value:.2f} ({low} … {high})"


def _e(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}" if value < 1e6 else f"{value:.0e}"


def versions(rows: list[VersionRollup]) -> list[Shown]:
    """The table of versions in traffic."""
    return [
        {
            "prompt": row.prompt,
            "version": row.version or row.sha[:12],
            "sha": row.sha,
            "n": number(row.n),
            "mean": number(row.mean_latency_ms, " ms"),
            "p95": number(row.p95_latency_ms, " ms"),
            "tokens": f"{number(row.input_tokens / row.n)} / {number(row.output_tokens / row.n)}",
            "cost": "–" if row.cost_usd is None else f"${1000 * row.cost_usd / row.n:.2f}",
            "flagged": percent(row.flagged_rate),
            "errors": percent(row.error_rate),
        }
        for row in rows
        if row.prompt and row.sha
    ]


def changes(rows: list[AuditRow], now: datetime, *, most: int) -> list[Shown]:
    """The newest decisions, in sentences; the same one again and again takes one line."""
    told = [row for row in rows if not _is_told_by_the_next(row)]
    groups = [list(group) for _, group in itertools.groupby(told, key=_subject)]
    return [
        {
            "at": ago(group[0].at, now),
            "at_iso": group[0].at.isoformat(),
            "actor": group[0].actor,
            "action": ACTION_TEXT.get(group[0].action, group[0].action.replace("_", " ")),
            "prompt": group[0].prompt,
            "environment": group[0].environment,
            "summary": _summary(group[0], times=len(group)),
        }
        for group in groups[:most]
    ]


def _subject(row: AuditRow) -> tuple[str | None, ...]:
    return row.actor, row.action, row.prompt, row.environment


def _is_told_by_the_next(row: AuditRow) -> bool:
    """A promotion that wanted nothing more went live with the row after its request."""
    return row.action == "request_promotion" and not row.details.get("missing")


def _summary(row: AuditRow, *, times: int) -> str:
    details = row.details
    parts = [str(details[key]) for key in ("version", "name", "suite", "verdict") if key in details]
    if details.get("share"):
        parts.append(f"to {int(details['share']) / 100:g} %")
    if details.get("why"):
        parts.append(str(details["why"]))
    if times > 1:
        parts.append(f"{times} times in a row")
    return " · ".join(parts)[:400]
