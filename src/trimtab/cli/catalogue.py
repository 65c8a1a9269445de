"""`trimtab ls`, `show` and `log`: what is registered, and where it was released."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from trimtab.cli.api import JsonObject, prompt_path
from trimtab.cli.folder import fetch_version
from trimtab.cli.options import Session, server_options
from trimtab.cli.output import ABSENT, Output, short
from trimtab.prompts.reference import check_name


@click.command
@click.argument("prompt", required=False)
@server_options
def ls(prompt: str | None, *, session: Session) -> None:
    """List prompts, or the versions of one.

    Without a name: every prompt and the version that is live in each environment. With one: its
    versions, newest first.

    Example:  trimtab ls
              trimtab ls support.reply
    """
    out = session.out
    if prompt is not None:
        document = session.api.get(f"{prompt_path(check_name(prompt))}/versions")
        out.show(document, lambda: _print_versions(out, document["versions"]))
        return
    names = session.api.get("/api/v1/prompts")["prompts"]
    environments = session.api.get("/api/v1/status")["environments"]
    live = {each["environment"]: live_versions(each) for each in environments}
    rows = [{"prompt": name, "live": {e: live[e].get(name) for e in live}} for name in names]
    out.show({"prompts": rows}, lambda: _print_prompts(out, list(live), rows))


@click.command
@click.argument("reference", metavar="REF")
@server_options
def show(reference: str, *, session: Session) -> None:
    """Show one version.

    REF is NAME@ and a version number, an environment, a tag, or sha: with at least eight digits.
    --json gives the whole record with identity and fragments.

    Example:  trimtab show support.reply@1.1.0
              trimtab show support.reply@prod --json
    """
    document = fetch_version(session, reference)
    session.out.show(document, lambda: _print_version(session.out, document))


@click.command
@click.argument("prompt")
@click.option("--environment", metavar="ENV", help="Only this environment.")
@server_options
def log(prompt: str, *, environment: str | None, session: Session) -> None:
    """Show where a prompt's releases moved, and why.

    Each line is one move of the prompt's pointer in an environment, newest first: who made which
    version live, and the reason given. A rollback names what it took back.

    Example:  trimtab log support.reply --environment prod
    """
    path = f"{prompt_path(check_name(prompt))}/log"
    document = session.api.get(path, {"environment": environment})
    session.out.show(document, lambda: _print_moves(session.out, document["moves"]))


def live_versions(environment: Mapping[str, Any]) -> dict[str, str]:
    """Prompt → number of the live version, of one environment's status."""
    return {
        each["prompt"]: each["live"]["version"]
        for each in environment["prompts"]
        if each["live"] is not None
    }


def _print_prompts(out: Output, environments: Sequence[str], rows: Sequence[JsonObject]) -> None:
    out.table(
        ("prompt", *environments),
        [(row["prompt"], *(row["live"][each] or ABSENT for each in environments)) for row in rows],
        empty="no prompts yet; `trimtab push FOLDER` registers some",
    )


def _print_versions(out: Output, versions: Sequence[JsonObject]) -> None:
    rows = [
        (
            each["version"],
            short(each["sha"]),
            each["tag"] or "",
            each["kind"],
            each["author"],
            out.when(each["at"]),
        )
        for each in versions
    ]
    out.table(("version", "sha", "tag", "kind", "author", "registered"), rows, empty="no versions")


def _print_version(out: Output, document: JsonObject) -> None:
    identity = document["identity"]
    out.heading(f"{document['prompt']} {document['version']}")
    out.facts(
        [
            ("sha", short(document["sha"])),
            ("tag", document["tag"]),
            ("kind", document["kind"]),
            ("author", document["author"]),
            ("registered", out.when(document["at"])),
            ("description", document["meta"].get("description")),
            ("owner", document["meta"].get("owner")),
            ("model", identity.get("model")),
            *((key, _compact(out, identity, key)) for key in ("sampling", "response_format")),
            ("tools", len(identity["tools"]) if "tools" in identity else None),
        ]
    )
    for name, schema in identity.get("variables", {}).get("properties", {}).items():
        out.line(f"variable {name}: {out.compact(schema)}")
    for name, sha in identity.get("includes", {}).items():
        out.line(f"includes {name}: {short(sha)}")
    for message in identity.get("messages", []):
        out.line()
        out.heading(
            f"── {'history' if 'history' in message else message.get('role', 'fragment')} ──"
        )
        if "template" in message:
            out.line(message["template"])
    for step in identity.get("steps", []):
        out.line(out.compact(step))


def _compact(out: Output, identity: Mapping[str, Any], key: str) -> str | None:
    return out.compact(identity[key]) if key in identity else None


def _print_moves(out: Output, moves: Sequence[JsonObject]) -> None:
    rows = [
        (
            each["environment"],
            str(each["generation"]),
            each.get("version") or short(each["sha"]),
            each["kind"]
            if not each.get("taken_back")
            else f"{each['kind']} of {short(each['taken_back'])}",
            each["actor"],
            out.when(each["at"]),
            each["why"],
        )
        for each in moves
    ]
    columns = ("environment", "generation", "version", "move", "by", "when", "why")
    out.table(columns, rows, empty="never released")
