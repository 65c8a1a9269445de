"""`trimtab promote` and `approve`: what is live, by whose consent."""

from collections.abc import Sequence

import click

from trimtab.cli.api import JsonObject, pointer_path, segment
from trimtab.cli.commands import NO, OK
from trimtab.cli.folder import split_reference
from trimtab.cli.options import Session, server_options, why_option
from trimtab.cli.output import Output, short
from trimtab.cli.plan_text import print_missing
from trimtab.cli.situation import generation_of, live_name, standing
from trimtab.errors import BadInput, NotFound, ServerRefused


@click.command
@click.argument("reference", metavar="REF")
@click.argument("environment", metavar="ENV")
@why_option
@click.option(
    "--expected-generation",
    type=click.IntRange(min=0),
    metavar="N",
    help="Refuse if the pointer stands elsewhere; filled in from the status when not given.",
)
@server_options
def promote(
    reference: str,
    environment: str,
    *,
    why: str,
    expected_generation: int | None,
    session: Session,
) -> int:
    """Make a version live in an environment.

    REF is such as support.reply@1.1.0, or support.reply@staging for what is live there. The
    environment's policy decides: the version goes live at once, or the promotion waits for what is
    missing (`trimtab approve ID` gives a consent).

    Example:  trimtab promote support.reply@1.1.0 prod --why "clearer about refunds"

    Needs a key with the scope `operate`. Exits with 1 if the promotion waits or is refused.
    """
    prompt, wanted = split_reference(reference)
    before = standing(session.api, environment=environment, prompt=prompt)
    if expected_generation is None:
        expected_generation = generation_of(before)
    promotion = session.api.post(
        f"{pointer_path(environment, prompt)}/promotions",
        {"ref": wanted, "expected_generation": expected_generation, "why": why},
    )
    session.out.show(promotion, lambda: _print(session.out, promotion, before))
    return OK if promotion["status"] == "live" else NO


@click.command
@click.argument("identifier", metavar="[ID]", required=False)
@click.option("--why", metavar="TEXT", help="The reason, for the history; needed with an ID.")
@server_options
def approve(identifier: str | None, *, why: str | None, session: Session) -> int:
    """Consent to a promotion or a plan.

    ID is what `promote` or `rollout start` printed. Without it: lists what waits for a consent. The
    author of a version cannot approve it where the policy says so.

    Example:  trimtab approve
              trimtab approve 0199… --why "read the diff, ran it on ten tickets"

    Needs a key with the scope `approve`.
    """
    if identifier is None:
        return _list_waiting(session)
    if not why:
        raise BadInput("--why is missing; say why you consent, for the history")
    approved = _approve(session, identifier, why)
    session.out.show(approved, lambda: _print_approved(session.out, approved))
    return OK


def _approve(session: Session, identifier: str, why: str) -> JsonObject:
    """The promotion, or else the plan, with the consent given."""
    for kind in ("promotions", "plans"):
        try:
            return session.api.post(f"/api/v1/{kind}/{segment(identifier)}/approvals", {"why": why})
        except ServerRefused as error:
            if error.status != NotFound.status:
                raise
    raise NotFound(
        f'no promotion and no plan has the id "{identifier}"; `trimtab approve` lists what waits'
    )


def _list_waiting(session: Session) -> int:
    promotions = session.api.get("/api/v1/promotions", {"status": "pending"})["promotions"]
    plans = session.api.get("/api/v1/plans", {"status": "draft"})["plans"]
    document = {"promotions": promotions, "plans": plans}
    session.out.show(document, lambda: _print_waiting(session.out, promotions, plans))
    return OK


def _print(out: Output, promotion: JsonObject, before: JsonObject | None) -> None:
    where = f"{promotion['prompt']} in {promotion['environment']}"
    step = f"{live_name(before)} → {promotion['version']} ({short(promotion['sha'])})"
    match promotion["status"]:
        case "live":
            out.line(f"{where}: {step}, generation {promotion['generation']}")
        case "pending":
            out.line(f"{where}: {step} waits")
            print_missing(out, promotion["missing"])
            out.line(f"then: trimtab approve {promotion['id']} --why …")
        case _:
            reason = promotion.get("reason") or "no reason was given"
            out.line(f"{where}: {step} was refused: {reason}")


def _print_approved(out: Output, approved: JsonObject) -> None:
    plan = approved.get("plan", approved)
    what = f"{plan['prompt']} in {plan['environment']}"
    if "document" in plan:
        missing = approved.get("missing") or []
        out.line(f"plan {plan['id']} for {what} is approved" + (", but waits" if missing else ""))
        print_missing(out, missing)
        if not missing:
            out.line(f"start it: trimtab rollout start {plan['id']}")
        return
    if approved["status"] == "live":
        out.line(f"{what}: {approved['version']} is live, generation {approved['generation']}")
        return
    out.line(f"{what}: {approved['version']} is approved, but {approved['status']}")
    print_missing(out, approved.get("missing") or [])


def _print_waiting(
    out: Output, promotions: Sequence[JsonObject], plans: Sequence[JsonObject]
) -> None:
    rows = [
        (
            each["id"],
            "promotion",
            f"{each['prompt']}@{each['version']}",
            each["environment"],
            "; ".join(each["missing"]),
        )
        for each in promotions
    ]
    rows += [
        (
            each["id"],
            "plan",
            f"{each['prompt']}@{each['document']['candidate']}",
            each["environment"],
            each["why"],
        )
        for each in plans
    ]
    out.table(("id", "what", "version", "environment", "waits for"), rows, empty="nothing waits")
