"""`trimtab rollout`: plans started, watched and stopped."""

from pathlib import Path

import click

from trimtab.cli.api import JsonObject, segment
from trimtab.cli.commands import NO, OK
from trimtab.cli.following import ENDED, follow
from trimtab.cli.options import Session, server_options, why_option
from trimtab.cli.output import Output, share_percent
from trimtab.cli.plan_text import print_missing, print_plans, print_report
from trimtab.cli.planning import draft_of, looks_like_plan_file

SHOWN = ("running", "paused", "draft")


@click.group
def rollout() -> None:
    """Move traffic to a candidate step by step.

    A plan file says which candidate meets which share of traffic, how long each step holds, and
    which guardrails take it back. The autopilot in the server does the rest.

    Example plan:
      prompt: support.reply
      environment: prod
      candidate: "1.1.0"
      unit: thread
      steps:
        - {share: 10, hold_s: 3600, min_treated: 500}
        - {share: 50, hold_s: 3600, min_treated: 2000}
      guardrails: [flagged_rate > 1.5x, error_rate > 1.5x, latency_p95 +25%]
    """


@rollout.command
@click.argument("plan", metavar="PLAN.yaml|ID")
@click.option("--why", default=None, metavar="TEXT", help="The reason; else the plan file's own.")
@click.option("--wait", is_flag=True, help="Stay until the plan has ended.")
@server_options
def start(plan: str, *, why: str | None, wait: bool, session: Session) -> int:
    """Start a plan, or say what it still needs.

    PLAN.yaml is written down as a draft; if the environment's policy asks for a consent, the id to
    approve is printed, and starting the same file again takes the same draft. ID starts a draft.

    Example:  trimtab rollout start plans/reply-1.1.0.yaml --why "shorter replies" --wait

    Needs a key with the scope `operate`. Exits with 1 if something is missing, or if --wait saw the
    candidate taken back.
    """
    if looks_like_plan_file(plan):
        detail = draft_of(session.api, Path(plan))
    else:
        detail = session.api.get(f"/api/v1/plans/{segment(plan)}")["detail"]
    record, missing = detail["plan"], detail["missing"]
    document: JsonObject = {"started": False, "plan": record, "missing": missing, "warnings": []}
    if missing and record["status"] == "draft":
        session.out.show(document, lambda: _print_waiting(session.out, record, missing))
        return NO
    path = f"/api/v1/plans/{segment(record['id'])}/start"
    begun = session.api.post(path, {"why": why if why is not None else record["document"]["why"]})
    document |= {"started": True, "plan": begun["plan"], "warnings": begun["warnings"]}
    for warning in begun["warnings"]:
        session.out.note(f"trimtab: warning: {warning}")
    if not wait:
        session.out.show(document, lambda: _print_started(session.out, begun["plan"]))
        return OK
    report = follow(session, record["id"])
    session.out.show({**document, "report": report}, lambda: print_report(session.out, report))
    return OK if report["detail"]["plan"]["status"] == "completed" else NO


@rollout.command
@click.argument("plan_id", metavar="[ID]", required=False)
@click.option("--watch", is_flag=True, help="Stay until the plan has ended.")
@server_options
def status(plan_id: str | None, *, watch: bool, session: Session) -> None:
    """Show one plan with its guardrails, or all that are not over.

    Example:  trimtab rollout status
              trimtab rollout status 0199… --watch
    """
    out = session.out
    if plan_id is not None:
        path = f"/api/v1/plans/{segment(plan_id)}"
        report = follow(session, plan_id) if watch else session.api.get(path)
        out.show(report, lambda: print_report(out, report))
        return
    if watch:
        raise click.UsageError("--watch needs the ID of a plan", click.get_current_context())
    every = session.api.get("/api/v1/plans")["plans"]
    plans = [plan for plan in every if plan["status"] in SHOWN]
    out.show({"plans": plans}, lambda: print_plans(out, plans))


@rollout.command("list")
@click.option("--prompt", metavar="PROMPT", help="Only this prompt.")
@click.option("--environment", metavar="ENV", help="Only this environment.")
@click.option(
    "--status",
    "wanted",
    type=click.Choice([*SHOWN, *ENDED]),
    help="Only plans that stand so.",
)
@server_options
def list_plans(
    *, prompt: str | None, environment: str | None, wanted: str | None, session: Session
) -> None:
    """List all plans, ended ones too, oldest first.

    Example:  trimtab rollout list --prompt support.reply --status rolled_back
    """
    query = {"prompt": prompt, "environment": environment, "status": wanted}
    document = session.api.get("/api/v1/plans", query)
    session.out.show(document, lambda: print_plans(session.out, document["plans"]))


@rollout.command
@click.argument("plan_id", metavar="ID")
@why_option
@server_options
def abort(plan_id: str, *, why: str, session: Session) -> None:
    """End a plan without a verdict: the baseline stays.

    Example:  trimtab rollout abort 0199… --why "marketing changed its mind"

    Needs a key with the scope `operate`.
    """
    _move(session, plan_id, "abort", why=why)


@rollout.command
@click.argument("plan_id", metavar="ID")
@why_option
@server_options
def pause(plan_id: str, *, why: str, session: Session) -> None:
    """Stop a ramp where it is; its guardrails still watch.

    Example:  trimtab rollout pause 0199… --why "quiet weekend"

    Needs a key with the scope `operate`.
    """
    _move(session, plan_id, "pause", why=why)


@rollout.command
@click.argument("plan_id", metavar="ID")
@why_option
@server_options
def resume(plan_id: str, *, why: str, session: Session) -> None:
    """Let a paused ramp go on.

    Example:  trimtab rollout resume 0199… --why "Monday"

    Needs a key with the scope `operate`.
    """
    _move(session, plan_id, "resume", why=why)


def _move(session: Session, plan_id: str, verb: str, *, why: str) -> None:
    record = session.api.post(f"/api/v1/plans/{segment(plan_id)}/{verb}", {"why": why})
    session.out.show(
        record,
        lambda: session.out.line(
            f"plan {record['id']} for {record['prompt']} in {record['environment']}: "
            f"{record['status']}"
        ),
    )


def _print_waiting(out: Output, record: JsonObject, missing: list[str]) -> None:
    out.line(
        f"plan {record['id']} for {record['prompt']} in {record['environment']} is written down, "
        "but cannot start yet"
    )
    print_missing(out, missing)
    out.line(f"then: trimtab approve {record['id']} --why …; trimtab rollout start {record['id']}")


def _print_started(out: Output, record: JsonObject) -> None:
    out.line(
        f"plan {record['id']} for {record['prompt']} in {record['environment']} runs: "
        f"{share_percent(record['share'])} get {record['document']['candidate']}"
    )
    out.line(f"watch it: trimtab rollout status {record['id']} --watch")
