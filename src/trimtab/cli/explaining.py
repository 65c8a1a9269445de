"""`trimtab explain`: one request, from decision to feedback."""

from collections.abc import Mapping

import click

from trimtab.cli.api import JsonObject, segment
from trimtab.cli.options import Session, server_options
from trimtab.cli.output import Output

PARTS = ("decision", "version", "plan", "generation", "exposure")
LISTS = ("feedback", "outcomes")
SAID_ABOVE = frozenset({"decision", "prompt", "sha", "environment", "request_id", "kind"})


@click.command
@click.argument("request_id", metavar="REQUEST_ID")
@server_options
def explain(request_id: str, *, session: Session) -> None:
    """Tell everything known of one request.

    Which version it got and why, by whose plan, what the call cost and how it ended, and what
    became known later. The id stands in the header x-trimtab-request-id of each gateway answer, and
    in `prompt.request_id`.

    Example:  trimtab explain 0199f3c2-…
    """
    document = session.api.get(f"/api/v1/requests/{segment(request_id)}/explain")
    session.out.show(document, lambda: _print(session.out, document))


def _print(out: Output, document: JsonObject) -> None:
    out.heading(f"request {document['request_id']}")
    for name in PARTS:
        if document.get(name):
            _print_part(out, name, document[name])
    for name in LISTS:
        for entry in document.get(name) or []:
            _print_part(out, name, entry)


def _print_part(out: Output, name: str, facts: Mapping[str, object]) -> None:
    """One part; what the decision said already is not said again."""
    out.line()
    out.heading(name)
    out.facts(
        [
            (f"  {key}", _value(out, key, value))
            for key, value in facts.items()
            if value not in (None, "", [], {}) and (name == "decision" or key not in SAID_ABOVE)
        ]
    )


def _value(out: Output, key: str, value: object) -> str:
    if isinstance(value, str):
        if (key == "at" or key.endswith("_at")) and "T" in value:
            return out.when(value)
        return value
    return out.compact(value)
