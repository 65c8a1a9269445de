"""`trimtab rollback`, `kill` and `unkill`: taking a version back, by hand and at once."""

import click

from trimtab.cli.api import JsonObject, pointer_path
from trimtab.cli.options import Session, server_options, why_option
from trimtab.cli.output import Output, short
from trimtab.cli.situation import live_name, standing, version_name
from trimtab.prompts.reference import check_name


@click.command
@click.argument("prompt")
@click.argument("environment", metavar="ENV")
@why_option
@click.option("--again", is_flag=True, help="Go one further back, though someone just rolled back.")
@click.option(
    "--from-generation",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take back this generation and no other; what is live at receipt when not given.",
)
@server_options
def rollback(
    prompt: str,
    environment: str,
    *,
    why: str,
    again: bool,
    from_generation: int | None,
    session: Session,
) -> None:
    """Go back to the last good version.

    Aborts the running plan, whose baseline stays; without one, the newest earlier release that was
    not taken back itself goes live. Needs no approval. A second call within ten minutes changes
    nothing unless it says --again.

    Example:  trimtab rollback support.reply prod --why "wrong phone number"

    Needs a key with the scope `operate`. Exits with 1 if there is nothing to go back to.
    """
    path = pointer_path(environment, check_name(prompt))
    before = standing(session.api, environment=environment, prompt=prompt)
    # The caller saw no generation unless they name one. Filling in the newest would make a second
    # pair of hands in the same incident go one version further back.
    body = {"why": why, "again": again, "from_generation": from_generation}
    done = session.api.post(f"{path}/rollback", body)
    session.out.show(done, lambda: _print_rollback(session, done, before))


@click.command
@click.argument("prompt")
@click.argument("environment", metavar="ENV")
@why_option
@server_options
def kill(prompt: str, environment: str, *, why: str, session: Session) -> None:
    """Switch a prompt to safety, now.

    Ends a running plan and serves its baseline, or else the last good release; where there is
    neither, applications use their own fallback. The release pointer stays where it is: `unkill`
    serves the live version again.

    Example:  trimtab kill support.reply prod --why "answers in the wrong language"

    Needs a key with the scope `operate`.
    """
    path = f"{pointer_path(environment, check_name(prompt))}/kill"
    before = standing(session.api, environment=environment, prompt=prompt)
    done = session.api.call("PUT", path, {"why": why})
    session.out.show(done, lambda: _print_kill(session.out, done, before))


@click.command
@click.argument("prompt")
@click.argument("environment", metavar="ENV")
@why_option
@server_options
def unkill(prompt: str, environment: str, *, why: str, session: Session) -> None:
    """Serve the live version again after a kill.

    A plan that the kill ended stays ended; start a new one to go on.

    Example:  trimtab unkill support.reply prod --why "fixed in 1.1.1"

    Needs a key with the scope `operate`.
    """
    path = f"{pointer_path(environment, check_name(prompt))}/kill"
    done = session.api.delete(path, {"why": why})
    now = standing(session.api, environment=environment, prompt=prompt)
    already = "was not killed" if done.get("already") else "serves"
    session.out.show(
        done,
        lambda: session.out.line(f"{prompt} in {environment} {already}; live: {live_name(now)}"),
    )


def _print_rollback(session: Session, done: JsonObject, before: JsonObject | None) -> None:
    out = session.out
    where = f"{done['prompt']} in {done['environment']}"
    now = standing(session.api, environment=done["environment"], prompt=done["prompt"])
    if done["already"]:
        out.line(f"{where} was rolled back a moment ago; live: {live_name(now)} (--again goes on)")
    elif done.get("plan"):
        out.line(f"{where}: plan {done['plan']} is aborted; {live_name(now)} stays")
    else:
        out.line(
            f"{where}: {live_name(before)} → {live_name(now)}, generation {done['generation']}"
        )


def _print_kill(out: Output, done: JsonObject, before: JsonObject | None) -> None:
    where = f"{done['prompt']} in {done['environment']}"
    word = "was killed already" if done["already"] else "is killed"
    serving = f"serves {_named(done['serving'], before)}"
    if done["serving"] is None:
        serving = "applications use their own fallback"
    out.line(f"{where} {word}; {serving}")
    if done.get("plan"):
        out.line(f"plan {done['plan']} is aborted")


def _named(sha: str | None, before: JsonObject | None) -> str:
    """A sha as people call its version, where the status before named it."""
    known = (before or {}).get("live"), (before or {}).get("last_good")
    version = next((each for each in known if each is not None and each["sha"] == sha), None)
    return f"{version_name(version)} ({short(sha)})" if version is not None else short(sha)
