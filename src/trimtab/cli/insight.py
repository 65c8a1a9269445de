"""`trimtab status` and `trimtab audit`: what runs where, and what was decided by whom."""

from collections.abc import Collection, Sequence
from datetime import datetime

import click

from trimtab.cli.api import JsonObject
from trimtab.cli.commands import NO, OK
from trimtab.cli.options import Session, server_options
from trimtab.cli.output import Output, share_percent, short
from trimtab.cli.situation import version_name
from trimtab.errors import BadInput


@click.command
@click.option("--at", metavar="TIME", help="A past time, such as 2026-01-31T09:00:00Z.")
@click.option("--environment", metavar="ENV", help="Only this environment.")
@server_options
def status(*, at: str | None, environment: str | None, session: Session) -> None:
    """Show what runs where, now or at a past time.

    For each environment: the live version of each prompt, since when, by whom and why; what a
    rollback would go to; and the plan that divides its traffic.

    Example:  trimtab status --environment prod
              trimtab status --at 2026-01-31T09:00:00Z --json
    """
    if at is not None:
        _check_time(at)
    document = session.api.get("/api/v1/status", {"at": at, "environment": environment})
    session.out.show(document, lambda: _print_status(session.out, document))


class _ListsByItself(click.Group):
    """A group whose `list` may be left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` where no command is named."""
        own: Collection[str] = ctx.help_option_names
        if not args or (args[0].startswith("-") and args[0] not in own):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ListsByItself)
def audit() -> None:
    """Read the audit log, or check its chain.

    Every decision is a row whose hash covers the row before it, from the first one on. Without a
    command it lists the newest.

    Example:  trimtab audit --limit 20
              trimtab audit verify
    """


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--prompt", metavar="PROMPT", help="Only this prompt.")
@click.option("--environment", metavar="ENV", help="Only this environment.")
@server_options
def list_rows(*, limit: int, prompt: str | None, environment: str | None, session: Session) -> None:
    """List what was decided, newest first.

    Example:  trimtab audit list --prompt support.reply --limit 20
    """
    query = {"limit": limit, "prompt": prompt, "environment": environment}
    document = session.api.get("/api/v1/audit", query)
    session.out.show(document, lambda: _print_rows(session.out, document["rows"]))


@audit.command
@click.option(
    "--head",
    metavar="COUNT:HASH",
    help="Length and head the chain had once, as a payload noted them; held against it too.",
)
@server_options
def verify(*, head: str | None, session: Session) -> int:
    """Follow the whole chain, and say where it breaks first.

    Example:  trimtab audit verify --head 1203:9f2c…

    Exits with 1 if a row is missing, was changed, or does not lead to the head given.
    """
    query = _head(head) if head is not None else {}
    document = session.api.get("/api/v1/audit/verify", query)
    session.out.show(document, lambda: _print_check(session.out, document))
    return NO if document["broken"] else OK


def _check_time(text: str) -> None:
    """Refuse what is no moment, before the server is asked."""
    way = "write it as 2026-01-31T09:00:00Z"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"--at {text!r} is not a time; {way}") from error
    if moment.tzinfo is None:
        raise BadInput(f"--at {text!r} has no time zone; {way}")


def _head(text: str) -> dict[str, object]:
    count, _, digest = text.partition(":")
    if not (count.isascii() and count.isdigit() and len(digest) == 64):
        raise BadInput(
            f"--head {text!r} is not COUNT:HASH with 64 hex digits; copy it from a payload's audit"
        )
    return {"count": int(count), "head": digest}


def _print_status(out: Output, document: JsonObject) -> None:
    out.line(f"at {out.when(document['at'])}")
    for environment in document["environments"]:
        out.line()
        out.heading(f"{environment['environment']}, revision {environment['revision']}")
        rows = [_status_row(out, each) for each in environment["prompts"]]
        columns = ("prompt", "live", "since", "by", "why", "last good", "now")
        out.table(columns, rows, empty="nothing is released here")


def _status_row(out: Output, entry: JsonObject) -> tuple[str, ...]:
    return (
        entry["prompt"],
        version_name(entry["live"]),
        out.when(entry["since"]),
        entry["by"] or "",
        entry["why"] or "",
        version_name(entry["last_good"]),
        _now(entry),
    )


def _now(entry: JsonObject) -> str:
    """What is out of the ordinary: a kill, or a plan."""
    if entry["killed"]:
        serving = version_name(entry["serving"]) if entry["serving"] else "the fallback"
        return f"killed by {entry['killed_by']}, serves {serving}: {entry['killed_why']}"
    plan = entry["plan"]
    if plan is None:
        return ""
    return (
        f"{plan['status']}: {share_percent(plan['share'])} get {version_name(plan['candidate'])}, "
        f"step {plan['step'] + 1} of {plan['n_steps']} (plan {plan['plan_id']})"
    )


def _print_rows(out: Output, rows: Sequence[JsonObject]) -> None:
    cells = [
        (
            str(row["seq"]),
            out.when(row["at"]),
            row["actor"],
            row["action"],
            row["environment"] or "",
            row["prompt"] or "",
            str(row["details"].get("version") or ""),
            str(row["details"].get("why") or ""),
            short(row["hash"]),
        )
        for row in rows
    ]
    columns = ("row", "when", "by", "what", "environment", "prompt", "version", "why", "hash")
    out.table(columns, cells, empty="no rows")


def _print_check(out: Output, document: JsonObject) -> None:
    if broken := document["broken"]:
        out.line(f"broken at row {broken['seq']}: {broken['problem']}")
        return
    out.line(f"{document['count']} rows hold; head {document['head']}")
