"""`trimtab push` and `trimtab diff`: versions on their way into the registry."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from trimtab.cli.api import JsonObject, prompt_path, segment
from trimtab.cli.commands import NO, OK
from trimtab.cli.folder import load_version, read_prompts, registered_includes
from trimtab.cli.linting import findings_of, print_findings
from trimtab.cli.options import Session, server_options
from trimtab.cli.output import ABSENT, Output, short
from trimtab.errors import BadInput, ServerRefused
from trimtab.prompts.diff import VersionDiff
from trimtab.prompts.diff import diff as compare
from trimtab.prompts.files import PromptFile, ReadSet, build_set
from trimtab.prompts.semver import parse_semver
from trimtab.prompts.version import Version, suggest_semver, version_from_identity


@click.command
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--tag", metavar="TAG", help="Tag of every version pushed; else the file's own.")
@click.option(
    "--semver",
    "semvers",
    multiple=True,
    metavar="NAME=1.1.0",
    help="Version number of one prompt; else suggested from the diff.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be registered, and register nothing.")
@server_options
def push(
    folder: Path, *, tag: str | None, semvers: tuple[str, ...], dry_run: bool, session: Session
) -> int:
    """Register the prompt files of a folder.

    All files become versions in one transaction, or none does. What is registered already stays as
    it is, so pushing twice does no harm; nothing goes live by it. Files that lint finds errors in
    are refused.

    Example:  trimtab push prompts/ --semver support.reply=2.0.0
              trimtab push prompts/ --dry-run

    Needs a key with the scope `author`. Exits with 1 if lint finds errors.
    """
    out = session.out
    read = read_prompts(folder)
    if not _passes_lint(read, session):
        return NO
    numbers = _numbers(semvers, read.files)
    registered = registered_includes(read.files.values(), session)
    versions = build_set(
        read.files, registered=registered.shas, registered_versions=registered.versions
    )
    items = [
        _item(read.files[name], version, tag=tag, semver=numbers.get(name))
        for name, version in versions.items()
    ]
    if dry_run:
        done = [_would(session, item, versions[item["prompt"]]) for item in items]
    else:
        if len(items) > 100 and not out.as_json:
            out.note(f"pushing {len(items)} versions …")
        done = session.api.post("/api/v1/push", {"items": items})["registered"]
    out.show({"dry_run": dry_run, "registered": done}, lambda: _print(out, done, dry_run=dry_run))
    return OK


@click.command
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that a file's includes are looked up in; found by itself if not given.",
)
@server_options
def diff(old: str, new: str, *, root: Path | None, session: Session) -> None:
    """Show what differs between two versions.

    OLD and NEW are references (support.reply@1.0.0, support.reply@prod) or prompt files. Shows each
    changed part, the texts line by line, and the step of the version number it asks for.

    Example:  trimtab diff support.reply@prod prompts/support/reply.prompt
              trimtab diff support.reply@1.0.0 support.reply@1.1.0 --json
    """
    _, before, _ = load_version(session, old, root=root)
    _, after, _ = load_version(session, new, root=root)
    found = compare(before, after)
    session.out.show(found, lambda: _print_diff(session.out, old, new, found))


def _passes_lint(read: ReadSet, session: Session) -> bool:
    """Whether lint has no error; tells what it found, warnings too."""
    findings = findings_of(read, session)
    errors = [finding for finding in findings if finding.level == "error"]
    if session.out.as_json and errors:
        session.out.show({"registered": [], "findings": findings}, lambda: None)
    elif not session.out.as_json:
        print_findings(session.out, findings)
    if errors:
        session.out.note(f"trimtab: nothing was pushed: lint found {len(errors)} errors; mend them")
    return not errors


def _numbers(given: Sequence[str], files: Mapping[str, PromptFile]) -> dict[str, str]:
    """Prompt → version number, of `--semver NAME=1.1.0`."""
    numbers: dict[str, str] = {}
    for text in given:
        name, equals, number = text.partition("=")
        if not equals:
            raise BadInput(f'--semver {text!r} is not NAME=NUMBER, such as "support.reply=1.1.0"')
        if name not in files:
            known = ", ".join(sorted(files))
            raise BadInput(f'--semver names "{name}", which is not in the folder; it has {known}')
        numbers[name] = str(parse_semver(number))
    return numbers


def _item(file: PromptFile, version: Version, *, tag: str | None, semver: str | None) -> JsonObject:
    """One entry of a push."""
    return {
        "prompt": file.name,
        "identity": version.identity,
        "semver": semver,
        "tag": tag or file.meta.get("tag"),
        "meta": {key: value for key, value in file.meta.items() if key != "tag"},
    }


def _would(session: Session, item: JsonObject, version: Version) -> JsonObject:
    """What registering an item would answer."""
    there = _registered(session, item["prompt"])
    same = next((each for each in there if each["sha"] == version.sha), None)
    if same is not None:
        number = same["version"]
    else:
        number = item["semver"] or _suggested(session, item["prompt"], there, version)
    return {
        "prompt": item["prompt"],
        "sha": version.sha,
        "version": number,
        "tag": item["tag"] or (same or {}).get("tag"),
        "created": same is None,
    }


def _registered(session: Session, prompt: str) -> list[JsonObject]:
    """The versions of a prompt that are there; none if the prompt is not."""
    try:
        versions: list[JsonObject] = session.api.get(f"{prompt_path(prompt)}/versions")["versions"]
    except ServerRefused as error:
        if error.code != "unknown_prompt":
            raise
        return []
    return versions


def _suggested(session: Session, prompt: str, there: Sequence[JsonObject], version: Version) -> str:
    """The number the server would give, from the diff to the highest one."""
    if not there:
        return suggest_semver(None, version, previous_semver=None)
    highest = max(there, key=lambda each: parse_semver(each["version"]).precedence)
    path = f"{prompt_path(prompt)}/versions/{segment('sha:' + highest['sha'])}"
    previous = version_from_identity(session.api.get(path)["identity"])
    return suggest_semver(previous, version, previous_semver=highest["version"])


def _print(out: Output, done: Sequence[JsonObject], *, dry_run: bool) -> None:
    created, same = ("would be created", "unchanged") if dry_run else ("created", "unchanged")
    rows = [
        (
            each["prompt"],
            each["version"],
            short(each["sha"]),
            each["tag"] or "",
            created if each["created"] else same,
        )
        for each in sorted(done, key=lambda each: str(each["prompt"]))
    ]
    out.table(("prompt", "version", "sha", "tag", ""), rows, empty="nothing to push")


def _print_diff(out: Output, old: str, new: str, found: VersionDiff) -> None:
    if not found.parts:
        out.line(f"{old} and {new} are the same ({short(found.old)})")
        return
    out.heading(f"{old} {short(found.old)} → {new} {short(found.new)}: {found.bump}")
    for part in found.parts:
        if part.part.startswith("messages"):
            out.line(f"  {part.part}  ({part.bump})")
        else:
            out.line(
                f"  {part.part}: {_side(out, part.old)} → {_side(out, part.new)}  ({part.bump})"
            )
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in found.text.splitlines():
        out.coloured(line, colours.get(line[:1]))


def _side(out: Output, value: Any) -> str:  # noqa: ANN401 - a JSON value
    return ABSENT if value is None else out.compact(value)
