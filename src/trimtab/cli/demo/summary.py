"""What the demo found: the numbers for machines, and the table for people."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

Shown = dict[str, Any]  # JSON as the routes give it


def quantile(ordered: Sequence[float], q: float) -> float | None:
    """A quantile of sorted values, rounded to 0.01; None of none."""
    if not ordered:
        return None
    return round(ordered[min(int(q * len(ordered)), len(ordered) - 1)], 2)


def candidate(report: Shown) -> Shown:
    """What happened to a candidate."""
    plan, end = report["detail"]["plan"], report["end"]
    outcome = {"completed": "promoted", "rolled_back": "rolled_back"}
    return {
        "candidate": report["candidate"],
        "plan": plan["id"],
        "outcome": outcome.get(plan["status"], plan["status"]),
        "steps": 1 + plan["step"],
        "exposures": report["exposures"]["treated_units"],
        "why": end["why"] if end else "",
        "ended_at": end["at"] if end else None,
        "guardrails": readings(report),
    }


def readings(report: Shown) -> list[Shown]:
    """The guardrails at the decision that ended the plan."""
    end = report["end"]
    assessment = (end or {}).get("evidence", {}).get("assessment")
    if assessment is None:
        return []
    return [
        {
            "text": each["text"],
            "verdict": each["verdict"],
            "e_breach": each["e_breach"],
            "e_harm": each["e_harm"],
            "threshold": each["threshold"],
            "effect": each["effect"],
            "effect_is": each["effect_is"],
            "fixed_n_power": each["fixed_n_power"],
        }
        for each in assessment["readings"]
    ]


def harmful(report: Shown) -> Shown:
    """What happened to the candidate that does harm: on which guardrail, after how many."""
    action = (report["end"] or {}).get("evidence", {}).get("action", {})
    return {
        **candidate(report),
        "guardrail": action.get("guardrail"),
        "treated_exposures": report["exposures"]["treated_units"],
        "treated_requests": report["exposures"]["treated_requests"],
        "seconds_to_rollback": report["seconds_to_end"],
    }


def outcome_table(reports: Sequence[Shown]) -> Table:
    """One row a guardrail of each candidate."""
    table = Table(title="What happened to each candidate", title_justify="left")
    for name in ("candidate", "outcome", "treated", "after", "guardrail", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in ("e / limit", "effect (95 %)", "power, fixed n"):
        table.add_column(name, justify="right", no_wrap=True)
    for report in reports:
        shown = candidate(report)
        seconds = report["seconds_to_end"]
        first = [
            shown["candidate"],
            shown["outcome"].replace("_", " "),
            str(shown["exposures"]),
            "–" if seconds is None else f"{seconds:.1f} s",
        ]
        for rail in shown["guardrails"]:
            table.add_row(
                *first,
                rail["text"],
                rail["verdict"],
                f"{max(rail['e_breach'], 0):.3g} / {rail['threshold']:.0f}",
                effect_text(rail),
                power_text(rail["fixed_n_power"]),
            )
            first = ["", "", "", ""]
        table.add_section()
    return table


def effect_text(rail: Shown) -> str:
    """An effect with its interval."""
    effect = rail["effect"]
    if effect["kind"] == "undefined":
        return str(effect["reason"]).replace("_", " ")
    low, high = effect["low"], effect["high"]
    if rail["effect_is"] == "relative_change":
        low_text = "?" if low is None else f"{100 * low:+.0f}"
        high_text = "?" if high is None else f"{100 * high:+.0f}"
        return f"{100 * effect['value']:+.0f} % ({low_text} … {high_text})"
    high_text = "∞" if high is None else f"{high:.2f}"
    return f"× {effect['value']:.2f} ({low or 0:.2f} … {high_text})"


def power_text(power: Shown) -> str:
    """The power of one fixed test at these units, and what 80 % would need."""
    if "power" not in power:
        return "–"
    needed = power["n_treatment_needed"]
    return f"{100 * power['power']:.0f} % (80 % at {needed:,})".replace(",", "\u202f")


def version_table(versions: Sequence[Shown]) -> Table:
    """One row a version."""
    table = Table(title="Versions in traffic", title_justify="left")
    table.add_column("version")
    for name in (
        "requests",
        "mean ms",
        "p95 ms",
        "tokens out",
        "cost / 1,000",
        "flagged",
        "errors",
    ):
        table.add_column(name, justify="right")
    for row in versions:
        cost = "–" if row["cost_usd"] is None else f"${1000 * row['cost_usd'] / row['n']:.2f}"
        table.add_row(
            f"{row['prompt']}@{row['version']}",
            str(row["n"]),
            f"{row['mean_latency_ms'] or 0:.0f}",
            f"{row['p95_latency_ms'] or 0:.0f}",
            f"{row['output_tokens'] / row['n']:.0f}",
            cost,
            f"{100 * (row['flagged_rate'] or 0):.1f} %",
            f"{100 * (row['error_rate'] or 0):.1f} %",
        )
    return table


def show(console: Console, result: Shown, reports: Sequence[Shown], *, url: str) -> None:
    """The end of the demo, for people."""
    console.print()
    console.print(outcome_table(reports))
    console.print(version_table(result["rollup_by_version"]))
    speed = result["propagation_ms"]
    console.print(
        f"{result['requests']} requests, {result['failed_requests']} failed; a pointer move reached"
        f" a running client in {speed['p50']} ms (p50), {speed['p99']} ms (p99) over {speed['n']}"
        " moves."
    )
    console.print(f"Dashboard: {url}/")
