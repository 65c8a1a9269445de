"""`trimtab keys`: who may do what."""

from collections.abc import Sequence

import click

from trimtab.cli.api import JsonObject, segment
from trimtab.cli.options import Session, server_options
from trimtab.cli.output import Output

SCOPES = ("decide", "render", "read", "author", "approve", "operate", "pin", "admin")


@click.group
def keys() -> None:
    """List, make and revoke API keys.

    A key's name is the actor of everything done with it. Scopes: decide (a client's key, may be
    public), render (an application's), read, author, approve, operate, pin, admin.
    """


@keys.command("list")
@server_options
def list_keys(*, session: Session) -> None:
    """List all keys, revoked ones too, without their secrets.

    Example:  trimtab keys list

    Needs a key with the scope `admin`.
    """
    document = session.api.get("/api/v1/keys")
    session.out.show(document, lambda: _print(session.out, document["keys"]))


@keys.command
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; may be given several times.",
)
@click.option(
    "--environment",
    "environments",
    multiple=True,
    metavar="ENV",
    help="Where; may be given several times. Every environment if not given; decide and render "
    "take exactly one.",
)
@server_options
def create(
    name: str, *, scopes: tuple[str, ...], environments: tuple[str, ...], session: Session
) -> None:
    """Make a key; its secret is shown this once.

    Example:  trimtab keys create ana --scope read --scope author
              trimtab keys create shop --scope render --environment prod

    Needs a key with the scope `admin`.
    """
    document = session.api.post(
        "/api/v1/keys",
        {"name": name, "scopes": list(scopes), "environments": list(environments) or None},
    )
    secret = document["secret"]
    session.out.show(document, lambda: session.out.line(f"export TRIMTAB_KEY={secret}"))


@keys.command
@click.argument("name")
@server_options
def revoke(name: str, *, session: Session) -> None:
    """End a key, at once; what was done with it stays under its name.

    Example:  trimtab keys revoke ana

    Needs a key with the scope `admin`.
    """
    document = session.api.delete(f"/api/v1/keys/{segment(name)}", {})
    session.out.show(document, lambda: session.out.line(f'key "{name}" is revoked'))


def _print(out: Output, found: Sequence[JsonObject]) -> None:
    rows = [
        (
            key["name"],
            " ".join(key["scopes"]),
            "all" if key["environments"] is None else " ".join(key["environments"]),
            out.when(key["created_at"]),
            key["created_by"],
            out.when(key["revoked_at"]),
        )
        for key in found
    ]
    columns = ("name", "scopes", "environments", "made", "by", "revoked")
    out.table(columns, rows, empty="no keys")
