"""`trimtab render`: the messages that a prompt makes of values, on this machine."""

from pathlib import Path
from typing import Any

import click

from trimtab.cli.folder import load_version
from trimtab.cli.json_values import json_messages, json_object
from trimtab.cli.options import Session, server_options
from trimtab.cli.output import Output, short
from trimtab.prompts.template import compile_version


@click.command
@click.argument("prompt", metavar="FILE|REF")
@click.option("--vars", "values", default="{}", metavar="JSON|@FILE", help="Values of variables.")
@click.option(
    "--history", default="[]", metavar="JSON|@FILE", help="Messages of the conversation so far."
)
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that a file's includes are looked up in; found by itself if not given.",
)
@server_options
def render(prompt: str, *, values: str, history: str, root: Path | None, session: Session) -> None:
    """Show the messages a prompt makes of values.

    FILE is a prompt file, whose includes are read beside it; REF is a registered version, such as
    support.reply@1.4.0 or support.reply@prod. The template runs in the sandbox that production
    uses, with the same limits: a hostile one ends in an error, not in a hang.

    Example:  trimtab render prompts/support/reply.prompt --vars '{"question": "Where is it?"}'
              trimtab render support.reply@prod --vars @values.json --history @history.json
    """
    given = json_object(values, option="--vars")
    before = json_messages(history, option="--history")
    name, version, fragments = load_version(session, prompt, root=root)
    messages = compile_version(version, fragments, name=name).render(given, history=before)
    document = {
        "prompt": name,
        "sha": version.sha,
        "model": version.model,
        "sampling": version.sampling,
        "messages": messages,
    }
    session.out.show(document, lambda: _print(session.out, document))


def _print(out: Output, document: dict[str, Any]) -> None:  # Any: the JSON above
    out.line(f"{document['prompt']} {short(document['sha'])}  {document['model'] or 'no model'}")
    for message in document["messages"]:
        out.line()
        out.heading(f"── {message['role']} ──")
        content = message.get("content")
        out.line(content if isinstance(content, str) else out.compact(message))
